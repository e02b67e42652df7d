/** One session of a pair: sealed packets over its paths, on them a reliable stream, on that links (SHOW CHAIN protocol, sections 7 and 8). */
import { LinkBusyError, LinkClosedError } from '../../../errors.ts'
import type { Sealing } from '../../../crypto/index.ts'
import { readU64, writeU64 } from '../../../net/ipv4.ts'
import { Flow } from '../../../streams/flow.ts'
import { compactMux, linkMux, type LinkMux, type Opening } from '../../../transforms/link-mux/index.ts'
import { reliable, type ReliableLink } from '../../../transforms/reliable/index.ts'
import { CloseReason, LEAST_PACKET, SEALED_HEAD, SEALED_TAIL, SealedType } from '../protocol/data-packets.ts'
import type { Batch, Clock, Link, PacketPort, Take, Timer } from '../../../types.ts'
import type { Agreement } from './handshake.ts'
import { PacketSizes } from './packet-sizes.ts'
import { isAlteration, PairError } from './pair-error.ts'
import { PathSet, TARGET_TIMEOUT, type PathState } from './path-set.ts'
import type { Path } from './paths.ts'
import { contentOf, SealedChannel, typeOf } from './sealed-channel.ts'

/** Links of one pair at one time. */
const MAX_LINKS = 64

const TOKEN_BYTES = 8

/** Milliseconds between two looks at whether what was sent by a proxy arrives: its own acknowledgements prove nothing. */
const PROGRESS = 5000

/** Looks after which the proxy has kept what it has acknowledged, although other packets have come by it. */
const MAX_STALLS = 4

/** The byte behind the token of a probe: whether R sends by this path. */
const CHOSEN = 1

/** Packets that nobody can have altered on the way, counted by why they were dropped. */
export interface SessionDrops {
  short: number
  replayed: number
  sealed: number
  /** Of a type, or with a content, that there is not. */
  malformed: number
}

export interface SessionInit {
  clock: Clock
  role: 'requester' | 'target'
  sealing: Sealing
  agreement: Agreement
  drops: SessionDrops
  /** 0 to 1, for the congestion control. Default: `Math.random`. */
  random?: (() => number) | undefined
  /** The other end opens a link. */
  onOpen?: ((opening: Opening<Uint8Array, Uint8Array>) => Promise<void> | void) | undefined
  onPathChosen (path: Path | undefined): void
  /** What has come by a proxy was altered on the way, or the other end says so: the path is not in use any more. */
  onAltered (path: Path, err: PairError): void
  /** T: nothing comes any more, although something should. */
  onQuiet?: (() => void) | undefined
  /** Called once, with the error that has ended it; undefined: in order. */
  onEnded (err: Error | undefined): void
}

export class Session {
  /** The index that this end has given. */
  readonly index: number
  readonly mux: LinkMux<Uint8Array, Uint8Array>
  /** Packets of the stream that were opened, and sealed. */
  packetsIn = 0
  packetsOut = 0
  readonly #init: SessionInit
  readonly #channel: SealedChannel
  readonly #lower: StreamPort
  readonly #stream: ReliableLink
  readonly #paths: PathSet
  readonly #sizes: PacketSizes
  #incoming: Batch = []
  /** What the stream was told: bytes of the longest packet. */
  #maxDatagram = 0
  /** Why a path was lost that could not be trusted. */
  #altered: PairError | undefined
  #isOver = false
  /** Of the next look at whether something arrives. */
  #progressTimer: Timer | undefined

  constructor (init: SessionInit) {
    this.#init = init
    const { clock, role, sealing, agreement, random, onOpen } = init
    this.index = agreement.indexIn
    this.#channel = new SealedChannel(sealing, agreement)
    this.#lower = new StreamPort({ path: () => this.#paths.chosen, seal: (contents) => this.#sealStream(contents) })
    this.#paths = new PathSet({
      clock,
      role,
      sendProbe: (path, token, isChosen) => { this.#sendProbe(path, token, isChosen) },
      onMove: (path) => { this.#use(path) },
      onWorking: (path) => { init.onPathChosen(path) },
      unansweredFor: (now) => this.#stream.unansweredFor(now),
      onQuiet: () => { init.onQuiet?.() },
      onSilent: () => { this.fail(this.#altered ?? new PairError('ERR_PAIR_UNREACHABLE', 'nothing has come from the other node for too long')) }
    })
    this.#sizes = new PacketSizes({
      clock,
      sendProbe: (path, token, size) => this.#sendSizeProbe(path, token, size),
      onSize: (path) => { this.#fit(path) },
      unansweredFor: (now) => this.#stream.unansweredFor(now)
    })
    this.#stream = reliable({ clock, deadAfter: TARGET_TIMEOUT, headroom: SEALED_HEAD, tailroom: SEALED_TAIL, maxDatagram: LEAST_PACKET - SEALED_HEAD - SEALED_TAIL, random })(this.#lower)
    this.mux = linkMux({ clock, codec: compactMux({ role: role === 'requester' ? 'client' : 'server' }), maxLinks: MAX_LINKS, onOpen })(this.#stream)
    void this.mux.ended.then((err) => { this.#end(err) })
  }

  /** The path by which packets are sent. */
  get path (): Path | undefined { return this.#paths.chosen }

  get paths (): readonly PathState[] { return this.#paths.states }

  /** @param works known from a handshake that has come by it */
  addPath (path: Path, works = false): void { if (!this.#isOver) this.#paths.add(path, works) }

  /** @param err that of a path that was altered is told to the other end, and ends the session where there is no other path */
  removePath (path: Path, err?: Error): void {
    if (this.#isOver) return
    if (isAlteration(err)) path.send([this.#channel.seal(new Uint8Array(0), SealedType.ALTERED)])
    this.#paths.remove(path)
    if (!isAlteration(err)) return
    this.#altered = err
    if (this.#paths.states.length === 0) this.fail(err)
  }

  /** Opens a packet of this session in place; `deliver` follows. Returns whether it was authentic. */
  take (packet: Uint8Array, path: Path, now: number): boolean {
    if (this.#isOver) return false
    const channel = this.#channel
    const problem = channel.open(packet)
    if (problem !== undefined) {
      this.#init.drops[problem]++
      if (problem !== 'replayed' && path.kind === 'proxy') this.#onAltered(path) // it has come with the hash of its data, so the proxy has made that
      return false
    }
    const type = typeOf(packet)
    const { isNewest } = channel
    if (type === SealedType.STREAM) {
      this.#paths.heard(path, 'stream', isNewest, now)
      this.packetsIn++
      this.#incoming.push(contentOf(packet))
    } else {
      this.#takeControl(type, contentOf(packet), path, isNewest, now)
    }
    return true
  }

  /** Passes on what the packets of one read have carried. */
  deliver (): void {
    const batch = this.#incoming
    if (this.#paths.chosen !== undefined) this.#fit(this.#paths.chosen)
    if (batch.length === 0) return
    this.#incoming = []
    this.#lower.receive(batch)
  }

  /** Ends it at once, and tells the other end why. */
  close (reason: number, err: Error): void {
    if (this.#isOver) return
    const path = this.#paths.chosen
    path?.send([this.#channel.seal(Uint8Array.of(reason), SealedType.CLOSE)])
    this.fail(err)
  }

  /** Ends it at once. */
  fail (err: Error): void {
    this.#end(err)
    this.mux.abort(err)
  }

  #end (err: Error | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#paths.close()
    this.#sizes.close()
    this.#init.clock.clear(this.#progressTimer)
    this.#lower.abort(err ?? new LinkClosedError('the session has ended'))
    this.#channel.close()
    this.#init.onEnded(err)
  }

  #takeControl (type: number, content: Uint8Array, path: Path, isNewest: boolean, now: number): void {
    if (type === SealedType.PROBE && content.length === TOKEN_BYTES + 1) {
      this.#paths.heard(path, content[TOKEN_BYTES] === CHOSEN ? 'chosen' : 'probe', isNewest, now)
      path.send([this.#channel.seal(content.subarray(0, TOKEN_BYTES), SealedType.PROBE_ANSWER)])
    } else if (type === SealedType.PROBE_ANSWER && content.length === TOKEN_BYTES) {
      this.#paths.answered(path, readU64(content, 0), now)
    } else if (type === SealedType.SIZE_PROBE && content.length >= TOKEN_BYTES) {
      if (this.#init.role === 'target') this.#paths.heard(path, 'probe', isNewest, now)
      path.send([this.#channel.seal(content.subarray(0, TOKEN_BYTES), SealedType.SIZE_ANSWER)])
    } else if (type === SealedType.SIZE_ANSWER && content.length === TOKEN_BYTES) {
      this.#sizes.answered(path, readU64(content, 0), now)
    } else if (type === SealedType.CLOSE && content.length === 1) {
      this.fail(new PairError('ERR_PAIR_CLOSED', closedText(content[0]), content[0]))
    } else if (type === SealedType.ALTERED && content.length === 0 && path.kind === 'proxy') {
      this.#onAltered(path, new PairError('ERR_PATH_ALTERED', 'the other node says that the proxy has altered or kept data'))
    } else {
      this.#init.drops.malformed++
    }
  }

  #onAltered (path: Path, err = new PairError('ERR_PATH_ALTERED', 'the proxy has altered data')): void {
    this.removePath(path, err)
    this.#init.onAltered(path, err)
  }

  #sendProbe (path: Path, token: number, isChosen: boolean): void {
    const content = new Uint8Array(TOKEN_BYTES + 1)
    writeU64(content, 0, token)
    if (isChosen) content[TOKEN_BYTES] = CHOSEN
    path.send([this.#channel.seal(content, SealedType.PROBE)])
  }

  #sendSizeProbe (path: Path, token: number, size: number): boolean {
    const content = new Uint8Array(Math.max(TOKEN_BYTES, size - SEALED_HEAD - SEALED_TAIL))
    writeU64(content, 0, token)
    return path.sendOnce(this.#channel.seal(content, SealedType.SIZE_PROBE))
  }

  #sealStream (contents: Batch): Batch {
    this.packetsOut += contents.length
    this.#paths.watch()
    this.#sizes.sent()
    const path = this.#paths.chosen
    if (this.#progressTimer === undefined && path?.isReliable === true) this.#watchProgress(path)
    return this.#channel.sealAll(contents, SealedType.STREAM)
  }

  /** Sends again what a proxy has acknowledged and not passed on; one that goes on with that is not used any more. @param stalls looks in a row without progress */
  #watchProgress (watched: Path, stalls = 0): void {
    const { clock } = this.#init
    const since = clock.now()
    const { acknowledged } = this.#stream.delivery()
    this.#progressTimer = clock.set(PROGRESS, () => {
      this.#progressTimer = undefined
      const path = this.#paths.chosen
      if (path?.isReliable !== true || !this.#stream.isUnderWay) return
      const isStalled = this.#stream.delivery().acknowledged === acknowledged
      if (!isStalled || path !== watched) stalls = 0
      else if (this.#paths.heardAt >= since) stalls++
      if (stalls === MAX_STALLS) {
        this.#onAltered(path, new PairError('ERR_PATH_STALLED', 'the proxy has acknowledged data for 20 s that it has not passed on'))
        return
      }
      this.#watchProgress(path, stalls)
      if (isStalled) this.#use(path)
    })
  }

  #use (path: Path): void {
    this.#maxDatagram = this.#sizes.use(path)
    this.#lower.moved()
    this.#stream.usePath({ maxDatagram: this.#maxDatagram - SEALED_HEAD - SEALED_TAIL, isReliable: path.isReliable })
  }

  /** The path is the same, the size of its packets may have changed. */
  #fit (path: Path): void {
    const size = this.#sizes.use(path)
    if (size === this.#maxDatagram) return
    if (size < this.#maxDatagram) path.shrank(size)
    this.#maxDatagram = size
    this.#stream.resize(size - SEALED_HEAD - SEALED_TAIL)
  }
}

function closedText (reason: number): string {
  switch (reason) {
    case CloseReason.STOPPED: return 'the other node has stopped'
    case CloseReason.NOT_ALLOWED: return 'the other node does not let this one connect any more'
    case CloseReason.REPLACED: return 'another session has taken the place of this one: does another program run with the same key?'
    default: return `the other node has closed the session, reason ${reason}`
  }
}

interface StreamPortInit {
  path: () => Path | undefined
  seal: (contents: Batch) => Batch
}

/** The link of datagrams below the stream. It is read by `flow` alone, and written by `port`. */
class StreamPort implements Link, PacketPort {
  readonly #init: StreamPortInit
  #flow: Flow | undefined
  /** The path of the last packets. */
  #last: Path | undefined
  #onMoved = (): void => {}
  #reason: Error | undefined

  constructor (init: StreamPortInit) { this.#init = init }

  get source (): AsyncIterable<Batch> { throw new LinkBusyError('packets of a session are read by flow') }

  get sink (): Link['sink'] { return () => Promise.reject(new LinkBusyError('packets of a session are written by port')) }

  get port (): PacketPort { return this }

  get queued (): number { return this.#init.path()?.queued ?? 0 }

  /** Half of that of the path, so that probes find room. */
  get limit (): number { return (this.#init.path()?.limit ?? 0) / 2 }

  get isReusable (): boolean { return this.#last?.isReusable === true && this.#last === this.#init.path() }

  send (contents: Batch): number {
    const path = this.#last = this.#init.path()
    if (path === undefined || this.#reason !== undefined || path.queued >= path.limit / 2) return 0
    return path.send(this.#init.seal(contents)) === 0 ? 0 : contents.length
  }

  async drained (): Promise<void> {
    while (this.queued >= this.limit && this.#reason === undefined) {
      const moved = new Promise<void>((resolve) => { this.#onMoved = resolve })
      const path = this.#init.path()
      await (path === undefined ? moved : Promise.race([path.drained(), moved]))
    }
  }

  async flow (take: Take, signal?: AbortSignal): Promise<void> {
    const flow = this.#flow = new Flow(take, { onPull () {}, onReturn () {} })
    if (this.#reason !== undefined) flow.fail(this.#reason)
    await flow.until(signal)
  }

  receive (batch: Batch): void { this.#flow?.pushBatch(batch) }

  /** Packets go another way: who waits for room on the one before goes on. */
  moved (): void { this.#onMoved() }

  abort (err: Error): void {
    this.#reason ??= err
    this.#flow?.fail(err)
    this.#onMoved()
  }
}

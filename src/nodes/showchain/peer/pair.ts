/** All that is between this node and another one once there are paths: R's side and T's side (SHOW CHAIN protocol, sections 7 and 8). */
import { LinkClosedError } from '../../../errors.ts'
import type { Sealing } from '../../../crypto/index.ts'
import { readU32 } from '../../../net/ipv4.ts'
import type { MuxLink, Opening } from '../../../transforms/link-mux/index.ts'
import { CloseReason, FirstByte, INDEX_AT } from '../protocol/data-packets.ts'
import type { Identity } from '../protocol/identity.ts'
import type { PublicKeys } from '../protocol/public-keys.ts'
import type { Batch, Clock } from '../../../types.ts'
import { Answering } from './answering.ts'
import { HANDSHAKE_BYTES, readPart } from './handshake-parts.ts'
import type { Agreement } from './handshake.ts'
import type { Indexes } from './indexes.ts'
import { Offering } from './offering.ts'
import { isAlteration, PairError } from './pair-error.ts'
import type { PathState } from './path-set.ts'
import type { Path, PathUser } from './paths.ts'
import { Session, type SessionDrops } from './session.ts'

/** Milliseconds that T keeps a session whose first packet has not come. */
const PENDING = 30_000

const EMPTY = new Uint8Array(0)

export interface PairInit {
  clock: Clock
  identity: Pick<Identity, 'id' | 'der' | 'signLater'>
  keys: PublicKeys
  sealing: Sealing
  /** Those of this node, of all its pairs. */
  indexes: Indexes
  /** Id of the other node. */
  other: Uint8Array
  /** 0 to 1, for the congestion control. Default: `Math.random`. */
  random?: () => number
  onPathChosen? (path: Path | undefined): void
  /** T: nothing comes of R any more, although something should: this node may have another endpoint outside. */
  onQuiet? (): void
  /** The proxy of this path has altered data: it is not to be used again for this pair. The path was removed; whoever is told closes it. */
  onAltered? (path: Path, err: PairError): void
}

export interface RequesterPairInit extends PairInit {
  /** Called once: with the error that has ended it, undefined after `close`. */
  onEnded? (err: Error | undefined): void
}

export interface TargetPairInit extends PairInit {
  /** R opens a link: answered by `accept` or `reject`, now or later. */
  onOpen (opening: Opening<Uint8Array, Uint8Array>): Promise<void> | void
  /** R has made a session, or that has ended: then with the error, or undefined when that was in order. */
  onSession? (isOpen: boolean, err?: Error): void
}

/** Packets that were dropped, by why. */
export interface PairDrops extends SessionDrops {
  /** Of no session, as of one that has ended. */
  index: number
}

/** What both sides have in common. */
abstract class Pair<Init extends PairInit> implements PathUser {
  readonly drops: PairDrops = { index: 0, short: 0, replayed: 0, sealed: 0, malformed: 0 }
  protected readonly init: Init
  protected readonly known: Path[] = []
  protected session: Session | undefined

  constructor (init: Init) { this.init = init }

  /** The path by which packets are sent; undefined before the handshake. */
  get path (): Path | undefined { return this.session?.path }

  get paths (): readonly PathState[] { return this.session?.paths ?? this.known.map((path) => ({ path, works: false, rtt: undefined })) }

  addPath (path: Path): void {
    if (this.known.includes(path)) return
    this.known.push(path)
    this.session?.addPath(path)
  }

  /** @param err why: a path that was altered ends the session where there is no other one */
  removePath (path: Path, err?: Error): void {
    const at = this.known.indexOf(path)
    if (at < 0) return
    this.known.splice(at, 1)
    this.session?.removePath(path, err)
    if (isAlteration(err)) this.init.onAltered?.(path, err)
  }

  receive (packets: Batch, path: Path, now: number): void {
    for (const packet of packets) {
      const first = packet[0]
      if (first === FirstByte.SEALED && packet.length > INDEX_AT + 4) this.takeSealed(packet, readU32(packet, INDEX_AT), path, now)
      else if (first === FirstByte.HANDSHAKE) this.takeHandshake(packet, path, now)
      else this.drops.malformed++
    }
    this.session?.deliver()
  }

  protected abstract takeSealed (packet: Uint8Array, index: number, path: Path, now: number): void
  protected abstract takeHandshake (packet: Uint8Array, path: Path, now: number): void

  protected newSession (role: 'requester' | 'target', agreement: Agreement, more: { onOpen?: TargetPairInit['onOpen'], onEnded: (err: Error | undefined, session: Session) => void }): Session {
    const { clock, sealing, random, onPathChosen, onQuiet, onAltered, indexes } = this.init
    const session: Session = new Session({
      clock,
      role,
      sealing,
      agreement,
      random,
      drops: this.drops,
      onOpen: more.onOpen,
      onPathChosen: (path) => { if (session === this.session) onPathChosen?.(path) },
      onQuiet,
      onAltered: (path, err) => {
        this.forget(path)
        onAltered?.(path, err)
      },
      onEnded: (err) => {
        indexes.release(agreement.indexIn)
        more.onEnded(err, session)
      }
    })
    return session
  }

  protected forget (path: Path): void {
    const at = this.known.indexOf(path)
    if (at >= 0) this.known.splice(at, 1)
  }
}

/** R's side. It begins a handshake with the first path, and ends when its session does. */
export class RequesterPair extends Pair<RequesterPairInit> {
  /** Settles when links can be opened; rejects when there will be none. */
  readonly ready: Promise<void>
  #resolveReady: () => void = () => {}
  #rejectReady: (err: Error) => void = () => {}
  #index: number | undefined
  #offering: Offering | undefined
  #answeredBy: Path | undefined
  #reason: Error | undefined

  constructor (init: RequesterPairInit) {
    super(init)
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve
      this.#rejectReady = reject
    })
    this.ready.catch(() => {}) // told to those who open links
  }

  /** Opens a link, which the other node answers once its own connection is made. Rejects as `LinkMux.open` does, and with the error that has ended the pair. */
  async open (init?: { signal?: AbortSignal }): Promise<MuxLink<Uint8Array>> {
    await this.ready
    if (this.session === undefined) throw this.#reason ?? new LinkClosedError('the pair has ended')
    return await this.session.mux.open(EMPTY, init)
  }

  override addPath (path: Path): void {
    if (this.#reason !== undefined) return
    super.addPath(path)
    if (this.session !== undefined) return
    if (this.#offering === undefined) this.#offer()
    else this.#offering.repeat()
  }

  override removePath (path: Path, err?: Error): void {
    super.removePath(path, err)
    if (this.session === undefined && this.known.length === 0 && isAlteration(err)) this.#end(err)
  }

  /** Ends it at once; links end with this error. @param err default: `LinkClosedError` */
  close (err: Error = new LinkClosedError('this node has closed the pair'), reason: number = CloseReason.STOPPED): void {
    this.#end(undefined, err)
    this.session?.close(reason, err)
  }

  protected override takeSealed (packet: Uint8Array, index: number, path: Path, now: number): void {
    if (index === this.session?.index) this.session.take(packet, path, now)
    else this.drops.index++
  }

  protected override takeHandshake (packet: Uint8Array, path: Path, now: number): void {
    const part = readPart(packet)
    if (part === undefined || this.#offering === undefined) {
      this.drops.malformed++
      return
    }
    this.#answeredBy = path
    this.#offering.receive(part, path, now, () => {
      if (path.kind === 'proxy') this.removePath(path, new PairError('ERR_PATH_ALTERED', 'the proxy has altered the answer of the other node'))
    })
  }

  #offer (): void {
    const { clock, identity, keys, other, indexes } = this.init
    const index = this.#index = indexes.claim(this)
    if (index === undefined) {
      this.#end(new PairError('ERR_HANDSHAKE', 'there are too many sessions'))
      return
    }
    this.#offering = new Offering({
      clock,
      identity,
      keys,
      target: other,
      index,
      send: (parts) => { for (const path of this.known) path.send(parts.map((part) => part.slice())) },
      onAgreed: (agreement) => { this.#begin(agreement) },
      onFailed: (err) => { this.#end(err) }
    })
  }

  #begin (agreement: Agreement): void {
    const session = this.session = this.newSession('requester', agreement, {
      onEnded: (err) => {
        this.session = undefined
        this.#index = undefined
        this.#end(err)
      }
    })
    const first = this.#answeredBy
    if (first !== undefined && this.known.includes(first)) session.addPath(first, true)
    for (const path of this.known) session.addPath(path)
    this.#resolveReady()
  }

  #end (err: Error | undefined, reason = err ?? new LinkClosedError('the pair has ended')): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#offering?.close()
    if (this.#index !== undefined && this.session === undefined) this.init.indexes.release(this.#index)
    this.#rejectReady(reason)
    this.init.onEnded?.(err)
  }
}

/** T's side. It outlives its sessions: each offer of R may make a new one. */
export class TargetPair extends Pair<TargetPairInit> {
  readonly #answering: Answering
  /** Made by the last offer; takes the place of the other one with R's first sealed packet. */
  #pending: Session | undefined
  #isClosed = false

  constructor (init: TargetPairInit) {
    super(init)
    const { clock, identity, keys, other, indexes } = init
    this.#answering = new Answering({
      clock,
      identity,
      keys,
      requester: other,
      claimIndex: () => indexes.claim(this),
      releaseIndex: (index) => { indexes.release(index) },
      onAgreed: (agreement) => { this.#prepare(agreement) }
    })
  }

  /** Offers that were dropped, by why. */
  get offers (): Answering['drops'] { return this.#answering.drops }

  /** R has a session. */
  get isOpen (): boolean { return this.session !== undefined }

  override removePath (path: Path, err?: Error): void {
    super.removePath(path, err)
    this.#pending?.removePath(path)
  }

  /** Ends it at once. @param reason told to R, of `CloseReason` */
  close (reason: number = CloseReason.STOPPED, err: Error = new LinkClosedError('this node has closed the pair')): void {
    this.#isClosed = true
    this.#answering.close()
    this.#pending?.fail(err)
    this.session?.close(reason, err)
  }

  protected override takeSealed (packet: Uint8Array, index: number, path: Path, now: number): void {
    if (index === this.session?.index) {
      this.session.take(packet, path, now)
    } else if (index === this.#pending?.index) {
      const pending = this.#pending
      if (pending.take(packet, path, now)) this.#replaceBy(pending)
    } else {
      this.drops.index++
    }
  }

  protected override takeHandshake (packet: Uint8Array, path: Path, now: number): void {
    const part = readPart(packet)
    if (part === undefined) this.drops.malformed++
    else this.#answering.receive(part, packet.subarray(1, 1 + HANDSHAKE_BYTES), path, now, (parts) => { path.send(parts) })
  }

  #prepare (agreement: Agreement): void {
    this.#pending?.fail(new LinkClosedError('another session was offered'))
    const { clock, onOpen } = this.init
    const pending = this.#pending = this.newSession('target', agreement, {
      onOpen,
      onEnded: (err, session) => {
        clock.clear(timer)
        if (session === this.#pending) this.#pending = undefined
        if (session !== this.session) return
        this.session = undefined
        this.init.onSession?.(false, err)
      }
    })
    const timer = clock.set(PENDING, () => { if (pending === this.#pending) pending.fail(new LinkClosedError('the other node has not used its session')) })
    for (const path of this.known) pending.addPath(path)
  }

  #replaceBy (session: Session): void {
    this.#pending = undefined
    const before = this.session
    before?.close(CloseReason.REPLACED, new PairError('ERR_PAIR_CLOSED', 'the other node has made another session', CloseReason.REPLACED))
    if (this.#isClosed) return
    this.session = session
    this.init.onSession?.(true)
    this.init.onPathChosen?.(session.path)
  }
}

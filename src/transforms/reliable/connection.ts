/**
 * The reliable protocol without I/O and timers: bytes in, datagrams out, and the other way round. Whoever drives it passes the time, calls
 * `poll` after each change and at `deadline`, and sends what that returns.
 */
import { Acknowledger } from './acknowledger.ts'
import { INITIAL_WINDOW, settingsOf, verifyPath, type ReliableInit, type ReliablePath, type Settings } from './config.ts'
import { ReliableError } from './errors.ts'
import { Outgoing } from './outgoing.ts'
import { ACK_SIZE, Flag, FLAGS_SIZE, NUMBER_SIZE, OFFSET_SIZE, PacketReader, RANGE_SIZE, writeAck, writeNumber, writeNumbers, writeWord } from './packet.ts'
import { giveRoom, takeRoom, type PacketRoom } from './packet-room.ts'
import { ReceiveBuffer } from './receive-buffer.ts'
import { Recovery } from './recovery.ts'
import type { RttEstimator } from './rtt-estimator.ts'
import { LinkResetError } from '../../errors.ts'
import type { Batch } from '../../types.ts'

/** Packets of one `poll`, and their bytes, so that a port is asked again in between. */
const MOST_PACKETS = 256
const MOST_BYTES = 256 << 10

/** Milliseconds for which the memory of a large send buffer is kept; bytes that are large. */
const KEEP_MEMORY = 1000
const LARGE = 256 << 10

/** Milliseconds between two questions whether the other side takes data again, at most. */
const MOST_PERSIST = 2000

/** Milliseconds until a port that has refused a batch is tried again. */
const RETRY = 50

/** What a packet carries, of which it may be lost. */
const Kind = { DATA: 1, END: 2, RESET: 4 } as const

/** One end of a stream of bytes over datagrams; {@link reliable} drives it over a link. Times are in milliseconds, of any origin. */
export class ReliableConnection {
  /** Datagrams that broke the protocol, or had no room. */
  dropped = 0
  /** Why it has failed: it was reset by the other side, or that is dead. */
  failure: LinkResetError | ReliableError | undefined
  /** When a packet came last that asks for an answer. */
  receivedAt = -Infinity
  readonly #init: Settings
  readonly #recovery: Recovery
  readonly #reader = new PacketReader()
  readonly #out: Outgoing
  readonly #in: ReceiveBuffer
  readonly #acks = new Acknowledger()
  #resetCode: number | undefined
  #isResetSent = false
  #isResetAcknowledged = false
  #isPingDue = false
  /** Questions in a row whether the other side takes data again, and when the next one is due. */
  #persists = 0
  #persistAt = Infinity
  #keepAliveAt: number
  /** Since when something waits for an answer. */
  #waitingSince: number | undefined
  #shrinkAt = Infinity
  #retryAt = 0
  /** Number of the first packet of the last `poll`, and the memory of its packets. */
  #firstOfPoll = 0
  #room: PacketRoom | undefined

  /** @throws {OptionError} when an option is out of range */
  constructor (options: ReliableInit, now: number) {
    const init = this.#init = settingsOf(options)
    this.#out = new Outgoing(init.sendBuffer)
    this.#in = new ReceiveBuffer({ window: INITIAL_WINDOW, maxWindow: init.receiveBuffer }, now)
    const { maxDatagram, isReliable, random } = init
    this.#recovery = new Recovery({ path: { maxDatagram, isReliable }, random, now, onAcknowledged: this.#onAcknowledged, onLost: this.#onLost })
    this.#keepAliveAt = now + init.keepAlive
  }

  /** Round trip times of the path. */
  get rtt (): RttEstimator { return this.#recovery.rtt }

  /** Probes in a row that were sent because nothing was acknowledged. */
  get timeouts (): number { return this.#recovery.timeouts }

  /** Bytes that were written and never sent. */
  get queued (): number { return this.#out.queued }

  /** Bytes that can be read. */
  get available (): number { return this.#in.available }

  /** All was read, up to the end. */
  get isReadEnd (): boolean { return this.#in.isComplete && this.#in.available === 0 }

  /** The other side has everything, with the end, or with the reset. */
  get isWritten (): boolean { return this.#resetCode === undefined ? this.#out.isDone : this.#isResetAcknowledged }

  /** Nothing more can be written. */
  get isEnded (): boolean { return this.#out.isEnded }

  /** This side has ended both directions. */
  get isReset (): boolean { return this.#resetCode !== undefined }

  /** The other side does not answer any more. */
  get isDead (): boolean { return this.failure instanceof ReliableError }

  /** Both directions have ended in order. */
  get isDone (): boolean { return this.#out.isDone && this.#in.isComplete }

  /** Bytes that the other side has acknowledged. */
  get acknowledged (): number { return this.#out.acknowledged }

  /** See `Outgoing.isUnderWay`. */
  get isUnderWay (): boolean { return this.#out.isUnderWay }

  /** Bytes of memory in use. */
  get memory (): number { return this.#out.capacity + this.#in.capacity }

  /** Milliseconds for which data was sent without any acknowledgement; 0 when nothing waits for one. */
  unansweredFor (now: number): number {
    const since = this.#recovery.unansweredSince
    return since === undefined ? 0 : Math.max(0, now - since)
  }

  /** Takes bytes to be sent, whose memory must not change. The caller bounds them by `queued`. */
  write (batch: Batch): void { this.#out.write(batch) }

  /** Ends this direction behind what was written. */
  end (): void { this.#out.end() }

  /** Ends both directions: the other side gets the code. */
  reset (code: number): void {
    if (this.#resetCode !== undefined || this.failure !== undefined) return
    this.#resetCode = code
    this.#out.clear()
  }

  /**
   * All bytes that can be read.
   *
   * @param isLent whether the reader gives the memory back, by `giveBack`
   */
  take (now: number, isLent = false): Batch {
    const batch = this.#in.take(now, isLent)
    if (this.#in.isGrantDue) this.#acks.hurry(now)
    return batch
  }

  /** Nobody uses the memory that was lent any more. */
  giveBack (): void { this.#in.giveBack() }

  /** @throws {OptionError} when a path cannot be that way */
  usePath (path: ReliablePath, now: number): void {
    this.#recovery.move(verifyPath(path), now)
    this.#retryAt = 0
  }

  /** @throws {OptionError} when a path cannot be that way */
  resize (maxDatagram: number): void {
    const { isReliable } = this.#recovery.path
    this.#recovery.resize(verifyPath({ maxDatagram, isReliable }).maxDatagram)
    this.#retryAt = 0
  }

  /** Takes datagrams of the other side; their memory is not kept. */
  receive (batch: Batch, now: number): void {
    let isAck = false
    for (const bytes of batch) {
      const packet = this.#reader
      if (!packet.read(bytes)) {
        this.dropped++
        continue
      }
      if (packet.has(Flag.ACK)) {
        if (packet.highs[0] >= this.#recovery.packets.next || !this.#out.acknowledgeAll(packet.delivered)) {
          this.dropped++
          continue
        }
        this.#receiveAck(packet, now)
        isAck = true
      }
      if (packet.has(Flag.NUMBER)) this.#receiveNumbered(packet, bytes, now)
      if (this.#waitingSince !== undefined) this.#waitingSince = now
    }
    if (isAck) this.#recovery.finish(now)
  }

  /** Datagrams to be sent now, bounded in number: call again until there are none. Each batch has memory of its own, unless `reuse` is called. */
  poll (now: number): Batch {
    this.#run(now)
    const batch: Batch = []
    if (this.isDead) return batch
    this.#firstOfPoll = this.#recovery.packets.next
    const isAckDue = now >= this.#acks.dueAt
    const count = this.#countReady(now)
    if (count === 0 && !isAckDue) return batch
    const { headroom, tailroom } = this.#init
    const { maxDatagram } = this.#recovery.path
    const size = count === 0 ? Math.min(maxDatagram, FLAGS_SIZE + ACK_SIZE + this.#acks.numbers.length * RANGE_SIZE) : maxDatagram
    const room = this.#room = takeRoom(Math.max(1, count), { headroom, size, tailroom })
    do {
      const begin = room.begin(batch.length)
      const length = this.#encode(room.bytes, begin, begin + size, count > 0, now) - begin
      if (length === 0) break
      batch.push(room.packet(batch.length, length))
    } while (batch.length < count)
    const { packets } = this.#recovery
    if (this.#out.ready === 0 && packets.inFlight < this.#recovery.control.window) packets.limit()
    return batch
  }

  /** Nobody uses the memory of the last batch any more: the next `poll` of this stream or another one may. */
  reuse (): void {
    if (this.#room === undefined) return
    giveRoom(this.#room)
    this.#room = undefined
  }

  /** The port has not taken the last batch of `poll`. */
  refuse (now: number): void {
    this.#recovery.packets.refuse(this.#firstOfPoll)
    this.#retryAt = now + RETRY
  }

  /** When `poll` has to be called, whatever comes; Infinity: never. */
  get deadline (): number {
    if (this.isDead) return Infinity
    const recovery = this.#recovery
    let at = Math.min(this.#acks.dueAt, recovery.deadline, this.#keepAliveAt, this.#persistAt, this.#shrinkAt)
    if (this.#waitingSince !== undefined) at = Math.min(at, this.#waitingSince + this.#init.deadAfter)
    if (this.#isSomethingReady) at = Math.min(at, recovery.pacedUntil)
    return Math.max(at, this.#retryAt)
  }

  get #isSomethingReady (): boolean { return this.#out.ready > 0 || this.#out.isEndReady || this.#isPingDue || (this.#resetCode !== undefined && !this.#isResetSent) }

  get #isWaiting (): boolean { return this.#recovery.packets.count > 0 || (this.failure === undefined && (this.#out.isWaiting || this.#resetCode !== undefined) && !this.isWritten) }

  /** Packets that can be sent now, with data or something else that is to be acknowledged. */
  #countReady (now: number): number {
    if (now < this.#retryAt || !this.#isSomethingReady) return 0
    const { maxDatagram } = this.#recovery.path
    const most = Math.min(this.#recovery.sendable(now), MOST_PACKETS, Math.ceil(MOST_BYTES / maxDatagram))
    if (most === 0) return 0
    const room = maxDatagram - FLAGS_SIZE - NUMBER_SIZE - OFFSET_SIZE
    this.#out.stage(most * room)
    // One more for what an acknowledgement displaces, and for pieces of packets that were lost.
    return Math.min(most, Math.ceil(this.#out.ready / room) + 1)
  }

  /** Writes a packet; returns where it ends, `from` when there is nothing to send. */
  #encode (into: Uint8Array, from: number, end: number, isNumbered: boolean, now: number): number {
    let flags = 0
    let at = from + FLAGS_SIZE
    const { packets } = this.#recovery
    const isReset = isNumbered && this.#resetCode !== undefined && !this.#isResetSent
    const hasData = isNumbered && (this.#out.ready > 0 || this.#out.isEndReady)
    if (isReset || hasData || (isNumbered && this.#isPingDue)) {
      flags |= Flag.NUMBER
      at = writeNumbers(into, at, packets.next, Math.min(packets.floor, packets.next))
    }
    if (this.#acks.numbers.length > 0 && (this.#acks.pending > 0 || now >= this.#acks.dueAt)) {
      flags |= Flag.ACK
      const room = end - (hasData ? (end - from) >> 1 : 0) // data goes on beside many ranges
      at = writeAck(into, at, room, { numbers: this.#acks.numbers, delay: this.#acks.delay(now), delivered: this.#in.delivered, limit: this.#in.grant() })
      this.#acks.sent()
    }
    if (flags === 0) return from
    let kind = 0
    if (isReset) {
      flags |= Flag.RESET
      kind = Kind.RESET
      at = writeWord(into, at, this.#resetCode as number)
      this.#isResetSent = true
    } else if (hasData && this.#out.fill(into, at + OFFSET_SIZE, end)) {
      const { offset, size, isEnd } = this.#out
      flags |= isEnd ? Flag.DATA | Flag.FIN : Flag.DATA
      kind = isEnd ? Kind.DATA | Kind.END : Kind.DATA
      writeNumber(into, at, offset)
      at += OFFSET_SIZE + size
    }
    into[from] = flags
    if ((flags & Flag.NUMBER) !== 0) {
      this.#isPingDue = false
      const slot = this.#recovery.onSent(at - from, now)
      packets.kinds[slot] = kind
      packets.offsets[slot] = this.#out.offset
      packets.sizes[slot] = this.#out.size
      this.#keepAliveAt = now + this.#init.keepAlive
      this.#waitingSince ??= now
    }
    return at
  }

  /** What is due by the time. */
  #run (now: number): void {
    if (this.#recovery.run(now)) this.#probe()
    if (now >= this.#keepAliveAt) this.#isPingDue = this.failure === undefined && !this.isDone
    if (now >= this.#keepAliveAt) this.#keepAliveAt = now + this.#init.keepAlive
    this.#persist(now)
    this.#shrink(now)
    if (!this.#isWaiting) this.#waitingSince = undefined
    else this.#waitingSince ??= now
    if (this.#waitingSince !== undefined && now - this.#waitingSince >= this.#init.deadAfter) {
      this.failure = new ReliableError('ERR_RELIABLE_TIMEOUT', `the other side has not answered for ${this.#init.deadAfter} ms`)
    }
  }

  /** Sends what is on its way once more: of the two oldest packets, or at least a question. */
  #probe (): void {
    const { packets, path } = this.#recovery
    this.#isPingDue = true
    if (path.isReliable) return
    for (let number = packets.lowest, found = 0; number < packets.next && found < 2; number++) {
      if (!packets.isInFlight(number)) continue
      this.#onLost(packets.slotOf(number))
      found++
    }
  }

  /** The other side takes no data: what tells that it does again may get lost, so it is asked from time to time. */
  #persist (now: number): void {
    if (!this.#out.isBlocked || this.#recovery.packets.count > 0 || this.failure !== undefined) {
      this.#persistAt = Infinity
      if (!this.#out.isBlocked) this.#persists = 0
    } else if (this.#persistAt === Infinity) {
      this.#persistAt = now + Math.min(MOST_PERSIST, this.#recovery.rtt.probeTimeout(0) * 2 ** Math.min(this.#persists, 16))
    } else if (now >= this.#persistAt) {
      this.#persists++
      this.#persistAt = Infinity
      this.#isPingDue = true
    }
  }

  /** An idle stream keeps no large buffer. */
  #shrink (now: number): void {
    if (!this.#out.isEmpty || this.#out.capacity <= LARGE) {
      this.#shrinkAt = Infinity
    } else if (this.#shrinkAt === Infinity) {
      this.#shrinkAt = now + KEEP_MEMORY
    } else if (now >= this.#shrinkAt) {
      this.#out.shrink()
      this.#shrinkAt = Infinity
    }
  }

  #receiveAck (packet: PacketReader, now: number): void {
    if (packet.limit > this.#out.limit) this.#out.limit = packet.limit
    this.#recovery.onAck(packet, now)
  }

  #receiveNumbered (packet: PacketReader, bytes: Uint8Array, now: number): void {
    if (packet.has(Flag.RESET)) {
      this.#receiveReset(packet.code)
    } else if (packet.has(Flag.DATA) && this.#resetCode === undefined && this.failure === undefined && !this.#in.write(packet.offset, bytes, packet.dataAt, packet.has(Flag.FIN))) {
      this.dropped++
      return
    }
    this.receivedAt = now
    this.#acks.add(packet.number, packet.floor, now)
    if (this.#in.isComplete) this.#acks.hurry(now) // its sender may wait for that to be gone
  }

  #receiveReset (code: number): void {
    if (this.failure !== undefined || this.isDone) return
    this.failure = new LinkResetError(`the other side has reset the link, code ${code}`, code)
    this.#out.clear()
  }

  readonly #onAcknowledged = (slot: number): void => {
    const { packets } = this.#recovery
    const kind = packets.kinds[slot]
    const offset = packets.offsets[slot]
    if ((kind & Kind.RESET) !== 0) this.#isResetAcknowledged = true
    if ((kind & Kind.DATA) !== 0) this.#out.acknowledge(offset, offset + packets.sizes[slot], (kind & Kind.END) !== 0)
  }

  readonly #onLost = (slot: number): void => {
    const { packets } = this.#recovery
    const kind = packets.kinds[slot]
    const offset = packets.offsets[slot]
    if ((kind & Kind.RESET) !== 0 && !this.#isResetAcknowledged) this.#isResetSent = false
    if ((kind & Kind.DATA) !== 0 && this.#resetCode === undefined && this.failure === undefined) this.#out.lose(offset, offset + packets.sizes[slot], (kind & Kind.END) !== 0)
  }
}

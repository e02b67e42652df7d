/** The sending half of a connection: what is sent when, and what is sent again. */
import { ByteQueue } from './byte-queue.ts'
import { Congestion } from './congestion.ts'
import { Deadline } from './deadline.ts'
import { RetransmissionTimeout } from './retransmission-timeout.ts'
import { Scoreboard } from './scoreboard.ts'
import { SendWindow } from './send-window.ts'
import { Flag, lengthOf, NO_DATA, type Segment } from './segment.ts'
import { advance, distance } from './sequence.ts'
import type { Clock, Delivery } from '../../../../types.ts'

/** Acknowledgements in a row without news, after which a segment counts as lost. */
const DUPLICATES = 3

export interface SenderInit {
  clock: Clock
  /** The sequence number of SYN. */
  sequence: number
  /** Bytes that wait to be acknowledged. */
  limit: number
  /** Times that SYN is sent again, and that data is, until the connection counts as lost. */
  synRetries: number
  retries: number
  emit: (flags: number, sequence: number, data: Uint8Array) => void
  /** Called when the connection counts as lost. */
  lost: () => void
}

/** What an acknowledgement has told. `invalid`: of something that was not sent, or that was acknowledged long ago. */
export type Acknowledged = 'news' | 'nothing' | 'invalid'

/**
 * Offsets count from the first sequence number that is not acknowledged (SND.UNA), so that they do not wrap around. SYN, while it is not
 * acknowledged, is offset 0, and nothing else is sent. FIN is the offset behind the data.
 */
export class Sender {
  readonly #init: SenderInit
  readonly #queue = new ByteQueue()
  readonly #timeout = new RetransmissionTimeout()
  readonly #congestion = new Congestion()
  readonly #deadline: Deadline
  #unacknowledged: number
  /** Offset of what is sent next (SND.NXT). A time-out moves it back to 0. */
  #next = 0
  /** Offset behind everything that was ever sent. */
  #sent = 0
  #maxData = 0
  readonly #window = new SendWindow()
  #isSynAcknowledged = false
  #hasEnd = false
  #isEndAcknowledged = false
  #isStopped = false
  #retries = 0
  #acknowledged = 0
  #sentAt = 0
  #duplicates = 0
  /** Until this sequence number is acknowledged, no other loss halves the rate. */
  #recoverUntil: number
  #isRecovering = false
  /** Offset behind what was sent again since the last loss was noticed. */
  #repeated = 0
  readonly #selective = new Scoreboard()
  /** The round trip that is measured: the end of a segment, and when it was sent. */
  #measured: { end: number, at: number } | undefined

  constructor (init: SenderInit) {
    this.#init = init
    this.#unacknowledged = init.sequence
    this.#recoverUntil = init.sequence
    this.#deadline = new Deadline(init.clock, () => { this.#expire() })
  }

  /** Bytes that wait to be acknowledged. */
  get queued (): number { return this.#queue.length }

  /** Bytes that were acknowledged, and whether something is not after it was sent again. */
  get delivery (): Delivery { return { acknowledged: this.#acknowledged, isUnanswered: this.#retries > (this.#next > 0 ? 0 : 1) } }

  get room (): number { return this.#hasEnd ? 0 : Math.max(0, this.#init.limit - this.#queue.length) }

  /** The sequence number behind everything that was sent. */
  get end (): number { return advance(this.#unacknowledged, this.#sent) }

  /** The other side has everything, and FIN. */
  get isDone (): boolean { return this.#isEndAcknowledged }

  /** FIN was sent. */
  get hasSentEnd (): boolean { return this.#isEndAcknowledged || (this.#isSynAcknowledged && this.#sent > this.#queue.length) }

  get maxData (): number { return this.#maxData }

  append (bytes: Uint8Array): void { this.#queue.append(bytes) }

  finish (): void { this.#hasEnd = true }

  /** The other side has said how much data it takes in a segment. */
  start (maxData: number): void {
    this.#maxData = maxData
    this.#congestion.start(maxData)
  }

  /** Segments were too large: all is sent again in smaller ones, which is no sign of congestion (RFC 1191, section 6.4). */
  limitData (maxData: number): void {
    this.#maxData = maxData
    this.#congestion.limitData(maxData)
    this.#restart()
  }

  /** SYN is sent again, this time with an acknowledgement. */
  repeatSyn (): void {
    this.#next = 0
    this.#measured = undefined
  }

  /** The other side answers whatever is sent to it, so it is there, although it has no room. */
  isAnswered (): void { if (this.#next === 0) this.#retries = 0 }

  acknowledge (segment: Segment): Acknowledged {
    const { acknowledgement, window } = segment
    const count = distance(this.#unacknowledged, acknowledgement)
    if (count > this.#sent || count < -Math.max(this.#window.largest, this.#init.limit)) return 'invalid'
    const isSameWindow = window === this.#window.size
    if (count >= 0) this.#updateWindow(segment)
    if (count > 0) this.#take(count)
    else if (count === 0 && lengthOf(segment) === 0 && isSameWindow && this.#sent > 0) this.#duplicates++
    this.#select(segment)
    this.#noticeLoss()
    return count > 0 ? 'news' : 'nothing'
  }

  /** Sends what may be sent now. True when something was. */
  transmit (): boolean {
    let hasSent = false
    if (this.#sent === 0 && this.#queue.length > 0 && this.#init.clock.now() - this.#sentAt > this.#timeout.value) this.#congestion.rested()
    while (this.#transmitNext()) hasSent = true
    if (!this.#isStopped && !this.#deadline.isSet && (this.#next > 0 || this.#waits)) this.#deadline.set(this.#timeout.value)
    return hasSent
  }

  stop (): void {
    this.#isStopped = true
    this.#deadline.stop()
    this.#queue.clear()
  }

  /** Something is there that the window of the other side does not let pass. */
  get #waits (): boolean { return this.#isSynAcknowledged && this.#queue.length > 0 }

  #updateWindow (segment: Segment): void {
    if (!this.#window.update(segment) || this.#next > 0) return
    this.#timeout.restore() // the next deadline is not that of a probe
    this.#deadline.clear()
  }

  /** What is acknowledged is removed, and the rest moves up. */
  #take (count: number): void {
    this.#unacknowledged = advance(this.#unacknowledged, count)
    this.#next = Math.max(0, this.#next - count)
    this.#sent -= count
    this.#repeated = Math.max(0, this.#repeated - count)
    this.#selective.shift(count)
    let bytes = count
    if (!this.#isSynAcknowledged) {
      this.#isSynAcknowledged = true
      bytes--
    }
    if (bytes > this.#queue.length) {
      this.#isEndAcknowledged = true
      bytes--
    }
    this.#queue.discard(bytes)
    this.#acknowledged += bytes
    this.#retries = this.#duplicates = 0
    this.#measure()
    this.#timeout.restore()
    this.#adapt(bytes, count + this.#sent)
    if (this.#next > 0) this.#deadline.set(this.#timeout.value)
    else this.#deadline.clear()
  }

  #measure (): void {
    if (this.#measured === undefined || distance(this.#measured.end, this.#unacknowledged) < 0) return
    this.#timeout.measured(this.#init.clock.now() - this.#measured.at)
    this.#measured = undefined
  }

  #adapt (bytes: number, underWay: number): void {
    const isBehind = distance(this.#recoverUntil, this.#unacknowledged) >= 0
    if (this.#isRecovering && isBehind) this.#isRecovering = false
    else if (!this.#isRecovering) this.#congestion.acknowledged(bytes, underWay)
    if (isBehind) this.#recoverUntil = this.#unacknowledged // so that it never gets far behind
  }

  #select ({ selective }: Segment): void {
    for (const range of selective ?? []) {
      const [start, end] = range.map((sequence) => distance(this.#unacknowledged, sequence))
      if (start > 0 && start < end && end <= Math.min(this.#sent, this.#queue.length)) this.#selective.add(start, end)
    }
  }

  /** The rate is halved once for all that is lost until everything that is under way now was acknowledged. */
  #noticeLoss (): void {
    if (this.#isRecovering || !this.#isSynAcknowledged || this.#sent === 0 || distance(this.#recoverUntil, this.#unacknowledged) < 0) return
    if (this.#duplicates < DUPLICATES && this.#selective.lostBefore(this.#maxData) === 0) return
    this.#isRecovering = true
    this.#recoverUntil = this.end
    this.#repeated = 0
    this.#congestion.halve(this.#sent)
  }

  /** What is sent again now: `undefined` when nothing. */
  #nextLost (): { offset: number, size: number } | undefined {
    if (!this.#isRecovering) return undefined
    const { start, end } = this.#selective.gapFrom(this.#repeated, Math.min(this.#sent, this.#queue.length))
    const size = Math.min(this.#maxData, end - start)
    if (this.#repeated === 0) return { offset: 0, size } // the other side waits for that
    const lostBefore = this.#selective.lostBefore(this.#maxData)
    if (size <= 0 || start >= lostBefore || this.#congestion.window - this.#underWay(lostBefore) < size) return undefined
    return { offset: start, size }
  }

  /** Bytes that are still in the network, as far as this side knows. */
  #underWay (lostBefore = this.#isRecovering ? this.#selective.lostBefore(this.#maxData) : 0): number {
    const lost = lostBefore > this.#repeated ? lostBefore - this.#repeated - (this.#selective.before(lostBefore) - this.#selective.before(this.#repeated)) : 0
    return this.#next - this.#selective.before(this.#next) - lost
  }

  #transmitNext (): boolean {
    if (this.#isStopped) return false
    if (!this.#isSynAcknowledged) {
      if (this.#next > 0) return false
      this.#sending(1)
      this.#init.emit(Flag.SYN, this.#unacknowledged, NO_DATA)
      return true
    }
    const lost = this.#nextLost()
    if (lost !== undefined) {
      this.#repeat(lost.offset, lost.size)
      return true
    }
    if (this.#next < this.#sent) this.#next = this.#selective.gapFrom(this.#next, this.#sent).start // behind what is there already
    const offset = this.#next
    const unsent = this.#queue.length - offset
    if (unsent < 0) return false // FIN was sent
    const size = Math.min(unsent, this.#maxData, Math.max(0, Math.min(this.#window.size - offset, this.#congestion.window - this.#underWay())))
    if (size === 0 && !(unsent === 0 && this.#hasEnd && !this.#isEndAcknowledged)) return false
    // No tiny segments because of a small window (RFC 9293, section 3.8.6.2.1), unless nothing under way would make it larger.
    if (size < this.#maxData && size < unsent && size < this.#window.largest / 2 && offset > 0) return false
    this.#emit(offset, size)
    return true
  }

  #repeat (offset: number, size: number): void {
    this.#measured = undefined // an acknowledgement does not say which of both it is of
    this.#repeated = Math.max(1, offset + size)
    if (offset === 0) this.#deadline.set(this.#timeout.value)
    this.#emit(offset, size)
  }

  /** Sends `size` bytes from an offset on, with FIN where it follows. */
  #emit (offset: number, size: number): void {
    const isNext = offset === this.#next
    const isLast = (isNext ? this.#hasEnd : this.hasSentEnd) && offset + size === this.#queue.length
    if (isNext) this.#sending(isLast ? size + 1 : size)
    this.#init.emit(isLast ? Flag.FIN : 0, advance(this.#unacknowledged, offset), size > 0 ? this.#queue.view(offset, size) : NO_DATA)
  }

  /** Before the call that sends, which may bring an answer. */
  #sending (count: number): void {
    this.#sentAt = this.#init.clock.now()
    this.#next += count
    if (this.#next <= this.#sent) return
    if (this.#measured === undefined && this.#next - count >= this.#sent) this.#measured = { end: advance(this.#unacknowledged, this.#next), at: this.#sentAt }
    this.#sent = this.#next
  }

  /** Nothing was acknowledged for too long. */
  #expire (): void {
    const { retries, synRetries, emit, lost } = this.#init
    if (this.#next === 0 && !this.#waits) return
    if (this.#retries >= (this.#isSynAcknowledged ? retries : synRetries)) {
      lost()
      return
    }
    this.#retries++
    this.#timeout.backOff()
    if (this.#next > 0) {
      this.#congestion.timedOut(this.#sent, this.#retries === 1)
      this.#restart()
    } else {
      emit(0, advance(this.#unacknowledged, -1), NO_DATA) // a probe: the other side answers with its window
    }
    this.transmit()
  }

  /** What is next is the first that is not acknowledged. */
  #restart (): void {
    this.#isRecovering = false
    this.#recoverUntil = this.end
    this.#duplicates = 0
    this.#selective.clear()
    this.#measured = undefined
    this.#next = 0
  }
}

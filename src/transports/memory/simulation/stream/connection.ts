/** One end of a connection as a state machine (RFC 9293): segments go in and out by calls, time comes from a clock. */
import type { ConnectionInit } from './connection-init.ts'
import { Deadline } from './deadline.ts'
import type { StreamErrorCode } from './errors.ts'
import { KeepAlive } from './keep-alive.ts'
import { Receiver } from './receiver.ts'
import { DEFAULT_MAX_DATA, Flag, isSegment, LEAST_MAX_DATA, lengthOf, NO_DATA, resetFor, selectiveWithin, type Segment } from './segment.ts'
import { Sender } from './sender.ts'
import { advance, distance } from './sequence.ts'
import type { Delivery } from '../../../../types.ts'

/** Milliseconds between two answers to segments without data that do not fit, so that two ends never answer each other without end. */
const CHALLENGE_INTERVAL = 500

/** Segments that wait while another one is taken. */
const MAX_ARRIVED = 1024

type State = 'new' | 'syn-sent' | 'syn-received' | 'open' | 'time-wait' | 'gone'

export class Connection {
  readonly #init: ConnectionInit
  readonly #sender: Sender
  readonly #receiver: Receiver
  readonly #waiting: Deadline
  readonly #keepAlive: KeepAlive
  #state: State = 'new'
  /** The first sequence number of the other side. */
  #firstOfOther = 0
  /** This side has finished before the other one was heard to. */
  #hasEndedFirst = false
  #isAckDue = false
  #challengedAt = -Infinity
  #wantsRoom = false
  /** It is taking or sending segments. Those that come meanwhile wait, so that a network without delay leads to no deep recursion. */
  #isBusy = false
  readonly #arrived: Segment[] = []

  constructor (init: ConnectionInit) {
    this.#init = init
    const { clock, sequence, sendBuffer, receiveBuffer, synRetries, retries, keepAlive } = init
    const lost = (): void => { this.#fail('ETIMEDOUT') }
    this.#receiver = new Receiver(receiveBuffer)
    this.#waiting = new Deadline(clock, () => { this.#leave() })
    this.#keepAlive = new KeepAlive({ clock, silence: keepAlive, probe: () => { this.#probe() }, lost })
    this.#sender = new Sender({
      clock,
      sequence,
      limit: sendBuffer,
      synRetries,
      retries,
      emit: (flags, sequence, data) => { this.#emit(flags, sequence, data) },
      lost
    })
  }

  /** Nothing was sent yet. */
  get isNew (): boolean { return this.#state === 'new' }

  /** It only keeps its addresses, until what may still be on its way has come. */
  get isWaiting (): boolean { return this.#state === 'time-wait' }

  get isGone (): boolean { return this.#state === 'gone' }

  /** The other side has finished, and everything was read. */
  get hasEnded (): boolean { return this.#receiver.hasEnded && this.#receiver.readable === 0 }

  /** See `Link.delivery`. */
  get delivery (): Delivery { return this.#sender.delivery }

  /** Bytes that it holds: to be acknowledged, to be read, and that came too early. */
  get held (): number { return this.#sender.queued + this.#receiver.readable + this.#receiver.early }

  /** Starts the handshake. */
  connect (): void {
    this.#state = 'syn-sent'
    this.#sendMore()
  }

  /** Answers the first segment of the other side, which has SYN. */
  accept (segment: Segment): void {
    this.#state = 'syn-received'
    this.#takeSyn(segment)
    this.#sendMore()
  }

  /**
   * Takes bytes as far as there is room, and copies them. When not all were taken, `writable` is called later.
   *
   * @returns how many
   */
  write (bytes: Uint8Array): number {
    let count = 0
    while (count < bytes.length && this.#state !== 'gone' && this.#sender.room > 0) { // a network without delay makes room at once
      const part = bytes.subarray(count, count + this.#sender.room)
      count += part.length
      this.#sender.append(part)
      this.#sendMore()
    }
    this.#wantsRoom = count < bytes.length
    return count
  }

  /** Finishes this direction, behind what was written. */
  end (): void {
    this.#sender.finish()
    this.#sendMore()
  }

  /** Some of the bytes that have come; undefined when there are none. */
  read (): Uint8Array | undefined {
    const bytes = this.#receiver.read()
    if (bytes !== undefined && this.#state === 'open' && this.#receiver.hasNews(this.#sender.maxData)) {
      this.#isAckDue = true
      this.#sendMore()
    }
    return bytes
  }

  /** Ends both directions at once, and tells the other side, which gets `ECONNRESET`. Nothing is called any more but `gone`. */
  abort (): void {
    if (this.#state === 'gone' || this.#state === 'time-wait') return
    if (this.#state === 'open' || this.#state === 'syn-received') this.#emit(Flag.RST, this.#sender.end, NO_DATA)
    this.#leave()
  }

  /** Whether a SYN is of a new connection between the same addresses, which may take the place of this one (RFC 9293, section 3.10.7.4). */
  mayBeReplacedBy (segment: Segment): boolean {
    return this.#state === 'time-wait' && (segment.flags & (Flag.SYN | Flag.ACK | Flag.RST)) === Flag.SYN && distance(this.#receiver.next, segment.sequence) >= 0
  }

  /** Gives up the addresses, of which nothing is expected any more. */
  leaveTimeWait (): void { if (this.#state === 'time-wait') this.#leave() }

  /** The network has dropped a segment because it takes only so many bytes of data: sends smaller ones from now on, and what was lost again. */
  limitData (maxData: number): void {
    if (this.#state !== 'open' || maxData >= this.#sender.maxData || maxData < LEAST_MAX_DATA) return
    this.#sender.limitData(maxData)
    this.#sendMore()
  }

  /**
   * ICMP has said that a segment could not be delivered. It only ends a connection that is not open yet: later the way may come back
   * (RFC 5461).
   */
  unreachable (code: StreamErrorCode): void { if (this.#state === 'syn-sent') this.#fail(code) }

  /** A segment has come, or what pretends to be one. */
  receive (segment: unknown): void {
    if (this.#state === 'gone' || this.#state === 'new' || !isSegment(segment)) return
    if (!this.#isBusy) this.#whileBusy(segment)
    else if (this.#arrived.length < MAX_ARRIVED) this.#arrived.push(segment)
  }

  /** Takes a segment if there is one, sends what may be sent, and takes what comes back meanwhile. */
  #whileBusy (segment?: Segment): void {
    this.#isBusy = true
    try {
      let next = segment
      do {
        if (next !== undefined) this.#take(next)
        this.#transmit()
      } while ((next = this.#arrived.shift()) !== undefined)
    } finally {
      this.#isBusy = false
    }
  }

  #take (segment: Segment): void {
    if (this.#state === 'open') this.#keepAlive.heard()
    if (this.#state === 'syn-sent') this.#receiveAnswer(segment)
    else if (this.#state !== 'gone') this.#receiveNext(segment)
  }

  // The handshake.

  #receiveAnswer (segment: Segment): void {
    const { flags, acknowledgement } = segment
    const isAcknowledging = (flags & Flag.ACK) !== 0
    const isOfSyn = isAcknowledging && acknowledgement === this.#sender.end
    if (isAcknowledging && !isOfSyn) {
      this.#refuse(segment)
    } else if ((flags & Flag.RST) !== 0) {
      if (isOfSyn) this.#fail('ECONNREFUSED')
    } else if ((flags & Flag.SYN) !== 0) {
      this.#takeSyn(segment)
      this.#state = 'syn-received'
      if (!isOfSyn) { // both have started at the same time: SYN goes again, with an acknowledgement
        this.#sender.repeatSyn()
        return
      }
      this.#isAckDue = true
      this.#sender.acknowledge(segment)
      this.#open()
    }
  }

  #takeSyn ({ sequence, maxData }: Segment): void {
    this.#firstOfOther = sequence
    this.#receiver.next = advance(sequence, 1)
    const ofOther = maxData === 0 ? DEFAULT_MAX_DATA : Math.max(LEAST_MAX_DATA, maxData)
    this.#sender.start(Math.min(ofOther, this.#init.maxData))
  }

  #open (): void {
    this.#state = 'open'
    this.#keepAlive.heard()
    this.#init.events.opened()
  }

  // After SYN of the other side.

  #receiveNext (segment: Segment): void {
    const { sequence, flags, data } = segment
    if ((flags & Flag.RST) !== 0) {
      this.#receiveReset(sequence)
      return
    }
    if ((flags & Flag.SYN) !== 0) {
      this.#receiveSyn(segment)
      return
    }
    if ((flags & Flag.ACK) === 0) return
    if (this.#state === 'time-wait') {
      if (lengthOf(segment) > 0) { // the last acknowledgement was lost, and this one may be as well
        this.#sendAck()
        this.#waiting.set(this.#init.timeWait)
      }
      return
    }
    if (!this.#receiver.accepts(sequence, lengthOf(segment))) {
      this.#challenge(segment)
      return
    }
    if (!this.#acknowledge(segment)) return
    if (data.length > 0 || (flags & Flag.FIN) !== 0) this.#takeData(segment)
    this.#finishIfDone()
  }

  /** A reset counts when it is exactly the next; else it may be forged, and a true one comes again (RFC 5961, section 3.2). */
  #receiveReset (sequence: number): void {
    const { next } = this.#receiver
    if (this.#state === 'time-wait') return
    if (sequence === next) this.#fail(this.#state === 'syn-received' ? 'ECONNREFUSED' : 'ECONNRESET')
    else if (this.#receiver.accepts(sequence, 0)) this.#challenge()
  }

  #receiveSyn (segment: Segment): void {
    const { sequence, flags } = segment
    const isKnown = sequence === this.#firstOfOther
    if (isKnown && this.#state === 'syn-received') {
      if ((flags & Flag.ACK) === 0) this.#sender.repeatSyn() // its answer was lost
      else if (this.#acknowledge(segment)) this.#isAckDue = true
    } else if (isKnown && (flags & Flag.ACK) !== 0 && this.#state === 'open') {
      this.#isAckDue = true // the last step of the handshake was lost
    } else {
      this.#challenge()
    }
  }

  /** False when the segment is not to be processed further. */
  #acknowledge (segment: Segment): boolean {
    if (this.#state === 'syn-received' && segment.acknowledgement !== this.#sender.end) {
      this.#refuse(segment)
      return false
    }
    const { room } = this.#sender
    switch (this.#sender.acknowledge(segment)) {
      case 'invalid':
        this.#challenge()
        return false
      case 'nothing':
        this.#sender.isAnswered()
        return true
      default:
        if (this.#state === 'syn-received') this.#open()
        if (this.#wantsRoom && this.#sender.room > room) {
          this.#wantsRoom = false
          this.#init.events.writable()
        }
        return !this.isGone
    }
  }

  #takeData ({ sequence, data, flags }: Segment): void {
    const receiver = this.#receiver
    const { readable, hasEnded } = receiver
    this.#isAckDue = true
    receiver.add(sequence, data, (flags & Flag.FIN) !== 0)
    if (receiver.hasEnded && !hasEnded) this.#hasEndedFirst = this.#sender.hasSentEnd
    if (receiver.readable > readable || receiver.hasEnded !== hasEnded) this.#init.events.readable()
  }

  #finishIfDone (): void {
    if (this.#state !== 'open' || !this.#receiver.hasEnded || !this.#sender.isDone) return
    if (this.#hasEndedFirst) {
      this.#state = 'time-wait'
      this.#keepAlive.stop()
      this.#sendAck()
      this.#waiting.set(this.#init.timeWait)
    } else {
      this.#leave()
    }
  }

  // Sending.

  #sendMore (): void {
    if (this.#isBusy) this.#transmit()
    else this.#whileBusy()
  }

  #transmit (): void {
    if (this.#state === 'gone' || this.#state === 'new' || this.#state === 'time-wait') return
    const isAckDue = this.#isAckDue
    const hasSent = this.#sender.transmit()
    if (isAckDue && (!hasSent || this.#receiver.hasEarly)) this.#sendAck() // data leaves no room for ranges
  }

  #sendAck (): void { this.#emit(0, this.#sender.end, NO_DATA) }

  /** Says what is expected, to a sender that seems not to know. */
  #challenge (segment?: Segment): void {
    const now = this.#init.clock.now()
    if (segment === undefined || lengthOf(segment) === 0) {
      if (now - this.#challengedAt < CHALLENGE_INTERVAL) return
      this.#challengedAt = now
    }
    this.#sendAck()
  }

  #refuse (segment: Segment): void {
    const reset = resetFor(segment)
    if (reset !== undefined) this.#init.send(reset)
  }

  #emit (flags: number, sequence: number, data: Uint8Array): void {
    const isSyn = (flags & Flag.SYN) !== 0
    const knowsOther = this.#state !== 'syn-sent'
    this.#isAckDue = false
    const selective = knowsOther && data.length === 0 ? selectiveWithin(this.#sender.maxData, this.#receiver.selective) : undefined
    this.#init.send({
      sequence,
      acknowledgement: knowsOther ? this.#receiver.next : 0,
      window: this.#receiver.advertise(this.#sender.maxData),
      flags: knowsOther ? flags | Flag.ACK : flags,
      maxData: isSyn ? this.#init.maxData : 0,
      data,
      ...(selective === undefined ? undefined : { selective })
    })
  }

  /** A segment before what the other side expects, which makes it say what that is (RFC 1122, section 4.2.3.6). */
  #probe (): void { this.#emit(0, advance(this.#sender.end, -1), NO_DATA) }

  // The end.

  #fail (code: StreamErrorCode): void {
    this.#init.events.failed(code)
    this.#leave()
  }

  #leave (): void {
    if (this.#state === 'gone') return
    this.#state = 'gone'
    this.#sender.stop()
    this.#waiting.stop()
    this.#keepAlive.stop()
    this.#init.events.gone()
  }
}

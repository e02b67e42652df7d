/** The sending direction of a socket: what the system has no room for waits, in order. */
import { constants } from 'node:os'
import type { MessageWriter } from './message-writer.ts'
import type { NativeUdp, OpenedSocket } from './native-udp.ts'
import { countError, type UdpErrors } from '../errors.ts'
import { DATAGRAM_OVERHEAD } from '../queue.ts'
import { MAX_DATAGRAM, type UdpOffload } from '../socket.ts'
import { Unsent } from '../unsent.ts'
import { errnoOf } from '../../../net/native/errno.ts'
import type { PollHandle } from '../../../net/native/poller.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { Batch, Datagram, PacketPort } from '../../../types.ts'

const { EAGAIN, EINTR, EINVAL, EIO, EMSGSIZE } = constants.errno

/** Calls for one datagram, while errors of earlier ones come in; then it waits. */
const MOST_TRIES = 32

/** Hosts to which datagrams of some size are not grouped, and milliseconds for which: as long as the kernel remembers the MTU of a path. */
const MOST_BOUNDS = 256
const BOUND_TIME = 600_000

/** Bytes of the largest datagram that goes in a group, where a larger one was refused. */
interface Bound {
  size: number
  /** When it ends, by the system clock. */
  until: number
}

export interface OutgoingInit {
  udp: NativeUdp
  opened: OpenedSocket
  limit: number
  errors: UdpErrors
  pollHandle: PollHandle
}

export class Outgoing implements PacketPort<Datagram> {
  readonly limit: number
  readonly isReusable = true
  readonly offloads: readonly UdpOffload[]
  reduced: string | undefined
  readonly #udp: NativeUdp
  readonly #writer: MessageWriter
  readonly #fd: number
  readonly #family: 'v4' | 'v6'
  readonly #errors: UdpErrors
  readonly #pollHandle: PollHandle
  readonly #largest: number
  /** Whether neighbours may be grouped. */
  readonly #groups: boolean
  /** By host. */
  readonly #bounds = new Map<string, Bound>()
  /** What waits for room in the system, from `#waitingFrom` on. */
  #waiting: Batch<Datagram> = []
  #waitingFrom = 0
  readonly #unsent = new Unsent()
  #isClosed = false

  constructor ({ udp, opened: { fd, family, offloads, reduced }, limit, errors, pollHandle }: OutgoingInit) {
    this.#udp = udp
    this.#writer = udp.writer
    this.#fd = fd
    this.#family = family
    this.#largest = family === 'v6' ? MAX_DATAGRAM.ipv6 : MAX_DATAGRAM.ipv4
    this.offloads = offloads
    this.#groups = offloads.includes('gso')
    this.reduced = reduced
    this.limit = limit
    this.#errors = errors
    this.#pollHandle = pollHandle
  }

  get queued (): number { return this.#unsent.bytes }

  send (batch: Batch<Datagram>): number {
    if (this.#isClosed || this.queued >= this.limit) return 0
    for (const { data } of batch) if (data.length > this.#largest) return 0
    const from = this.queued > 0 ? 0 : this.#write(batch, 0)
    if (from < batch.length) this.#wait(batch, from)
    return batch.length
  }

  drained (): Promise<void> { return this.#unsent.drained() }

  close (): void {
    this.#isClosed = true
    this.#waiting = []
    this.#unsent.remove(this.queued)
    this.#unsent.close()
  }

  #wait (batch: Batch<Datagram>, from: number): void {
    if (this.queued === 0) this.#pollHandle.whenWritable(this.#resume)
    for (let i = from; i < batch.length; i++) {
      this.#waiting.push(batch[i])
      this.#unsent.add(weightOf(batch[i]))
    }
  }

  readonly #resume = (): void => {
    const waiting = this.#waiting
    const end = this.#write(waiting, this.#waitingFrom)
    if (end === waiting.length) {
      this.#waiting = []
      this.#waitingFrom = 0
      this.#unsent.remove(this.queued) // also when what was sent has another length by now
    } else {
      for (let i = this.#waitingFrom; i < end; i++) this.#unsent.remove(weightOf(waiting[i]))
      this.#waitingFrom = end
      if (end > waiting.length / 2) { // what was sent is let go
        waiting.splice(0, end)
        this.#waitingFrom = 0
      }
      this.#pollHandle.whenWritable(this.#resume)
    }
  }

  /** Returns the index of the first one that has to wait, or the length. */
  #write (batch: Batch<Datagram>, from: number): number {
    const { libc } = this.#udp
    const writer = this.#writer
    /** Up to this index they go one by one. */
    let alone = from
    let isPrepared = false
    let tries = 0
    /** The error of the last call, which may be that of an earlier datagram: such a one does not come again. */
    let last = 0
    for (let at = from; at < batch.length;) {
      const bound = this.#groups && at >= alone ? this : undefined
      if ((!isPrepared || writer.isSent) && writer.prepare(batch, at, this.#family, bound) === 0) {
        this.#errors.other++ // no address, or none of this family, or no port
        at++
        continue
      }
      isPrepared = true
      const sent = writer.send(this.#fd)
      const errno = sent < 0 ? libc.errno() : 0
      if (errno === EINTR) continue
      if (last !== 0 && errno !== last) countError(this.#errors, errnoOf(last)[0])
      if (errno === 0) {
        at += sent
        tries = last = 0
        continue
      }
      // Else the poller would wake for them again and again.
      const isTold = this.#udp.errorQueue.count(this.#fd, this.#errors)
      if (errno === EAGAIN) {
        this.#errors.waits++
        return at
      }
      if (isTold || errno !== last) {
        if (++tries > MOST_TRIES) return at // errors come in as fast as they are read
        last = isTold ? 0 : errno
        continue
      }
      tries = last = 0
      if (writer.next > 1 && this.#isOfGroup(errno, batch[at])) {
        alone = at + writer.next
        isPrepared = false
      } else if (writer.next > 1 || writer.hasMoved(batch[at].host, this.#family)) {
        alone = Math.max(alone, at + 1) // the first of a group is the one that has failed
        isPrepared = false
      } else {
        countError(this.#errors, errnoOf(errno)[0])
        writer.skip()
        at++
      }
    }
    return batch.length
  }

  largestSegment (host: string): number {
    const bound = this.#bounds.size === 0 ? undefined : this.#bounds.get(host)
    if (bound === undefined) return Infinity
    if (systemClock.now() < bound.until) return bound.size
    this.#bounds.delete(host)
    return Infinity
  }

  /** Whether an error may be that of a group, whose datagrams one by one may pass. */
  #isOfGroup (errno: number, { host, data }: Datagram): boolean {
    if (errno !== EIO && errno !== EMSGSIZE && errno !== EINVAL) return false
    if (errno === EIO) this.reduced = 'an interface does not split groups of datagrams' // it computes no checksums
    if (this.#bounds.size >= MOST_BOUNDS) this.#bounds.clear()
    // Larger than the way takes: one by one the system may cut them into fragments. Where it must not, each is counted, and smaller ones still go in groups.
    this.#bounds.set(host, { size: errno === EIO ? 0 : data.length - 1, until: systemClock.now() + BOUND_TIME })
    return true
  }
}

const weightOf = ({ data }: Datagram): number => data.length + DATAGRAM_OVERHEAD

/** The sending direction of a socket: what the system has no room for waits, in order. */
import { constants } from 'node:os'
import type { MessageWriter } from './message-writer.ts'
import type { NativeUdp, OpenedSocket } from './native-udp.ts'
import { countError, type UdpErrors } from '../errors.ts'
import { DATAGRAM_OVERHEAD } from '../queue.ts'
import { MAX_DATAGRAM, type UdpOffload } from '../socket.ts'
import { errnoOf } from '../../../net/native/errno.ts'
import type { PollHandle } from '../../../net/native/poller.ts'
import type { Batch, Datagram, PacketPort } from '../../../types.ts'

const { EAGAIN, EINTR, EINVAL, EIO, EMSGSIZE } = constants.errno

/** Calls for one datagram, while errors of earlier ones come in. */
const MOST_TRIES = 8

/** Hosts to which datagrams of some size are not grouped. */
const MOST_BOUNDS = 256

export interface OutgoingInit {
  udp: NativeUdp
  opened: OpenedSocket
  limit: number
  errors: UdpErrors
  pollHandle: PollHandle
}

export class Outgoing implements PacketPort<Datagram> {
  readonly limit: number
  offloads: readonly UdpOffload[]
  reduced: string | undefined
  readonly #udp: NativeUdp
  readonly #writer: MessageWriter
  readonly #fd: number
  readonly #family: 'v4' | 'v6'
  readonly #errors: UdpErrors
  readonly #pollHandle: PollHandle
  readonly #largest: number
  /** Bytes of the largest datagram by host that goes in a group, where a larger one was refused. */
  readonly #bounds = new Map<string, number>()
  /** What waits for room in the system, from `#waitingFrom` on. */
  #waiting: Batch<Datagram> = []
  #waitingFrom = 0
  #queued = 0
  #drained: Array<() => void> = []
  #isClosed = false

  constructor ({ udp, opened: { fd, family, offloads, reduced }, limit, errors, pollHandle }: OutgoingInit) {
    this.#udp = udp
    this.#writer = udp.writer
    this.#fd = fd
    this.#family = family
    this.#largest = family === 'v6' ? MAX_DATAGRAM.ipv6 : MAX_DATAGRAM.ipv4
    this.offloads = offloads
    this.reduced = reduced
    this.limit = limit
    this.#errors = errors
    this.#pollHandle = pollHandle
  }

  get queued (): number { return this.#queued }

  send (batch: Batch<Datagram>): number {
    if (this.#isClosed || this.#queued >= this.limit) return 0
    for (const { data } of batch) if (data.length > this.#largest) return 0
    const from = this.#queued > 0 ? 0 : this.#write(batch, 0)
    if (from < batch.length) this.#wait(batch, from)
    return batch.length
  }

  drained (): Promise<void> {
    if (this.#isClosed || this.#queued === 0) return Promise.resolve()
    return new Promise((resolve) => { this.#drained.push(resolve) })
  }

  close (): void {
    this.#isClosed = true
    this.#waiting = []
    this.#queued = 0
    this.#wake()
  }

  #wait (batch: Batch<Datagram>, from: number): void {
    if (this.#queued === 0) this.#pollHandle.whenWritable(this.#resume)
    for (let i = from; i < batch.length; i++) {
      this.#waiting.push(batch[i])
      this.#queued += weightOf(batch[i])
    }
  }

  readonly #resume = (): void => {
    const waiting = this.#waiting
    const end = this.#write(waiting, this.#waitingFrom)
    for (let i = this.#waitingFrom; i < end; i++) this.#queued -= weightOf(waiting[i])
    this.#waitingFrom = end
    if (end === waiting.length) {
      this.#waiting = []
      this.#waitingFrom = 0
    } else {
      if (end > waiting.length / 2) { // what was sent is let go
        waiting.splice(0, end)
        this.#waitingFrom = 0
      }
      this.#pollHandle.whenWritable(this.#resume)
    }
    if (this.#queued === 0) this.#wake()
  }

  /** Returns the index of the first one that there is no room for, or the length. */
  #write (batch: Batch<Datagram>, from: number): number {
    const { libc } = this.#udp
    const writer = this.#writer
    /** Of a datagram, whose errors may have been those of earlier ones. */
    let tries = 0
    /** Up to this index they go one by one. */
    let alone = from
    for (let at = from; at < batch.length;) {
      const bound = at >= alone && this.offloads.includes('gso') ? this : undefined
      if (writer.prepare(batch, at, this.#family, bound) === 0) {
        this.#errors.other++ // no address, or none of this family, or no port
        at++
        continue
      }
      const sent = writer.send(this.#fd)
      if (sent >= 0) {
        at += sent
        tries = 0
        continue
      }
      const errno = libc.errno()
      if (errno === EINTR) continue
      if (errno === EAGAIN) {
        this.#errors.noRoom++
        this.#udp.errorQueue.count(this.#fd, this.#errors) // else an error that waits would wake it at once, again and again
        return at
      }
      if (bound !== undefined && writer.first > 1 && this.#isOfGroup(errno, batch[at])) {
        alone = at + writer.first
      } else if (tries < MOST_TRIES && (this.#udp.errorQueue.count(this.#fd, this.#errors) || tries === 0)) {
        tries++ // it may be that of an earlier one, which is told once
      } else if (!writer.hasMoved(batch[at].host, this.#family)) {
        countError(this.#errors, errnoOf(errno)[0])
        at++
        tries = 0
      }
    }
    return batch.length
  }

  largestSegment (host: string): number { return this.#bounds.get(host) ?? Infinity }

  /** Whether an error may be that of a group, whose datagrams one by one may pass. */
  #isOfGroup (errno: number, { host, port, data }: Datagram): boolean {
    if (errno === EIO) { // the interface computes no checksums
      this.offloads = this.offloads.filter((offload) => offload !== 'gso')
      this.reduced = 'an interface does not split groups of datagrams'
      return true
    }
    if (port === 0 || (errno !== EMSGSIZE && errno !== EINVAL)) return false
    if (this.#bounds.size >= MOST_BOUNDS) this.#bounds.clear()
    this.#bounds.set(host, data.length - 1) // larger than the way takes: one by one the system may cut them into fragments
    return true
  }

  #wake (): void {
    if (this.#drained.length > 0) for (const resolve of this.#drained.splice(0)) resolve()
  }
}

const weightOf = ({ data }: Datagram): number => data.length + DATAGRAM_OVERHEAD

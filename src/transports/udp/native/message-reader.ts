/**
 * Reads many datagrams by one system call: recvmmsg(2), and `UDP_GRO` of udp(7), by which one message is several datagrams of one size from
 * one address.
 */
import { MessageArray } from './message-array.ts'
import type { DatagramQueue } from '../queue.ts'
import type { Libc } from '../../../net/native/libc.ts'
import type { MemoryAddresses } from '../../../net/native/memory-addresses.ts'
import { hostOf, SOCKADDR_IN6 } from '../../../net/native/socket-address.ts'
import { AF_INET, IPPROTO_UDP, MSG_DONTWAIT, UDP_GRO } from '../../../net/native/socket-numbers.ts'
import type { Batch, Datagram } from '../../../types.ts'

/** Messages of one call. */
const MESSAGES = 16

/** Bytes for each: more than the largest datagram of either family, so that none is cut. */
const SLOT = 64 << 10

/** Bytes of the control messages of each. */
const CONTROL = 64

/** Addresses whose text is kept: a power of 2. */
const HOSTS = 256

/** The words of an address that tell its host: behind family and port. */
const HOST_WORDS = { v4: [1], v6: [1, 2, 3, 4, 5, 6] } as const

const hostWords = (first: number): readonly number[] => (first & 0xffff) === AF_INET ? HOST_WORDS.v4 : HOST_WORDS.v6

interface KnownHost {
  words: Uint32Array
  host: string
}

export class MessageReader {
  readonly #libc: Libc
  readonly #array: MessageArray
  /** A slot for each message. */
  readonly #memory = new Uint8Array(MESSAGES * SLOT)
  readonly #hosts: Array<KnownHost | undefined> = new Array(HOSTS).fill(undefined)
  /** Messages of the last call. */
  #messages = MESSAGES

  constructor (libc: Libc, addresses: MemoryAddresses) {
    this.#libc = libc
    this.#array = new MessageArray({ addresses, messages: MESSAGES, vectors: MESSAGES, controlSize: CONTROL })
    const address = addresses.of(this.#memory)
    for (let i = 0; i < MESSAGES; i++) {
      this.#array.setVector(i, address + i * SLOT, SLOT)
      this.#array.setVectors(i, i, 1)
    }
  }

  /** Whether the last call has brought one datagram, so that there is hardly another one. */
  get isSingle (): boolean { return this.#messages === 1 && this.#array.findControl(0, IPPROTO_UDP, UDP_GRO) === 0 }

  /** Reads what has come; false when there was nothing, or the call has failed. */
  read (fd: number): boolean {
    for (let i = 0; i < this.#messages; i++) { // the last call has changed those
      this.#array.setNameLength(i, SOCKADDR_IN6)
      this.#array.setControlLength(i, CONTROL)
    }
    const messages = this.#libc.recvmmsg(fd, this.#array.address, MESSAGES, MSG_DONTWAIT, null)
    this.#messages = Math.max(messages, 0)
    return messages > 0
  }

  /** The datagrams of the last call. Their memory is that of the next call as well. */
  lend (): Batch<Datagram> {
    const batch: Batch<Datagram> = []
    for (let i = 0; i < this.#messages; i++) this.#take(i, this.#memory.buffer, i * SLOT, batch)
    return batch
  }

  /** Adds the datagrams of the last call to a queue, as far as it has room, in memory of their own. Returns how many there were. */
  moveTo (queue: DatagramQueue<Datagram>): number {
    let datagrams = 0
    for (let i = 0; i < this.#messages; i++) {
      const count = this.#countOf(i)
      datagrams += count
      if (queue.isFull) {
        queue.dropped += count
        continue
      }
      // A block for each message: a datagram that waits long keeps no more than those of its group.
      const length = this.#array.lengthOf(i)
      const { buffer } = this.#memory.slice(i * SLOT, i * SLOT + length)
      const batch: Batch<Datagram> = []
      this.#take(i, buffer, 0, batch)
      for (const datagram of batch) queue.add(datagram)
    }
    return datagrams
  }

  #take (message: number, buffer: ArrayBuffer, from: number, batch: Batch<Datagram>): void {
    const length = this.#array.lengthOf(message)
    const { words } = this.#array
    const size = this.#sizeOf(message)
    const at = this.#array.nameAt(message)
    const host = this.#hostAt(message, at)
    const port = (words[at] >>> 24) | (words[at] >>> 8 & 0xff00)
    if (length === 0) batch.push({ data: new Uint8Array(0), host, port })
    for (let begin = 0; begin < length; begin += size) {
      batch.push({ data: new Uint8Array(buffer, from + begin, Math.min(size, length - begin)), host, port })
    }
  }

  /** Bytes of each datagram of a message; the last one may be shorter. */
  #sizeOf (message: number): number {
    const grouped = this.#array.findControl(message, IPPROTO_UDP, UDP_GRO)
    return grouped === 0 || this.#array.words[grouped] === 0 ? this.#array.lengthOf(message) : this.#array.words[grouped]
  }

  #countOf (message: number): number {
    const length = this.#array.lengthOf(message)
    return length === 0 ? 1 : Math.ceil(length / this.#sizeOf(message))
  }

  #hostAt (message: number, at: number): string {
    const { words } = this.#array
    let hash = words[at] & 0xffff
    for (const i of hostWords(words[at])) hash = Math.imul(hash ^ words[at + i], 0x9e3779b1)
    const slot = (hash >>> 16) % HOSTS
    const known = this.#hosts[slot]
    if (known !== undefined && isHost(known.words, words, at)) return known.host
    const host = hostOf(this.#array.nameOf(message))
    this.#hosts[slot] = { words: words.slice(at, at + SOCKADDR_IN6 / 4), host }
    return host
  }
}

/** Compares two addresses without their ports. */
function isHost (known: Uint32Array, words: Uint32Array, at: number): boolean {
  if ((known[0] & 0xffff) !== (words[at] & 0xffff)) return false
  for (const i of hostWords(known[0])) if (known[i] !== words[at + i]) return false
  return true
}

/**
 * Sends a batch of datagrams by few system calls: sendmmsg(2), and `UDP_SEGMENT` of udp(7), by which one message is up to 64 datagrams of
 * one size to one address.
 */
import { isIP } from 'node:net'
import { CONTROL_DATA, controlLength, MessageArray } from './message-array.ts'
import type { Libc } from '../../../net/native/libc.ts'
import type { MemoryAddresses } from '../../../net/native/memory-addresses.ts'
import { PORT_AT, SOCKADDR_IN, SOCKADDR_IN6, socketAddress } from '../../../net/native/socket-address.ts'
import { IPPROTO_UDP, MSG_DONTWAIT, MSG_NOSIGNAL, UDP_SEGMENT } from '../../../net/native/socket-numbers.ts'
import type { Batch, Datagram } from '../../../types.ts'

/** Messages of one call. */
const MOST_MESSAGES = 64
/** Pieces of memory of all of them; the kernel takes 1024 in each. */
const MOST_VECTORS = 1024
/** Datagrams of one message, also of older kernels, and its bytes. */
const MOST_SEGMENTS = 64
const MOST_BYTES = 65_507

/** Bytes of the segment size. */
const SEGMENT_SIZE = 2

/** Addresses that are kept in the form of the system. */
const MOST_HOSTS = 1024

/** The first word of an address has the family, and the port in network order. */
const PORT_SHIFT = PORT_AT * 8

/** The word with the zone of an address of IPv6. */
const SCOPE_WORD = 6

/** Largest datagram to an address that can be part of a message of several. */
export interface SegmentBound {
  largestSegment (host: string): number
}

export class MessageWriter {
  readonly #libc: Libc
  readonly #addresses: MemoryAddresses
  readonly #array: MessageArray
  /** Datagrams of each message. */
  readonly #counts = new Uint32Array(MOST_MESSAGES)
  #messages = 0
  #next = 0
  /** The words of an address with port 0, for sockets of either family; null for what is none. */
  readonly #hosts = { v4: new Map<string, Uint32Array | null>(), v6: new Map<string, Uint32Array | null>() }

  constructor (libc: Libc, addresses: MemoryAddresses) {
    this.#libc = libc
    this.#addresses = addresses
    this.#array = new MessageArray({ addresses, messages: MOST_MESSAGES, vectors: MOST_VECTORS })
    for (let i = 0; i < MOST_MESSAGES; i++) this.#array.setControl(i, IPPROTO_UDP, UDP_SEGMENT, SEGMENT_SIZE)
  }

  /**
   * Makes messages of the datagrams from `from` on, as many as one call takes. 0: the first of them has no address of the family, or no port.
   *
   * @param bound undefined where each datagram is a message of its own
   */
  prepare (batch: Batch<Datagram>, from: number, family: 'v4' | 'v6', bound: SegmentBound | undefined): number {
    const array = this.#array
    const nameLength = family === 'v4' ? SOCKADDR_IN : SOCKADDR_IN6
    let messages = 0
    let vectors = 0
    for (let at = from; at < batch.length && messages < MOST_MESSAGES && vectors < MOST_VECTORS; messages++) {
      const { host, port, data: { length: size } } = batch[at]
      const words = this.#wordsOf(host, family)
      if (words === null || (port & 0xffff) !== port) break
      const isSplit = bound === undefined || size > bound.largestSegment(host)
      const mostSegments = isSplit || size === 0 ? 1 : MOST_SEGMENTS
      const firstVector = vectors
      let count = 0
      let total = 0
      let end = -1
      let piece = 0
      for (; count < mostSegments && at < batch.length && (vectors < MOST_VECTORS || count === 0); at++, count++) {
        const { data, host: itsHost, port: itsPort } = batch[at]
        const { length } = data
        if (count > 0 && (length === 0 || length > size || total + length > MOST_BYTES || itsPort !== port || itsHost !== host)) break
        const address = this.#addresses.of(data)
        // Neighbours in memory are one piece.
        if (address === end) array.setVector(vectors - 1, end - piece, piece += length)
        else array.setVector(vectors++, address, piece = length)
        end = address + length
        total += length
        if (length < size) { // ends the message: only the last one may be shorter
          at++
          count++
          break
        }
      }
      array.setVectors(messages, firstVector, vectors - firstVector)
      this.#counts[messages] = count
      const name = array.nameAt(messages)
      for (let i = 0; i < words.length; i++) array.words[name + i] = words[i]
      array.words[name] |= (port >>> 8 | (port & 0xff) << 8) << PORT_SHIFT
      array.setNameLength(messages, nameLength)
      array.setControlLength(messages, count > 1 ? controlLength(SEGMENT_SIZE) : 0)
      if (count > 1) array.words[array.controlAt(messages) + CONTROL_DATA] = size
    }
    this.#messages = messages
    this.#next = 0
    return messages
  }

  /** Sends what was prepared and is left of it. Returns the number of datagrams that the system has taken, or -1. */
  send (fd: number): number {
    const sent = this.#libc.sendmmsg(fd, this.#array.addressOf(this.#next), this.#messages - this.#next, MSG_DONTWAIT | MSG_NOSIGNAL)
    if (sent < 0) return -1
    let datagrams = 0
    for (const end = this.#next + sent; this.#next < end; this.#next++) datagrams += this.#counts[this.#next]
    return datagrams
  }

  /** Whether anything is left of what was prepared. */
  get isSent (): boolean { return this.#next >= this.#messages }

  /** Datagrams of the next message. */
  get next (): number { return this.#counts[this.#next] }

  /** Leaves the next message out. */
  skip (): void { this.#next++ }

  /** Whether the zone of an address is that of another interface than when it was sent to first. */
  hasMoved (host: string, family: 'v4' | 'v6'): boolean {
    const known = host.includes('%') ? this.#hosts[family].get(host) : undefined
    if (known === undefined) return false
    this.#hosts[family].delete(host)
    return String(this.#wordsOf(host, family)) !== String(known)
  }

  #wordsOf (host: string, family: 'v4' | 'v6'): Uint32Array | null {
    const hosts = this.#hosts[family]
    const known = hosts.get(host)
    if (known !== undefined) return known
    if (hosts.size >= MOST_HOSTS) hosts.clear()
    const words = wordsOf(host, family)
    if (words !== null && isWithoutItsZone(host, words)) return null // not kept: its interface may come
    hosts.set(host, words)
    return words
  }
}

/** An address of a link whose zone is that of no interface: the system would choose one. */
const isWithoutItsZone = (host: string, words: Uint32Array): boolean => /^fe[89ab].*%/i.test(host) && words[SCOPE_WORD] === 0

/** A socket of IPv6 reaches those of IPv4 by mapped addresses, as of RFC 4291, section 2.5.5.2. */
function wordsOf (host: string, family: 'v4' | 'v6'): Uint32Array | null {
  const version = isIP(host)
  if (version === 0 || (family === 'v4' && version === 6)) return null
  const address = socketAddress(family === 'v6' && version === 4 ? `::ffff:${host}` : host, 0)
  return new Uint32Array(address.buffer.slice(address.byteOffset, address.byteOffset + address.length) as ArrayBuffer)
}

/**
 * Merges packets of a flow into large packets, as a network card with receive offload does, so that there is one system call for up to
 * 64 KiB: the reverse of `cut`. `runs.ts` tells which ones.
 *
 * Payloads of TCP are not read: the checksum of the large packet is computed from those of the segments, right or wrong, so it still detects
 * corruption. For UDP the kernel takes large packets without a checksum only, and computes it anew for each datagram: those with a wrong one
 * are written by themselves, for the kernel to drop.
 */
import { constants } from 'node:os'
import { PAGE, simdMemory } from '../../buffers/simd/memory.ts'
import { addWords, fold, swapBytes } from '../../net/checksum.ts'
import { HEADER_LENGTH, protocols, writeU16 } from '../../net/ipv4.ts'
import type { Batch } from '../../types.ts'
import type { Offload } from '../device.ts'
import { arrange, type Run, type RunKinds, TCP_CHECKSUM, TCP_FLAGS, TCP_LAST, TRANSPORT, UDP_CHECKSUM, UDP_HEADERS, UDP_LENGTH } from './runs.ts'
import { Gso, MAX_PACKET, VIRTIO_HEADER, writeVirtio } from './virtio.ts'

const { EINVAL } = constants.errno

/** A packet begins at a multiple of four, as checksums over words are faster there. */
const PACKET_AT = 16
const MEMORY_BYTES = 2 * PAGE

/** The sum of the payload of a segment, from its checksum. */
function payloadSum (packet: Uint8Array, headLength: number): number {
  const known = addWords(packet, 12, HEADER_LENGTH) + protocols.tcp + packet.length - TRANSPORT + addWords(packet, TRANSPORT, headLength)
  return fold(known) // complements the sum to 0xffff; the checksum field itself is included, as intended
}

/** Writes a packet to the device. Returns 0, or the error number. */
export type Write = (bytes: Uint8Array, length: number) => number

export class Joiner {
  readonly #write: Write
  readonly #bytes: Uint8Array
  readonly #packet: Uint8Array
  readonly #kinds: RunKinds
  /** Packets that the device has taken of the batch, and their bytes. */
  #packets = 0
  #taken = 0

  /**
   * @param write gets a virtio header and the packet after it; the memory is reused afterwards
   * @param offloads those in force: which large packets the device takes
   */
  constructor (write: Write, offloads: readonly Offload[]) {
    this.#write = write
    this.#kinds = { tcp: offloads.includes('tcp'), udp: offloads.includes('udp') }
    const memory = new Uint8Array(simdMemory(MEMORY_BYTES) ?? new ArrayBuffer(MEMORY_BYTES))
    this.#bytes = memory.subarray(PACKET_AT - VIRTIO_HEADER)
    this.#packet = memory.subarray(PACKET_AT)
  }

  /** Writes packets, in as few large ones as possible. Returns the number of packets taken, and their bytes. */
  push (batch: Batch): { packets: number, bytes: number } {
    this.#packets = this.#taken = 0
    for (const item of batch.length > 1 ? arrange(batch, this.#kinds) : batch) {
      if (item instanceof Uint8Array) this.#single(item)
      else if (item.packets.length === 1) this.#single(item.packets[0])
      else if (item.isUdp) this.#datagrams(item)
      else this.#segments(item)
    }
    return { packets: this.#packets, bytes: this.#taken }
  }

  #single (packet: Uint8Array): void {
    if (packet.length < HEADER_LENGTH || packet.length > MAX_PACKET) return
    writeVirtio(this.#bytes)
    this.#packet.set(packet)
    this.#count(this.#write(this.#bytes, VIRTIO_HEADER + packet.length), 1, packet.length)
  }

  #count (errno: number, packets: number, bytes: number): void {
    if (errno !== 0) return
    this.#packets += packets
    this.#taken += bytes
  }

  #segments ({ packets, headLength, size, length }: Run): void {
    const [first] = packets
    const target = this.#packet
    target.set(first)
    let at = first.length
    let sum = payloadSum(first, headLength)
    for (let i = 1; i < packets.length; i++) {
      const packet = packets[i]
      const part = payloadSum(packet, headLength)
      sum += ((at - headLength) & 1) === 0 ? part : swapBytes(part)
      target.set(packet.subarray(headLength), at)
      at += packet.length - headLength
    }
    target[TCP_FLAGS] |= packets[packets.length - 1][TCP_FLAGS] & TCP_LAST
    this.#finishHeader(length)
    writeU16(target, TCP_CHECKSUM, 0)
    const known = addWords(target, 12, HEADER_LENGTH) + protocols.tcp + length - TRANSPORT + addWords(target, TRANSPORT, headLength)
    writeU16(target, TCP_CHECKSUM, fold(known + sum))
    writeVirtio(this.#bytes, Gso.TCPV4, size, headLength)
    this.#count(this.#write(this.#bytes, VIRTIO_HEADER + length), packets.length, length + (packets.length - 1) * headLength)
  }

  #datagrams ({ packets, size }: Run): void {
    const target = this.#packet
    let begin = 0
    let at = 0
    for (let i = 0; i < packets.length; i++) {
      const packet = packets[i]
      if (i === begin) target.set(packet.subarray(0, at = UDP_HEADERS))
      target.set(packet.subarray(UDP_HEADERS), at)
      const end = at + packet.length - UDP_HEADERS
      // read where it was copied to, as that memory may be within the reach of SIMD
      if (fold(addWords(packet, 0, HEADER_LENGTH)) === 0 && fold(addWords(target, at, end, pseudoAndHeader(packet))) === 0) {
        at = end
        continue
      }
      this.#large(packets, begin, i, size, at)
      this.#single(packet)
      begin = i + 1
    }
    this.#large(packets, begin, packets.length, size, at)
  }

  /** Writes datagrams `[begin, end)`, which have been copied, as one packet of so many bytes. */
  #large (packets: Batch, begin: number, end: number, size: number, length: number): void {
    if (end - begin < 2) {
      if (begin < end) this.#single(packets[begin])
      return
    }
    const target = this.#packet
    this.#finishHeader(length)
    writeU16(target, UDP_LENGTH, length - TRANSPORT)
    // the kernel completes the sum of the pseudo header
    writeU16(target, UDP_CHECKSUM, ~fold(addWords(target, 12, HEADER_LENGTH, protocols.udp + length - TRANSPORT)))
    writeVirtio(this.#bytes, Gso.UDP, size, UDP_HEADERS, TRANSPORT, UDP_CHECKSUM - TRANSPORT)
    const errno = this.#write(this.#bytes, VIRTIO_HEADER + length)
    this.#count(errno, end - begin, length + (end - begin - 1) * UDP_HEADERS)
    if (errno !== EINVAL) return
    this.#kinds.udp = false // a kernel that promises more than it does
    for (let i = begin; i < end; i++) this.#single(packets[i])
  }

  /** Length and checksum of IPv4. */
  #finishHeader (length: number): void {
    const target = this.#packet
    writeU16(target, 2, length)
    writeU16(target, 10, 0)
    writeU16(target, 10, fold(addWords(target, 0, HEADER_LENGTH)))
  }
}

/** The sum of all that the checksum of UDP covers, but the payload. */
const pseudoAndHeader = (packet: Uint8Array): number => addWords(packet, 12, UDP_HEADERS, protocols.udp + packet.length - TRANSPORT)

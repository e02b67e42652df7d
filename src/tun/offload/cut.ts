/**
 * Segments a large packet, as a network card with segmentation offload does: the kernel passes up to 64 KiB of one TCP stream or one UDP
 * socket at once, with one header.
 *
 * Each packet gets its length, its IPv4 identification (incremented), its sequence number, and checksums. FIN and PSH are set in the last
 * one only, CWR in the first one (RFC 3168, section 6.1.2).
 */
import { checksumOffset, checksumStart, Gso, gsoSize, gsoType, needsChecksum } from './virtio.ts'
import { addWords, copyWords, fold, wordsOf } from '../../net/checksum.ts'
import { headerLengthOf, protocols, readU16, readU32, versionOf, writeU16, writeU32 } from '../../net/ipv4.ts'
import type { Simd } from '../../buffers/simd/functions.ts'
import { simdOf } from '../../buffers/simd/memory.ts'
import type { Batch } from '../../types.ts'

const IPV6_HEADER = 40
const TCP_HEADER = 20
const UDP_HEADER = 8
const TCP_CHECKSUM = 16
const UDP_CHECKSUM = 6

const FIN_AND_PSH = 0x09
const CWR = 0x80

/** Allocates memory for a packet. */
export type Room = (length: number) => Uint8Array

/** Writes a checksum; in UDP 0 means that there is none, so it becomes 0xffff (RFC 768). */
const writeChecksum = (packet: Uint8Array, at: number, sum: number, isUdp: boolean): void => {
  const checksum = fold(sum)
  writeU16(packet, at, isUdp && checksum === 0 ? 0xffff : checksum)
}

/**
 * Completes a packet that is not segmented: its checksum may be missing, with the sum of the pseudo header in its place.
 *
 * @returns false when the header refers to a field outside of the packet
 */
export function complete (packet: Uint8Array, header: Uint8Array): boolean {
  if (!needsChecksum(header)) return true
  const start = checksumStart(header)
  const at = start + checksumOffset(header)
  if (start < 1 || at + 2 > packet.length) return false
  writeChecksum(packet, at, addWords(packet, start), checksumOffset(header) === UDP_CHECKSUM)
  return true
}

/**
 * Segments a packet, and appends the results to `out`.
 *
 * @param header the virtio header before the packet
 * @returns false when header and packet do not match; nothing is appended then
 */
export function cut (packet: Uint8Array, header: Uint8Array, room: Room, out: Batch): boolean {
  const type = gsoType(header)
  const isV4 = versionOf(packet) === 4
  const isUdp = type === Gso.UDP
  const start = checksumStart(header)
  const size = gsoSize(header)
  if (!isUdp && type !== (isV4 ? Gso.TCPV4 : Gso.TCPV6)) return false
  if (start < (isV4 ? headerLengthOf(packet) : IPV6_HEADER) || start + (isUdp ? UDP_HEADER : TCP_HEADER) > packet.length) return false
  if (isV4 && packet[9] !== (isUdp ? protocols.udp : protocols.tcp)) return false
  const headLength = start + (isUdp ? UDP_HEADER : (packet[start + 12] >>> 4) * 4)
  if (size === 0 || headLength < start + UDP_HEADER || headLength >= packet.length) return false
  const form = isUdp ? new UdpForm(packet, start, headLength, isV4) : new TcpForm(packet, start, headLength, isV4)
  for (let from = headLength, count = 0; from < packet.length; from += size, count++) {
    const to = Math.min(from + size, packet.length)
    out.push(form.make(room(headLength + to - from), from, to, count))
  }
  return true
}

/** The fields that all segments share, and their sums. */
abstract class Form {
  readonly packet: Uint8Array
  readonly start: number
  readonly headLength: number
  readonly #isV4: boolean
  readonly #head: Uint8Array
  readonly #simd: Simd | undefined
  readonly #words: Uint32Array | undefined
  /** Sum of the IPv4 header without length, identification and checksum. */
  readonly #ipSum: number
  readonly #id: number
  /** Sum of the pseudo header and the transport header, without lengths and the fields that a subclass sets. */
  sum: number

  constructor (packet: Uint8Array, start: number, headLength: number, isV4: boolean, protocol: number) {
    this.packet = packet
    this.start = start
    this.headLength = headLength
    this.#isV4 = isV4
    this.#head = packet.subarray(0, headLength)
    this.#simd = simdOf(packet.buffer)
    this.#words = this.#simd === undefined && (packet.byteOffset & 3) === 0 ? wordsOf(packet) : undefined
    this.#id = readU16(packet, 4)
    this.#ipSum = isV4 ? addWords(packet, 0, start) - readU16(packet, 2) - this.#id - readU16(packet, 10) : 0
    const addresses = isV4 ? addWords(packet, 12, 20) : addWords(packet, 8, IPV6_HEADER)
    this.sum = addresses + protocol + addWords(packet, start, headLength)
  }

  /** Writes segment number `count`, with the payload `[from, to)` of the large packet. */
  make (target: Uint8Array, from: number, to: number, count: number): Uint8Array {
    const { start, headLength } = this
    const length = headLength + to - from
    target.set(this.#head)
    const payload = copyWords(target, headLength, this.packet, from, to, this.#simd, this.#words)
    if (this.#isV4) {
      const id = (this.#id + count) & 0xffff
      writeU16(target, 2, length)
      writeU16(target, 4, id)
      writeU16(target, 10, fold(this.#ipSum + length + id))
    } else {
      writeU16(target, 4, length - IPV6_HEADER)
    }
    this.finish(target, from, to, this.sum + length - start + payload)
    return target
  }

  /** Writes the fields of the transport header that differ; `sum` covers the rest. */
  abstract finish (target: Uint8Array, from: number, to: number, sum: number): void
}

class TcpForm extends Form {
  readonly #sequence: number
  readonly #flags: number

  constructor (packet: Uint8Array, start: number, headLength: number, isV4: boolean) {
    super(packet, start, headLength, isV4, protocols.tcp)
    this.#sequence = readU32(packet, start + 4)
    this.#flags = packet[start + 13]
    this.sum -= readU16(packet, start + 4) + readU16(packet, start + 6) + this.#flags + readU16(packet, start + TCP_CHECKSUM)
  }

  finish (target: Uint8Array, from: number, to: number, sum: number): void {
    const { start } = this
    const sequence = (this.#sequence + from - this.headLength) >>> 0
    let flags = this.#flags
    if (from > this.headLength) flags &= ~CWR
    if (to < this.packet.length) flags &= ~FIN_AND_PSH
    writeU32(target, start + 4, sequence)
    target[start + 13] = flags
    writeChecksum(target, start + TCP_CHECKSUM, sum + (sequence >>> 16) + (sequence & 0xffff) + flags, false)
  }
}

class UdpForm extends Form {
  constructor (packet: Uint8Array, start: number, headLength: number, isV4: boolean) {
    super(packet, start, headLength, isV4, protocols.udp)
    this.sum -= readU16(packet, start + 4) + readU16(packet, start + UDP_CHECKSUM)
  }

  finish (target: Uint8Array, from: number, to: number, sum: number): void {
    const length = UDP_HEADER + to - from
    writeU16(target, this.start + 4, length)
    writeChecksum(target, this.start + UDP_CHECKSUM, sum + length, true)
  }
}

/**
 * Merges consecutive segments of a TCP stream into large packets, as a network card with receive offload does, so that there is one system
 * call for up to 64 KiB: the reverse of `cut`.
 *
 * Segments are merged when each begins where the one before ends, and when all else that a receiver sees is equal: addresses, ports,
 * acknowledgement, window, options, type of service, time to live, flags. All have as much payload as the first one, except for the last.
 * Packets of one stream stay in order; streams may be reordered within a batch.
 *
 * Payloads are not read: the checksum of the large packet is computed from those of the segments, right or wrong, so it still detects
 * corruption.
 */
import { Gso, MAX_PACKET, VIRTIO_HEADER, writeVirtio } from './virtio.ts'
import { addWords, fold, swapBytes } from '../../net/checksum.ts'
import { HEADER_LENGTH, isIpv4, protocolOf, protocols, readU16, readU32, totalLengthOf, writeU16 } from '../../net/ipv4.ts'
import type { Batch } from '../../types.ts'

const TCP_HEADER = 20

/** Offset of TCP; packets with IP options are not merged. */
const TCP = HEADER_LENGTH
const CHECKSUM = TCP + 16
const FLAGS = TCP + 13

const FIN = 0x01
const PSH = 0x08
const ACK = 0x10
const ECE = 0x40
/** A segment with another flag is not merged. */
const USUAL = FIN | PSH | ACK | ECE
/** A segment with one of these is the last one of its packet. */
const LAST = FIN | PSH

const DONT_FRAGMENT = 0x40

/** Maximum streams of one batch that are merged at a time; beyond it the oldest one ends. */
const MAX_STREAMS = 16

/** Consecutive segments. */
interface Run {
  readonly packets: Batch
  /** Bytes of the headers of each. */
  readonly headLength: number
  /** Bytes of payload of each, except for the last. */
  readonly size: number
  /** Total bytes. */
  length: number
  next: number
}

/** Bytes of the headers of a segment that can be merged; 0 for other packets. */
function headOf (packet: Uint8Array): number {
  if (packet.length < TCP + TCP_HEADER || packet[0] !== 0x45 || protocolOf(packet) !== protocols.tcp) return 0
  if (totalLengthOf(packet) !== packet.length || (readU16(packet, 6) & 0xbfff) !== 0) return 0
  const headLength = TCP + (packet[TCP + 12] >>> 4) * 4
  if (headLength < TCP + TCP_HEADER || headLength >= packet.length) return 0
  const flags = packet[FLAGS]
  return (flags & ~USUAL) === 0 && (flags & ACK) !== 0 ? headLength : 0
}

function isSame (a: Uint8Array, b: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (a[at] !== b[at]) return false
  return true
}

/** Compares addresses and ports of two packets without IP options. */
const isSameStream = (a: Uint8Array, b: Uint8Array): boolean => isSame(a, b, 12, TCP + 4)

/** Whether a segment continues a run. */
function goesOn (run: Run, packet: Uint8Array, headLength: number): boolean {
  const [first] = run.packets
  const last = run.packets[run.packets.length - 1]
  if (headLength !== run.headLength || readU32(packet, TCP + 4) !== run.next) return false
  if (packet.length - headLength > run.size || last.length - headLength !== run.size || (last[FLAGS] & LAST) !== 0) return false
  if (run.length + packet.length - headLength > MAX_PACKET) return false
  if (packet[1] !== first[1] || packet[6] !== first[6] || packet[8] !== first[8]) return false
  if ((packet[6] & DONT_FRAGMENT) === 0 && readU16(packet, 4) !== ((readU16(last, 4) + 1) & 0xffff)) return false
  if (((packet[FLAGS] ^ first[FLAGS]) & ~LAST) !== 0) return false
  // acknowledgement and header length; window; urgent pointer and options
  return isSame(packet, first, TCP + 8, FLAGS) && isSame(packet, first, TCP + 14, CHECKSUM) && isSame(packet, first, CHECKSUM + 2, headLength)
}

/** The sum of the payload of a segment, from its checksum. */
function payloadSum (packet: Uint8Array, headLength: number): number {
  const known = addWords(packet, 12, HEADER_LENGTH) + protocols.tcp + packet.length - TCP + addWords(packet, TCP, headLength)
  return fold(known) // complements the sum to 0xffff; the checksum field itself is included, as intended
}

/** Writes a packet to the device. */
export type Write = (bytes: Uint8Array, length: number) => boolean

export class Joiner {
  readonly #write: Write
  readonly #bytes = Buffer.alloc(VIRTIO_HEADER + MAX_PACKET)
  readonly #packet = this.#bytes.subarray(VIRTIO_HEADER)
  readonly #joins: boolean

  /**
   * @param write gets a virtio header and the packet after it; the memory is reused afterwards
   * @param joins whether the device accepts large packets
   */
  constructor (write: Write, joins: boolean) {
    this.#write = write
    this.#joins = joins
  }

  /** Writes packets, in as few large ones as possible. Returns the number of packets taken, and their bytes. */
  push (batch: Batch): { packets: number, bytes: number } {
    const taken = { packets: 0, bytes: 0 }
    for (const item of this.#joins && batch.length > 1 ? arrange(batch) : batch) {
      if (item instanceof Uint8Array) {
        if (!this.#single(item)) continue
        taken.packets++
        taken.bytes += item.length
      } else {
        if (!(item.packets.length === 1 ? this.#single(item.packets[0]) : this.#run(item))) continue
        taken.packets += item.packets.length
        taken.bytes += item.length + (item.packets.length - 1) * item.headLength
      }
    }
    return taken
  }

  #single (packet: Uint8Array): boolean {
    if (packet.length < HEADER_LENGTH || packet.length > MAX_PACKET) return false
    writeVirtio(this.#bytes)
    this.#packet.set(packet)
    return this.#write(this.#bytes, VIRTIO_HEADER + packet.length)
  }

  #run ({ packets, headLength, size, length }: Run): boolean {
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
    target[FLAGS] |= packets[packets.length - 1][FLAGS] & LAST
    writeU16(target, 2, length)
    writeU16(target, 10, 0)
    writeU16(target, 10, fold(addWords(target, 0, HEADER_LENGTH)))
    writeU16(target, CHECKSUM, 0)
    const known = addWords(target, 12, HEADER_LENGTH) + protocols.tcp + length - TCP + addWords(target, TCP, headLength)
    writeU16(target, CHECKSUM, fold(known + sum))
    writeVirtio(this.#bytes, Gso.TCPV4, size, headLength)
    return this.#write(this.#bytes, VIRTIO_HEADER + length)
  }
}

/** What to write, in the order of the first packets. */
function arrange (batch: Batch): Array<Uint8Array | Run> {
  const items: Array<Uint8Array | Run> = []
  /** Runs that may be continued. */
  const open: Run[] = []
  for (const packet of batch) {
    const headLength = headOf(packet)
    const isTcp = isIpv4(packet) && protocolOf(packet) === protocols.tcp
    const found = isTcp ? open.findIndex(({ packets }) => isSameStream(packets[0], packet)) : -1
    if (found >= 0 && headLength > 0 && goesOn(open[found], packet, headLength)) {
      const run = open[found]
      run.packets.push(packet)
      run.length += packet.length - headLength
      run.next = (run.next + packet.length - headLength) >>> 0
      continue
    }
    if (found >= 0) open.splice(found, 1)
    // the stream of a packet with an unusual header is unknown
    if (isTcp && packet[0] !== 0x45) open.length = 0
    if (headLength === 0) {
      items.push(packet)
      continue
    }
    const payload = packet.length - headLength
    const run = { packets: [packet], headLength, size: payload, length: packet.length, next: (readU32(packet, TCP + 4) + payload) >>> 0 }
    if (open.length === MAX_STREAMS) open.shift()
    open.push(run)
    items.push(run)
  }
  return items
}

/**
 * Finds packets of a batch that can be merged.
 *
 * Segments of TCP, when each begins where the one before ends, and when all else that a receiver sees is equal: addresses, ports,
 * acknowledgement, window, options, type of service, time to live, flags. Datagrams of UDP, when addresses, ports, type of service and time
 * to live are equal. All have as much payload as the first one, except for the last.
 *
 * Packets of one flow stay in order; flows may be reordered within a batch.
 */
import { HEADER_LENGTH, isIpv4, protocolOf, protocols, readU16, readU32, totalLengthOf } from '../../net/ipv4.ts'
import type { Batch } from '../../types.ts'
import { MAX_PACKET } from './virtio.ts'

/** Offset of TCP and UDP; packets with IP options are not merged. */
export const TRANSPORT = HEADER_LENGTH

/** Offsets in segments of TCP. */
export const TCP_CHECKSUM = TRANSPORT + 16
export const TCP_FLAGS = TRANSPORT + 13
const TCP_HEADER = 20

const FIN = 0x01
const PSH = 0x08
const ACK = 0x10
const ECE = 0x40
/** A segment with another flag is not merged. */
const USUAL = FIN | PSH | ACK | ECE
/** A segment with one of these is the last one of its packet. */
export const TCP_LAST = FIN | PSH

/** Offsets in datagrams of UDP, and bytes of both headers. */
export const UDP_LENGTH = TRANSPORT + 4
export const UDP_CHECKSUM = TRANSPORT + 6
export const UDP_HEADERS = TRANSPORT + 8

/** Maximum datagrams of one packet: UDP_MAX_SEGMENTS of older kernels. */
const MAX_DATAGRAMS = 64

const DONT_FRAGMENT = 0x40

/** Maximum flows of one batch that are merged at a time; beyond it the oldest one ends. */
const MAX_FLOWS = 16

/** What may be merged. */
export interface RunKinds {
  tcp: boolean
  udp: boolean
}

/** Consecutive packets of a flow. */
export interface Run {
  readonly isUdp: boolean
  readonly packets: Batch
  /** Bytes of the headers of each. */
  readonly headLength: number
  /** Bytes of payload of each, except for the last. */
  readonly size: number
  /** Total bytes. */
  length: number
  /** The sequence number after it, of TCP. */
  next: number
}

/** Bytes of the headers of a packet of TCP or UDP that can be merged; 0 for others. */
function headOf (packet: Uint8Array, isUdp: boolean): number {
  if (packet.length < UDP_HEADERS || packet[0] !== 0x45) return 0
  if (totalLengthOf(packet) !== packet.length || (readU16(packet, 6) & 0xbfff) !== 0) return 0
  return isUdp ? udpHeadOf(packet) : tcpHeadOf(packet)
}

function tcpHeadOf (packet: Uint8Array): number {
  if (packet.length < TRANSPORT + TCP_HEADER) return 0
  const headLength = TRANSPORT + (packet[TRANSPORT + 12] >>> 4) * 4
  if (headLength < TRANSPORT + TCP_HEADER || headLength >= packet.length) return 0
  const flags = packet[TCP_FLAGS]
  return (flags & ~USUAL) === 0 && (flags & ACK) !== 0 ? headLength : 0
}

/** A datagram without a checksum would get one. */
function udpHeadOf (packet: Uint8Array): number {
  if (packet.length === UDP_HEADERS || readU16(packet, UDP_LENGTH) !== packet.length - TRANSPORT) return 0
  return readU16(packet, UDP_CHECKSUM) === 0 ? 0 : UDP_HEADERS
}

function isSame (a: Uint8Array, b: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (a[at] !== b[at]) return false
  return true
}

/** Compares protocol, addresses and ports of two packets without IP options. */
const isSameFlow = (a: Uint8Array, b: Uint8Array): boolean => a[9] === b[9] && isSame(a, b, 12, TRANSPORT + 4)

/** Whether a packet of the same flow continues a run. */
function goesOn (run: Run, packet: Uint8Array, headLength: number): boolean {
  const { packets, size } = run
  const [first] = packets
  const last = packets[packets.length - 1]
  const payload = packet.length - headLength
  if (headLength !== run.headLength || payload > size || last.length - headLength !== size || run.length + payload > MAX_PACKET) return false
  if (packet[1] !== first[1] || packet[6] !== first[6] || packet[8] !== first[8]) return false
  if ((packet[6] & DONT_FRAGMENT) === 0 && readU16(packet, 4) !== ((readU16(last, 4) + 1) & 0xffff)) return false
  return run.isUdp ? packets.length < MAX_DATAGRAMS : goesOnTcp(run, first, last, packet)
}

function goesOnTcp ({ headLength, next }: Run, first: Uint8Array, last: Uint8Array, packet: Uint8Array): boolean {
  if (readU32(packet, TRANSPORT + 4) !== next || (last[TCP_FLAGS] & TCP_LAST) !== 0) return false
  if (((packet[TCP_FLAGS] ^ first[TCP_FLAGS]) & ~TCP_LAST) !== 0) return false
  // acknowledgement and header length; window; urgent pointer and options
  return isSame(packet, first, TRANSPORT + 8, TCP_FLAGS) && isSame(packet, first, TRANSPORT + 14, TCP_CHECKSUM) &&
    isSame(packet, first, TCP_CHECKSUM + 2, headLength)
}

/** The last run of the flow of a packet, or -1. */
function findRun (open: Run[], packet: Uint8Array): number {
  for (let i = open.length - 1; i >= 0; i--) if (isSameFlow(open[i].packets[0], packet)) return i
  return -1
}

/** What to write, in the order of the first packets. */
export function arrange (batch: Batch, kinds: RunKinds): Array<Uint8Array | Run> {
  const items: Array<Uint8Array | Run> = []
  /** Runs that may be continued. */
  const open: Run[] = []
  for (const packet of batch) {
    const protocol = isIpv4(packet) ? protocolOf(packet) : 0
    const isUdp = protocol === protocols.udp
    if (!(isUdp ? kinds.udp : kinds.tcp && protocol === protocols.tcp)) {
      items.push(packet)
      continue
    }
    const headLength = headOf(packet, isUdp)
    const found = findRun(open, packet)
    if (found >= 0 && headLength > 0 && goesOn(open[found], packet, headLength)) {
      const run = open[found]
      run.packets.push(packet)
      run.length += packet.length - headLength
      run.next = (run.next + packet.length - headLength) >>> 0
      continue
    }
    if (found >= 0) open.splice(found, 1)
    if (headLength === 0) {
      // the flow of a packet with options, and of a fragment, is unknown
      if (packet[0] !== 0x45 || (readU16(packet, 6) & 0x3fff) !== 0) open.length = 0
      items.push(packet)
      continue
    }
    const payload = packet.length - headLength
    const next = isUdp ? 0 : (readU32(packet, TRANSPORT + 4) + payload) >>> 0
    const run = { isUdp, packets: [packet], headLength, size: payload, length: packet.length, next }
    if (open.length === MAX_FLOWS) open.shift()
    open.push(run)
    items.push(run)
  }
  return items
}

/** Packets of TCP and UDP for the tests of offloads, and what is right about one. Slow and plain, so that it is another way to the same. */
import fc from 'fast-check'
import { endianness } from 'node:os'
import { Gso, VIRTIO_HEADER } from '../../../src/tun/offload/virtio.ts'
import { writeU16, writeU32 } from '../../../src/net/ipv4.ts'

export const FIN = 0x01
export const PSH = 0x08
export const ACK = 0x10
export const ECE = 0x40
export const CWR = 0x80

/** One's complement sum of 16-bit words, one by one. */
export function plainSum (...parts: Uint8Array[]): number {
  const bytes = Buffer.concat(parts)
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i] << 8 | (bytes[i + 1] ?? 0)
    sum = (sum & 0xffff) + (sum >>> 16)
  }
  return sum
}

export interface Datagram {
  version?: 4 | 6
  isUdp?: boolean
  id?: number
  sequence?: number
  ack?: number
  flags?: number
  window?: number
  tos?: number
  ttl?: number
  dontFragment?: boolean
  ports?: [number, number]
  source?: number
  destination?: number
  /** Of TCP; a multiple of four bytes. */
  options?: Uint8Array
  payload: Uint8Array
}

export const headLengthOf = ({ version = 4, isUdp = false, options = new Uint8Array(0) }: Datagram): number => (version === 4 ? 20 : 40) + (isUdp ? 8 : 20 + options.length)

function pseudoOf (packet: Uint8Array, version: number, protocol: number, length: number): Uint8Array {
  const tail = Buffer.alloc(4)
  tail.writeUInt16BE(protocol)
  tail.writeUInt16BE(length, 2)
  return Buffer.concat([packet.subarray(version === 4 ? 12 : 8, version === 4 ? 20 : 40), tail])
}

/** A whole packet with right checksums. */
export function packetOf (init: Datagram): Uint8Array {
  const { version = 4, isUdp = false, id = 0, sequence = 0, ack = 0, flags = ACK, window = 1000, tos = 0, ttl = 64, dontFragment = true, ports = [1, 2], source = 0x0a4d0002, destination = 0x0a4d0003, options = new Uint8Array(0), payload } = init
  const headLength = headLengthOf(init)
  const packet = new Uint8Array(headLength + payload.length)
  const at = version === 4 ? 20 : 40
  const protocol = isUdp ? 17 : 6
  if (version === 4) {
    packet.set([0x45, tos])
    writeU16(packet, 2, packet.length)
    writeU16(packet, 4, id)
    packet[6] = dontFragment ? 0x40 : 0
    packet.set([ttl, protocol], 8)
    writeU32(packet, 12, source)
    writeU32(packet, 16, destination)
    writeU16(packet, 10, ~plainSum(packet.subarray(0, 20)))
  } else {
    packet[0] = 0x60
    writeU16(packet, 4, packet.length - 40)
    packet.set([protocol, ttl], 6)
    writeU32(packet, 20, source)
    writeU32(packet, 36, 7)
  }
  writeU16(packet, at, ports[0])
  writeU16(packet, at + 2, ports[1])
  if (isUdp) {
    writeU16(packet, at + 4, 8 + payload.length)
  } else {
    writeU32(packet, at + 4, sequence)
    writeU32(packet, at + 8, ack)
    packet[at + 12] = (20 + options.length) / 4 << 4
    packet[at + 13] = flags
    writeU16(packet, at + 14, window)
    packet.set(options, at + 20)
  }
  packet.set(payload, headLength)
  const checksum = ~plainSum(pseudoOf(packet, version, protocol, packet.length - at), packet.subarray(at)) & 0xffff
  writeU16(packet, at + (isUdp ? 6 : 16), isUdp && checksum === 0 ? 0xffff : checksum)
  return packet
}

/** Whether lengths and checksums of a packet are right. */
export function isRight (packet: Uint8Array): boolean {
  const version = packet[0] >>> 4
  const at = version === 4 ? 20 : 40
  const length = version === 4 ? packet[2] << 8 | packet[3] : (packet[4] << 8 | packet[5]) + 40
  const protocol = version === 4 ? packet[9] : packet[6]
  if (length !== packet.length || (version === 4 && plainSum(packet.subarray(0, 20)) !== 0xffff)) return false
  if (protocol === 17 && (packet[at + 4] << 8 | packet[at + 5]) !== packet.length - at) return false
  return plainSum(pseudoOf(packet, version, protocol, packet.length - at), packet.subarray(at)) === 0xffff
}

const NEEDS_CSUM = 1

/** `struct virtio_net_hdr`, as the kernel writes it in front of a packet that lacks its checksum. */
export function kernelHeader (init: Datagram, gso: number, size: number, start: number, offset: number): Uint8Array {
  const header = new Uint8Array(VIRTIO_HEADER)
  const view = new DataView(header.buffer)
  header.set([NEEDS_CSUM, gso])
  for (const [i, value] of [headLengthOf(init), size, start, offset].entries()) view.setUint16(2 + 2 * i, value, endianness() === 'LE')
  return header
}

/** As the kernel hands a large packet over: the field of the checksum has the sum of the pseudo header alone. */
export function largeOf (init: Datagram, size: number): { packet: Uint8Array, header: Uint8Array } {
  const { version = 4, isUdp = false } = init
  const packet = packetOf(init)
  const start = version === 4 ? 20 : 40
  const offset = isUdp ? 6 : 16
  writeU16(packet, start + offset, plainSum(pseudoOf(packet, version, isUdp ? 17 : 6, packet.length - start)))
  const gso = isUdp ? Gso.UDP : version === 4 ? Gso.TCPV4 : Gso.TCPV6
  return { packet, header: kernelHeader(init, gso, size, start, offset) }
}

/** What the kernel makes of a large packet of UDP over IPv4 that it was given with this header; nothing else passes. */
export function kernelDatagrams (packet: Uint8Array, header: Uint8Array): Uint8Array[] {
  const view = new DataView(header.buffer, header.byteOffset)
  const [headLength, size, start, offset] = [2, 4, 6, 8].map((at) => view.getUint16(at, endianness() === 'LE'))
  const count = Math.ceil((packet.length - 28) / size)
  const pseudo = plainSum(pseudoOf(packet, 4, 17, packet.length - 20))
  const isTaken = header[0] === NEEDS_CSUM && header[1] === Gso.UDP && headLength === 28 && start === 20 && offset === 6 && count <= 64 &&
    packet.length <= 65_535 && (packet[2] << 8 | packet[3]) === packet.length && (packet[24] << 8 | packet[25]) === packet.length - 20 &&
    plainSum(packet.subarray(0, 20)) === 0xffff && (packet[26] << 8 | packet[27]) === pseudo
  if (!isTaken) throw new Error('the kernel drops this packet')
  const id = packet[4] << 8 | packet[5]
  return Array.from({ length: count }, (_, i) => packetOf({
    isUdp: true,
    id: (id + i) & 0xffff,
    tos: packet[1],
    ttl: packet[8],
    dontFragment: packet[6] === 0x40,
    ports: [packet[20] << 8 | packet[21], packet[22] << 8 | packet[23]],
    source: new DataView(packet.buffer, packet.byteOffset).getUint32(12),
    payload: packet.subarray(28 + i * size, 28 + (i + 1) * size)
  }))
}

const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })

/** Of TCP over IPv4, without flags that stand alone. */
export const tcpPacket: fc.Arbitrary<Datagram> = fc.record({
  id: u16,
  sequence: u32,
  ack: u32,
  flags: fc.constantFrom(ACK, ACK | PSH, ACK | FIN, ACK | FIN | PSH, ACK | ECE),
  window: u16,
  tos: fc.integer({ min: 0, max: 255 }),
  ttl: fc.integer({ min: 1, max: 255 }),
  dontFragment: fc.boolean(),
  ports: fc.tuple(u16, u16),
  source: u32,
  options: fc.constantFrom(0, 4, 12, 40).chain((length) => fc.uint8Array({ minLength: length, maxLength: length })),
  payload: fc.uint8Array({ minLength: 1, maxLength: 5000 })
})

export const anyPacket: fc.Arbitrary<Datagram> = fc.record({ version: fc.constantFrom(4 as const, 6 as const), isUdp: fc.boolean(), packet: tcpPacket })
  .map(({ version, isUdp, packet }) => ({ ...packet, version, isUdp, options: isUdp ? new Uint8Array(0) : packet.options }))

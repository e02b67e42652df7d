/**
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng): encoders of the rare ones, and a writer of packets into given memory. Little-endian,
 * as the file itself declares (section 4.1). No I/O, no clock.
 */
import type { Batch } from '../../types.ts'

/** Link-layer types, by their number in the registry of LINKTYPE values. */
export const captureLinkTypes = {
  /** IPv4 or IPv6 packets without a link-layer header. */
  raw: 101,
  /** Bytes of a private format; Wireshark can be configured with a dissector for it. */
  user0: 147
} as const

/** What the packets of an interface of a capture begin with. */
export type CaptureLinkType = keyof typeof captureLinkTypes

/** A pcapng interface: one capture point. */
export interface CaptureInterface {
  linkType: CaptureLinkType
  /** The name in Wireshark: 1 to 255 bytes of UTF-8. */
  name: string
}

/** Whether a packet was received or sent at the capture point. */
export type CaptureDirection = 'in' | 'out'

const BlockType = { SECTION_HEADER: 0x0a0d0d0a, INTERFACE_DESCRIPTION: 1, INTERFACE_STATISTICS: 5, ENHANCED_PACKET: 6 } as const

/** Option codes are defined per block type; 0 ends the options of any (section 3.5). */
const END_OF_OPTIONS = 0
const SHB_HARDWARE = 2
const SHB_OS = 3
const SHB_USERAPPL = 4
const IF_NAME = 2
const IF_TSRESOL = 9
const EPB_FLAGS = 2
const ISB_IFRECV = 4
const ISB_IFDROP = 5

const BYTE_ORDER_MAGIC = 0x1a2b3c4d

/**
 * Timestamps count microseconds, 10^-6 s. The clock gives milliseconds since 1970 as a double, which is exact to a quarter of a
 * microsecond, so nanoseconds would add no precision. Microseconds stay below 2^53 until the year 2255.
 */
const MICROSECONDS = 6

/** Bits 0 and 1 of the packet flags (section 4.3.1). */
const directionFlags: Record<CaptureDirection, number> = { in: 1, out: 2 }

/** Lengths are padded to 32 bits with zeros (section 3.6.2). */
const padded = (length: number): number => (length + 3) & ~3

function option (code: number, value: Uint8Array): Buffer {
  const out = Buffer.alloc(4 + padded(value.length))
  out.writeUInt16LE(code)
  out.writeUInt16LE(value.length, 2) // without the padding
  out.set(value, 4)
  return out
}

function block (type: number, body: Uint8Array, options: Uint8Array[]): Buffer {
  const framed = Buffer.concat([Buffer.alloc(8), body, ...options, option(END_OF_OPTIONS, new Uint8Array(0)), Buffer.alloc(4)])
  framed.writeUInt32LE(type)
  framed.writeUInt32LE(framed.length, 4)
  framed.writeUInt32LE(framed.length, framed.length - 4) // repeated, so that a file can be read backwards
  return framed
}

function u64 (value: number): Buffer {
  const out = Buffer.alloc(8)
  out.writeBigUInt64LE(BigInt(value))
  return out
}

/** The program that wrote the file. */
export interface Origin {
  hardware: string
  os: string
  application: string
}

/** The first block of a file (section 4.1). The section length is left unspecified, as it is not known yet. */
export function sectionHeader ({ hardware, os, application }: Origin): Uint8Array {
  const body = Buffer.alloc(16)
  body.writeUInt32LE(BYTE_ORDER_MAGIC)
  body.writeUInt16LE(1, 4) // version 1.0
  body.writeBigInt64LE(-1n, 8)
  return block(BlockType.SECTION_HEADER, body, [
    option(SHB_HARDWARE, Buffer.from(hardware)), option(SHB_OS, Buffer.from(os)), option(SHB_USERAPPL, Buffer.from(application))
  ])
}

/** Describes an interface (section 4.2). Interfaces are numbered from 0 in the order of these blocks. */
export function interfaceDescription ({ linkType, name }: CaptureInterface, snapLength: number): Uint8Array {
  const body = Buffer.alloc(8)
  body.writeUInt16LE(captureLinkTypes[linkType])
  body.writeUInt32LE(snapLength, 4)
  return block(BlockType.INTERFACE_DESCRIPTION, body, [option(IF_NAME, Buffer.from(name)), option(IF_TSRESOL, Uint8Array.of(MICROSECONDS))])
}

/** Packets seen at an interface, and those that are not in the file (section 4.6). */
export interface InterfaceCounts {
  received: number
  dropped: number
}

/** Bytes of an {@link interfaceStatistics} block. */
export const STATISTICS_LENGTH = 52

/** @param timestamp microseconds since 1970 */
export function interfaceStatistics (interfaceId: number, timestamp: number, { received, dropped }: InterfaceCounts): Uint8Array {
  const body = Buffer.alloc(12)
  body.writeUInt32LE(interfaceId)
  body.writeUInt32LE(high(timestamp), 4)
  body.writeUInt32LE(low(timestamp), 8)
  return block(BlockType.INTERFACE_STATISTICS, body, [option(ISB_IFRECV, u64(received)), option(ISB_IFDROP, u64(dropped))])
}

/** The halves of an integer up to 2^53, as shifts would truncate it to 32 bits. */
const high = (value: number): number => Math.floor(value / 2 ** 32)
const low = (value: number): number => value % 2 ** 32

/** Bytes of a packet block before the data. */
const PACKET_HEAD = 28

/** Bytes of a packet block after the padding: flags, end of options, block length. */
const PACKET_TAIL = 16

/** Bytes of a packet block with this many captured bytes. */
export const packetLength = (captured: number): number => PACKET_HEAD + padded(captured) + PACKET_TAIL

/** The common fields of the packets of a batch. */
export interface PacketsInit {
  interfaceId: number
  direction: CaptureDirection
  /** Microseconds since 1970, an integer of 0 to 2^53. */
  timestamp: number
  /** Maximum bytes kept of one packet. */
  snapLength: number
}

/**
 * Writes an Enhanced Packet Block (section 4.3) for each of the first `count` packets of a batch.
 *
 * @returns the offset after the last block
 */
export function writePackets (target: Uint8Array, start: number, batch: Batch, count: number, { interfaceId, direction, timestamp, snapLength }: PacketsInit): number {
  const view = new DataView(target.buffer, target.byteOffset, target.length)
  const flags = directionFlags[direction]
  const [upper, lower] = [high(timestamp), low(timestamp)]
  let at = start
  for (let i = 0; i < count; i++) {
    const packet = batch[i]
    const captured = Math.min(packet.length, snapLength)
    const length = packetLength(captured)
    view.setUint32(at, BlockType.ENHANCED_PACKET, true)
    view.setUint32(at + 4, length, true)
    view.setUint32(at + 8, interfaceId, true)
    view.setUint32(at + 12, upper, true)
    view.setUint32(at + 16, lower, true)
    view.setUint32(at + 20, captured, true)
    view.setUint32(at + 24, packet.length, true)
    target.set(captured < packet.length ? packet.subarray(0, captured) : packet, at + PACKET_HEAD)
    const end = at + length
    for (let pad = at + PACKET_HEAD + captured; pad < end - PACKET_TAIL; pad++) target[pad] = 0
    view.setUint32(end - 16, EPB_FLAGS | (4 << 16), true) // code and length of the option
    view.setUint32(end - 12, flags, true)
    view.setUint32(end - 8, END_OF_OPTIONS, true)
    view.setUint32(end - 4, length, true)
    at = end
  }
  return at
}

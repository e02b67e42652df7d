/**
 * The header before each packet of a device with offloads: `struct virtio_net_hdr` (Virtual I/O Device 1.2, section 5.1.6), in host byte
 * order.
 */
import { endianness } from 'node:os'
import type { Offload } from '../device.ts'
import type { Libc } from '../../net/native/libc.ts'

/** Bytes of the header. */
export const VIRTIO_HEADER = 10

/** Maximum bytes of the packet after it, that of IP. */
export const MAX_PACKET = 65_535

/** A flag. */
const NEEDS_CSUM = 1

/** The segmentation type; its highest bit marks TCP with ECN, which makes no difference here. */
export const Gso = { NONE: 0, TCPV4: 1, TCPV6: 4, UDP: 5 } as const
const ECN = 0x80

const LITTLE = endianness() === 'LE'

/** Sets the offloads of a device: TUNSETOFFLOAD and its flags. */
const TUNSETOFFLOAD = 0x400454d0
const CSUM = 0x01
const TSO4 = 0x02
const TSO6 = 0x04
const USO4 = 0x20
const USO6 = 0x40

/** From most to fewest. UDP is for both IP versions or none, and unknown before Linux 6.2. */
const SETS: Array<[number, readonly Offload[]]> = [
  [CSUM | TSO4 | TSO6 | USO4 | USO6, ['checksum', 'tcp', 'udp']],
  [CSUM | TSO4 | TSO6, ['checksum', 'tcp']],
  [CSUM, ['checksum']]
]

/** Enables as many offloads as the kernel supports, or none. Returns those in force. */
export function setOffloads (libc: Libc, fd: number, isWanted: boolean): readonly Offload[] {
  if (isWanted) for (const [flags, offloads] of SETS) if (libc.ioctlNumber(fd, TUNSETOFFLOAD, flags) === 0) return offloads
  libc.ioctlNumber(fd, TUNSETOFFLOAD, 0) // a device that outlives programs may have those of the one before
  return []
}

/** Offsets of the fields. */
const FLAGS = 0
const GSO_TYPE = 1
const HEAD_LENGTH = 2
const GSO_SIZE = 4
const CSUM_START = 6
const CSUM_OFFSET = 8

/** Reads 16 bits in host byte order. */
const readNative = (bytes: Uint8Array, at: number): number => LITTLE ? bytes[at] | bytes[at + 1] << 8 : bytes[at] << 8 | bytes[at + 1]

function writeNative (bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = LITTLE ? value : value >>> 8
  bytes[at + 1] = LITTLE ? value >>> 8 : value
}

/** Whether the checksum is still missing; its field has the sum of the pseudo header then. */
export const needsChecksum = (header: Uint8Array): boolean => (header[FLAGS] & NEEDS_CSUM) !== 0

/** One of `Gso`, or a type that is unknown here. */
export const gsoType = (header: Uint8Array): number => header[GSO_TYPE] & ~ECN

/** Bytes of payload per segment, except for the last. */
export const gsoSize = (header: Uint8Array): number => readNative(header, GSO_SIZE)

/** Offset of the checksummed part: the TCP or UDP header. */
export const checksumStart = (header: Uint8Array): number => readNative(header, CSUM_START)

/** Offset of the checksum field from there. */
export const checksumOffset = (header: Uint8Array): number => readNative(header, CSUM_OFFSET)

/**
 * Writes a header to the beginning of `bytes`.
 *
 * @param gso the segmentation type, with `size` bytes of payload per segment after headers of `headLength` bytes
 * @param start where the checksummed part begins, when its checksum is missing, in the field at `offset` from there; 0: it is complete
 */
export function writeVirtio (bytes: Uint8Array, gso: number = Gso.NONE, size = 0, headLength = 0, start = 0, offset = 0): void {
  bytes[FLAGS] = start === 0 ? 0 : NEEDS_CSUM
  bytes[GSO_TYPE] = gso
  writeNative(bytes, HEAD_LENGTH, headLength)
  writeNative(bytes, GSO_SIZE, size)
  writeNative(bytes, CSUM_START, start)
  writeNative(bytes, CSUM_OFFSET, offset)
}

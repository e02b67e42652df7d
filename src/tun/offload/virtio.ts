/**
 * What stands in front of each packet of a device with offloads: `struct virtio_net_hdr` (Virtual I/O Device 1.2, section 5.1.6), in
 * the byte order of the machine.
 */
import { endianness } from 'node:os'
import type { Offload } from '../device.ts'
import type { Libc } from '../../net/native/libc.ts'

/** Bytes of it. */
export const VIRTIO_HEADER = 10

/** The longest packet behind it, as no IP packet is longer. */
export const MAX_PACKET = 65_535

/** Of its flags. */
const NEEDS_CSUM = 1

/** What a packet is to be cut into; the highest bit says that TCP has seen congestion, which changes nothing here. */
export const Gso = { NONE: 0, TCPV4: 1, TCPV6: 4, UDP: 5 } as const
const ECN = 0x80

const LITTLE = endianness() === 'LE'

/** Sets what a device may be given and gives: TUNSETOFFLOAD and its flags. */
const TUNSETOFFLOAD = 0x400454d0
const CSUM = 0x01
const TSO4 = 0x02
const TSO6 = 0x04
const USO4 = 0x20
const USO6 = 0x40

/** From the most to the least. UDP is taken for both versions of IP, or not at all; before Linux 6.2 it is not known. */
const SETS: Array<[number, readonly Offload[]]> = [
  [CSUM | TSO4 | TSO6 | USO4 | USO6, ['checksum', 'tcp', 'udp']],
  [CSUM | TSO4 | TSO6, ['checksum', 'tcp']],
  [CSUM, ['checksum']]
]

/** Lets the kernel use what it can, or nothing. Returns what that is. */
export function setOffloads (libc: Libc, fd: number, isWanted: boolean): readonly Offload[] {
  if (isWanted) for (const [flags, offloads] of SETS) if (libc.ioctlNumber(fd, TUNSETOFFLOAD, flags) === 0) return offloads
  libc.ioctlNumber(fd, TUNSETOFFLOAD, 0) // of a device that outlives programs, the one before may have set some
  return []
}

/** Where its fields are. */
const FLAGS = 0
const GSO_TYPE = 1
const HEAD_LENGTH = 2
const GSO_SIZE = 4
const CSUM_START = 6
const CSUM_OFFSET = 8

/** Bytes `at` and behind it, as the machine has numbers. */
const readNative = (bytes: Uint8Array, at: number): number => LITTLE ? bytes[at] | bytes[at + 1] << 8 : bytes[at] << 8 | bytes[at + 1]

function writeNative (bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = LITTLE ? value : value >>> 8
  bytes[at + 1] = LITTLE ? value >>> 8 : value
}

/** Whether the checksum of the packet is still to be made; its field has the sum of the pseudo header so far. */
export const needsChecksum = (header: Uint8Array): boolean => (header[FLAGS] & NEEDS_CSUM) !== 0

/** One of `Gso`, or what is unknown here. */
export const gsoType = (header: Uint8Array): number => header[GSO_TYPE] & ~ECN

/** Bytes of payload in each of the packets, but for the last. */
export const gsoSize = (header: Uint8Array): number => readNative(header, GSO_SIZE)

/** Where in the packet the sum begins, which is the header of TCP or UDP. */
export const checksumStart = (header: Uint8Array): number => readNative(header, CSUM_START)

/** Where its field is, from there on. */
export const checksumOffset = (header: Uint8Array): number => readNative(header, CSUM_OFFSET)

/**
 * Writes a header to the beginning of `bytes`, whose last four are 0: a packet whose checksum is whole.
 *
 * @param gso what it is to be cut into, with `size` bytes of payload each behind headers of `headLength` bytes
 */
export function writeVirtio (bytes: Uint8Array, gso: number = Gso.NONE, size = 0, headLength = 0): void {
  bytes[FLAGS] = 0
  bytes[GSO_TYPE] = gso
  writeNative(bytes, HEAD_LENGTH, headLength)
  writeNative(bytes, GSO_SIZE, size)
}

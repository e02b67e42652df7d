/**
 * IPv4 without objects: addresses are unsigned 32-bit numbers, headers are read in place.
 *
 * ```ts
 * const lan = parseCidr('10.77.0.2/24')
 * if (isIpv4(packet) && lan !== undefined && inNetwork(destinationOf(packet), lan)) count(formatAddress(sourceOf(packet)))
 * ```
 */
import { OptionError } from '../errors.ts'
import { addWords, fold } from './checksum.ts'

/** Bytes of a header without options, RFC 791 section 3.1. */
export const HEADER_LENGTH = 20

/** Assigned protocol numbers, as they stand in byte 9 of a header. */
export const protocols = { icmp: 1, ipip: 4, tcp: 6, udp: 17 } as const

/** 255.255.255.255. */
export const LIMITED_BROADCAST = 0xffffffff

/** An address and its network, as unsigned 32-bit numbers. */
export interface Cidr {
  /** As given; its host bits are kept. */
  readonly address: number
  /** 0 to 32. */
  readonly prefix: number
  readonly mask: number
  /** The address with its host bits cleared. */
  readonly network: number
  /** The address with its host bits set. Networks of /31 and /32 have no broadcast, RFC 3021: there it is a plain address. */
  readonly broadcast: number
}

const DIGIT_0 = '0'.charCodeAt(0)

const prefixLength = /^(?:0|[1-9]\d?)$/

/**
 * Reads `10.77.0.2`: four decimal octets, no leading zeros (some programs read those as octal), no short forms.
 *
 * @returns undefined when the text is anything else.
 */
export function parseAddress (text: string): number | undefined {
  if (typeof text !== 'string') return undefined // of a gateway that names no address, or of a caller without types
  let address = 0
  let octet: number | undefined
  let dots = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - DIGIT_0
    if (digit >= 0 && digit <= 9) {
      if (octet === 0) return undefined
      octet = octet === undefined ? digit : octet * 10 + digit
      if (octet > 255) return undefined
    } else if (text[i] === '.' && octet !== undefined && ++dots <= 3) {
      address = address * 256 + octet // no shift: the sign bit
      octet = undefined
    } else return undefined
  }
  return dots === 3 && octet !== undefined ? address * 256 + octet : undefined
}

/** `10.77.0.2` for the number. */
export function formatAddress (address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`
}

/** The mask of a prefix of 0 to 32 bits. A shift by 32 would be one by 0. */
export const maskOf = (prefix: number): number => prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0

/** The prefix of a mask, or undefined when its ones are not all in front. */
export function prefixOf (mask: number): number | undefined {
  const prefix = Math.clz32(~mask)
  return maskOf(prefix) === mask >>> 0 ? prefix : undefined
}

/**
 * An address and its network.
 *
 * @param prefix bits, 0 to 32
 * @throws {OptionError} when the address is not an unsigned 32-bit number, or the prefix not one of 0 to 32
 */
export function cidrOf (address: number, prefix: number): Cidr {
  if (address !== address >>> 0) throw new OptionError(`an address is an unsigned 32-bit number, not ${address}`)
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > 32) throw new OptionError(`a prefix is 0 to 32, not ${prefix}`)
  const mask = maskOf(prefix)
  return { address, prefix, mask, network: (address & mask) >>> 0, broadcast: (address | ~mask) >>> 0 }
}

/**
 * Reads `10.77.0.2/24`; host bits may be set. The prefix is decimal, 0 to 32, without leading zeros.
 *
 * @returns undefined when the text is anything else.
 */
export function parseCidr (text: string): Cidr | undefined {
  const slash = text.indexOf('/')
  if (slash < 0) return undefined
  const address = parseAddress(text.slice(0, slash))
  const bits = text.slice(slash + 1)
  if (address === undefined || !prefixLength.test(bits) || Number(bits) > 32) return undefined
  return cidrOf(address, Number(bits))
}

/** `10.77.0.2/24`: the address, not the network. */
export function formatCidr ({ address, prefix }: Pick<Cidr, 'address' | 'prefix'>): string {
  return `${formatAddress(address)}/${prefix}`
}

/** Whether an address is in a network. */
export function inNetwork (address: number, { mask, network }: Pick<Cidr, 'mask' | 'network'>): boolean {
  return (address & mask) >>> 0 === network
}

/** 224.0.0.0/4, RFC 1112 section 4. */
export const isMulticast = (address: number): boolean => address >>> 28 === 0xe

export const readU16 = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1]

export const readU32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0

export function writeU16 (bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

export function writeU32 (bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

const WORD = 2 ** 32

/** A number of 8 bytes; exact up to 2^53. */
export const readU64 = (bytes: Uint8Array, at: number): number => readU32(bytes, at) * WORD + readU32(bytes, at + 4)

/** @param value 0 to 2^53 - 1 */
export function writeU64 (bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, Math.floor(value / WORD))
  writeU32(bytes, at + 4, value >>> 0)
}

/*
 * The fields of a header that begins at `at`. None of them checks the length: check received packets with `isIpv4` first.
 */
/** The IP version of the packet at `at`. */
export const versionOf = (packet: Uint8Array, at = 0): number => packet[at] >>> 4
/** Bytes of the header of the packet at `at`. */
export const headerLengthOf = (packet: Uint8Array, at = 0): number => (packet[at] & 0x0f) * 4
/** Bytes of the packet at `at`, by its header. */
export const totalLengthOf = (packet: Uint8Array, at = 0): number => readU16(packet, at + 2)
/** The protocol number of the packet at `at`. */
export const protocolOf = (packet: Uint8Array, at = 0): number => packet[at + 9]
/** The source address of the packet at `at`. */
export const sourceOf = (packet: Uint8Array, at = 0): number => readU32(packet, at + 12)
/** The destination address of the packet at `at`. */
export const destinationOf = (packet: Uint8Array, at = 0): number => readU32(packet, at + 16)

/** Whether a packet is a fragment: MF is set, or the offset is not 0. */
export const isFragment = (packet: Uint8Array, at = 0): boolean => (readU16(packet, at + 6) & 0x3fff) !== 0

/**
 * Whether a whole IPv4 packet begins at `at`: version 4, a header of at least 20 bytes, and a total length of at least the header and at
 * most the bytes that are there. The header checksum is not verified.
 */
export function isIpv4 (packet: Uint8Array, at = 0): boolean {
  if (packet.length - at < HEADER_LENGTH || versionOf(packet, at) !== 4) return false
  const header = headerLengthOf(packet, at)
  const total = totalLengthOf(packet, at)
  return header >= HEADER_LENGTH && total >= header && total <= packet.length - at
}

/** The fields of a header for {@link writeHeader}. */
export interface HeaderInit {
  protocol: number
  source: number
  destination: number
  /** Header and payload, in bytes; at most 65535. */
  totalLength: number
  /** Default: 0, which suits packets with DF (RFC 6864 section 4.1). */
  id?: number
  /** Default: 64. */
  ttl?: number
}

const DONT_FRAGMENT = 0x4000

/** Writes a header of 20 bytes with its checksum, without options and with DF set. */
export function writeHeader (target: Uint8Array, { protocol, source, destination, totalLength, id = 0, ttl = 64 }: HeaderInit, at = 0): void {
  target[at] = 0x45
  target[at + 1] = 0
  writeU16(target, at + 2, totalLength)
  writeU16(target, at + 4, id)
  writeU16(target, at + 6, DONT_FRAGMENT)
  target[at + 8] = ttl
  target[at + 9] = protocol
  writeU16(target, at + 10, 0)
  writeU32(target, at + 12, source)
  writeU32(target, at + 16, destination)
  writeU16(target, at + 10, fold(addWords(target, at, at + HEADER_LENGTH)))
}

/** Whether the checksum of the header at `at` is correct. */
export const headerChecks = (packet: Uint8Array, at = 0): boolean => fold(addWords(packet, at, at + headerLengthOf(packet, at))) === 0

/**
 * Decrements the TTL of the header at `at` and updates the checksum by the difference, RFC 1624 equation 3: a wrong one stays wrong.
 *
 * @returns false when the packet must not be forwarded, as its TTL is 0 or 1; then it is unchanged
 */
export function decrementTtl (packet: Uint8Array, at = 0): boolean {
  if (packet[at + 8] <= 1) return false
  packet[at + 8]--
  const sum = (~readU16(packet, at + 10) & 0xffff) + 0xfeff // ~m + m', where the word of TTL and protocol is 0x0100 less
  writeU16(packet, at + 10, ~(sum + (sum >>> 16)) & 0xffff)
  return true
}

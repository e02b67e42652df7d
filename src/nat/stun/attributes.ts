/** Attributes of STUN: numbers, and the values that have a structure (RFC 8489, section 14; RFC 5780, section 7). */
import ipaddr from 'ipaddr.js'
import { OptionError } from '../../errors.ts'
import { normalizeAddress } from '../../net/client-address.ts'
import { formatAddress, parseAddress, readU16, readU32, writeU16, writeU32 } from '../../net/ipv4.ts'
import { verifyPort } from '../../options.ts'
import type { Endpoint } from '../../types.ts'

export const MAPPED_ADDRESS = 0x0001
export const CHANGE_REQUEST = 0x0003
/** Of RFC 3489: what RESPONSE-ORIGIN and OTHER-ADDRESS are today. */
export const SOURCE_ADDRESS = 0x0004
export const CHANGED_ADDRESS = 0x0005
export const ERROR_CODE = 0x0009
export const UNKNOWN_ATTRIBUTES = 0x000a
export const NONCE = 0x0015
export const XOR_MAPPED_ADDRESS = 0x0020
/** From here on a reader may ignore what it does not know. */
export const COMPREHENSION_OPTIONAL = 0x8000
export const SOFTWARE = 0x8022
export const FINGERPRINT = 0x8028
export const RESPONSE_ORIGIN = 0x802b
export const OTHER_ADDRESS = 0x802c

const FAMILY_IPV4 = 1
const FAMILY_IPV6 = 2

const CHANGE_IP = 4
const CHANGE_PORT = 2

/** Bytes in front of the address: one that is ignored, the family, and the port. */
const ADDRESS_AT = 4

/** Which part of its own endpoint a server is asked to change for its response (RFC 5780, section 7.2). */
export interface ChangeRequest {
  ip: boolean
  port: boolean
}

/** Why a request was refused (RFC 8489, section 14.8). */
export interface StunError {
  /** 300 to 699. */
  code: number
  reason: string
}

/**
 * The value of an address attribute.
 *
 * @param mask 16 bytes, cookie and transaction, that the address is combined with by XOR; undefined for a plain one
 * @throws {OptionError} when the host is no address, or the port none
 */
export function encodeAddress ({ host, port }: Endpoint, mask?: Uint8Array): Uint8Array {
  verifyPort('port', port)
  const plain = normalizeAddress(host)
  const ipv4 = parseAddress(plain)
  if (ipv4 === undefined && !ipaddr.IPv6.isValid(plain)) throw new OptionError(`host is an IP address, not ${host}`)
  const value = new Uint8Array(ADDRESS_AT + (ipv4 === undefined ? 16 : 4))
  value[1] = ipv4 === undefined ? FAMILY_IPV6 : FAMILY_IPV4
  writeU16(value, 2, port)
  if (ipv4 === undefined) value.set(ipaddr.IPv6.parse(plain).toByteArray(), ADDRESS_AT)
  else writeU32(value, ADDRESS_AT, ipv4)
  if (mask !== undefined) applyMask(value, mask)
  return value
}

/** The endpoint in the value of an address attribute; undefined when its family or length is wrong. IPv4-mapped addresses are IPv4. */
export function decodeAddress (value: Uint8Array, mask?: Uint8Array): Endpoint | undefined {
  const family = value[1]
  const length = family === FAMILY_IPV4 ? 4 : family === FAMILY_IPV6 ? 16 : undefined
  if (length === undefined || value.length !== ADDRESS_AT + length) return undefined
  const plain = Uint8Array.from(value)
  if (mask !== undefined) applyMask(plain, mask)
  const host = family === FAMILY_IPV4
    ? formatAddress(readU32(plain, ADDRESS_AT))
    : normalizeAddress(ipaddr.fromByteArray([...plain.subarray(ADDRESS_AT)]).toString())
  return { host, port: readU16(plain, 2) }
}

/** The port is combined with the first two bytes of the cookie, the address with cookie and transaction (RFC 8489, section 14.2). */
function applyMask (value: Uint8Array, mask: Uint8Array): void {
  for (let i = 0; i < 2; i++) value[2 + i] ^= mask[i]
  for (let i = ADDRESS_AT; i < value.length; i++) value[i] ^= mask[i - ADDRESS_AT]
}

export function encodeChangeRequest ({ ip, port }: ChangeRequest): Uint8Array {
  return Uint8Array.of(0, 0, 0, (ip ? CHANGE_IP : 0) | (port ? CHANGE_PORT : 0))
}

export function decodeChangeRequest (value: Uint8Array): ChangeRequest | undefined {
  if (value.length !== 4) return undefined
  return { ip: (value[3] & CHANGE_IP) !== 0, port: (value[3] & CHANGE_PORT) !== 0 }
}

export function encodeErrorCode ({ code, reason }: StunError): Uint8Array {
  if (!Number.isInteger(code) || code < 300 || code > 699) throw new OptionError(`code is a whole number, 300 to 699, not ${String(code)}`)
  return Buffer.concat([Uint8Array.of(0, 0, Math.floor(code / 100), code % 100), Buffer.from(reason)])
}

export function decodeErrorCode (value: Uint8Array): StunError | undefined {
  const hundreds = value[2] & 7
  if (value.length < 4 || hundreds < 3 || hundreds > 6 || value[3] > 99) return undefined
  return { code: hundreds * 100 + value[3], reason: decodeText(value.subarray(4)) }
}

export function encodeTypes (types: readonly number[]): Uint8Array {
  const value = new Uint8Array(2 * types.length)
  for (const [i, type] of types.entries()) writeU16(value, 2 * i, type)
  return value
}

export function decodeTypes (value: Uint8Array): number[] | undefined {
  if (value.length % 2 !== 0) return undefined
  return Array.from({ length: value.length / 2 }, (_, i) => readU16(value, 2 * i))
}

/** UTF-8; bytes that are none become U+FFFD. */
export const decodeText = (value: Uint8Array): string => Buffer.from(value.buffer, value.byteOffset, value.length).toString()

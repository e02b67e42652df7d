/**
 * The messages with which a client joins a candy network: VMAC (its device), DHCP (request of an address) and AUTH (use of an address).
 * Each ends with a hash that proves knowledge of the password, see `hashes.ts`.
 *
 * A decoded message is `Signed`: `covered` and `hash` are views of the message for `secret.verify`. Decoding verifies nothing.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { OptionError } from '../../../errors.ts'
import { formatCidr, parseCidr, readU32, writeU32, type Cidr } from '../../../net/ipv4.ts'
import { HASH_LENGTH, type Secret, type Signed } from './hashes.ts'
import { CandyMessageError, checkMessage, newMessage, writeAddress } from './messages.ts'

/** The hash covers the message from byte 1 up to `covered`; `hash` is its offset. Candy protocol, section 1.3. */
const layouts = {
  AUTH: { covered: 13, hash: 13 },
  DHCP: { covered: 9, hash: 41 },
  VMAC: { covered: 25, hash: 25 }
} as const

type HandshakeName = keyof typeof layouts

/** The CIDR of DHCP is the text `a.b.c.d/prefix` in 32 bytes, terminated by NUL; candy protocol, section 1.4. */
const CIDR_AT = 9
const CIDR_END = 41

/** A vmac is 16 bytes. Clients use hexadecimal digits, but the protocol does not require that. */
const VMAC_LENGTH = 16

/** The longest confusion tail sent, in bytes. */
const MAX_CONFUSION = 255

/** The request of a client without a remembered address: any address, `0.0.0.0/0`. */
export const ANY_ADDRESS = { address: 0, prefix: 0 } as const

interface Proof {
  secret: Secret
  /** Unix seconds, a safe integer. */
  timestamp: number
  /** Up to 255 bytes after the message, which receivers ignore; see {@link confusion}. Default: none. */
  tail?: Uint8Array
}

/** Fields common to decoded AUTH, DHCP and VMAC. */
export interface Proven extends Signed {
  /** Unix seconds; undefined when beyond the safe integers, and so outside any window. */
  timestamp: number | undefined
}

export interface AuthInit extends Proof {
  address: number
}

export interface Auth extends Proven {
  address: number
}

export interface DhcpInit extends Proof {
  cidr: Pick<Cidr, 'address' | 'prefix'>
}

export interface Dhcp extends Proven {
  /** Requested or given. Not covered by the hash: it can be changed on the path. */
  cidr: Cidr
}

export interface VmacInit extends Proof {
  vmac: string
}

export interface Vmac extends Proven {
  /** 16 characters, one for each byte (latin1), so that equal strings are equal bytes. */
  vmac: string
}

/** Random bytes of random length, 0 to `max`, to hide the length of a message; candy protocol, section 1.2. */
export function confusion (max = MAX_CONFUSION): Uint8Array {
  if (!Number.isInteger(max) || max < 0 || max > MAX_CONFUSION) throw new OptionError(`confusion is 0 to ${MAX_CONFUSION} bytes, not ${max}`)
  return randomBytes(randomInt(max + 1))
}

/** Timestamps are signed 64-bit integers. */
function readTimestamp (bytes: Uint8Array, at: number): number | undefined {
  const seconds = (readU32(bytes, at) | 0) * 0x1_0000_0000 + readU32(bytes, at + 4)
  return Number.isSafeInteger(seconds) ? seconds : undefined
}

function writeTimestamp (bytes: Uint8Array, at: number, seconds: number): void {
  if (!Number.isSafeInteger(seconds)) throw new OptionError(`timestamp is whole seconds, not ${seconds}`)
  const high = Math.floor(seconds / 0x1_0000_0000)
  writeU32(bytes, at, high)
  writeU32(bytes, at + 4, seconds - high * 0x1_0000_0000)
}

function start (name: HandshakeName, tail: Uint8Array | undefined): Uint8Array {
  if (tail === undefined) return newMessage(name)
  if (tail.length > MAX_CONFUSION) throw new OptionError(`tail is at most ${MAX_CONFUSION} bytes, not ${tail.length}`)
  const message = newMessage(name, tail.length)
  message.set(tail, message.length - tail.length)
  return message
}

function seal (name: HandshakeName, message: Uint8Array, secret: Secret): Uint8Array {
  const { covered, hash } = layouts[name]
  message.set(secret.hash(message.subarray(1, covered)), hash)
  return message
}

function open (name: HandshakeName, message: Uint8Array): Proven {
  checkMessage(message, name)
  const { covered, hash } = layouts[name]
  return {
    // in all three the timestamp is the last field that the hash covers
    timestamp: readTimestamp(message, covered - 8),
    covered: message.subarray(1, covered),
    hash: message.subarray(hash, hash + HASH_LENGTH)
  }
}

/** AUTH: the client uses this address. @throws {OptionError} when a value does not fit */
export function encodeAuth ({ secret, address, timestamp, tail }: AuthInit): Uint8Array {
  const message = start('AUTH', tail)
  writeAddress(message, 1, 'address', address)
  writeTimestamp(message, 5, timestamp)
  return seal('AUTH', message, secret)
}

/** @throws {CandyMessageError} when malformed */
export function decodeAuth (message: Uint8Array): Auth {
  const proven = open('AUTH', message)
  return { ...proven, address: readU32(message, 1) }
}

/** DHCP: requests an address. @throws {OptionError} when a value does not fit */
export function encodeDhcp ({ secret, cidr, timestamp, tail }: DhcpInit): Uint8Array {
  const message = start('DHCP', tail)
  writeTimestamp(message, 1, timestamp)
  writeCidr(message, cidr)
  return seal('DHCP', message, secret)
}

/** @throws {CandyMessageError} when malformed, also without a NUL, or when the text is not four decimal octets and a prefix of 0 to 32 */
export function decodeDhcp (message: Uint8Array): Dhcp {
  const proven = open('DHCP', message)
  return { ...proven, cidr: readCidr(message.subarray(CIDR_AT, CIDR_END)) }
}

/**
 * The answer to a DHCP request, with the timestamp and hash of the request, as cacao does. A fresh timestamp with its hash would also
 * be valid for a request, so that an eavesdropper could replay requests for ever.
 *
 * @throws {OptionError} when a value does not fit
 */
export function answerDhcp ({ covered, hash }: Signed, cidr: DhcpInit['cidr']): Uint8Array {
  const message = newMessage('DHCP')
  message.set(covered, 1)
  writeCidr(message, cidr)
  message.set(hash, layouts.DHCP.hash)
  return message
}

function writeCidr (message: Uint8Array, cidr: DhcpInit['cidr']): void {
  const text = formatCidr(cidr)
  if (parseCidr(text) === undefined) throw new OptionError(`${text} is no address with a prefix`)
  message.set(Buffer.from(text, 'latin1'), CIDR_AT)
}

function readCidr (field: Uint8Array): Cidr {
  // Bytes after the NUL are junk: the existing server overwrites the text of the request with its answer.
  const end = field.indexOf(0)
  if (end < 0) throw new CandyMessageError('DHCP whose CIDR has no end, expected a NUL within 32 bytes')
  const cidr = parseCidr(Buffer.from(field.subarray(0, end)).toString('latin1'))
  if (cidr === undefined) throw new CandyMessageError('DHCP without an address and prefix, expected four decimal octets and a prefix of 0 to 32')
  return cidr
}

/** VMAC: the device. @throws {OptionError} when the vmac is not 16 characters of one byte each, or another value does not fit */
export function encodeVmac ({ secret, vmac, timestamp, tail }: VmacInit): Uint8Array {
  const bytes = Buffer.from(vmac, 'latin1')
  if (bytes.length !== VMAC_LENGTH || bytes.toString('latin1') !== vmac) throw new OptionError('vmac is 16 characters of one byte each')
  const message = start('VMAC', tail)
  message.set(bytes, 1)
  writeTimestamp(message, 17, timestamp)
  return seal('VMAC', message, secret)
}

/** @throws {CandyMessageError} when malformed */
export function decodeVmac (message: Uint8Array): Vmac {
  const proven = open('VMAC', message)
  return { ...proven, vmac: Buffer.from(message.subarray(1, 1 + VMAC_LENGTH)).toString('latin1') }
}

/**
 * Messages of STUN (RFC 8489) with the method Binding, and the attributes by which the behaviour of a NAT is found out (RFC 5780). Those of
 * RFC 3489, which have no cookie, are read and written as well.
 */
import {
  CHANGE_REQUEST, CHANGED_ADDRESS, COMPREHENSION_OPTIONAL, decodeAddress, decodeChangeRequest, decodeErrorCode, decodeText, decodeTypes,
  encodeAddress, encodeChangeRequest, encodeErrorCode, encodeTypes, ERROR_CODE, FINGERPRINT, MAPPED_ADDRESS, NONCE, OTHER_ADDRESS,
  RESPONSE_ORIGIN, SOFTWARE, SOURCE_ADDRESS, UNKNOWN_ATTRIBUTES, XOR_MAPPED_ADDRESS, type ChangeRequest, type StunError
} from './attributes.ts'
import { OptionError } from '../../errors.ts'
import { readU16, readU32, writeU16, writeU32 } from '../../net/ipv4.ts'
import { crc32 } from '../../transforms/checksum.ts'
import type { Endpoint } from '../../types.ts'

const HEADER = 20
const COOKIE_AT = 4
const COOKIE = 0x2112a442
const COOKIE_BYTES = Uint8Array.of(0x21, 0x12, 0xa4, 0x42)

/** Bytes of a transaction of a message with the cookie, and of one without. */
export const TRANSACTION_BYTES = 12
const CLASSIC_TRANSACTION_BYTES = 16

const FINGERPRINT_XOR = 0x5354554e

/** What a message is: a request, one without an answer, or one of the two answers. */
export type StunClass = 'request' | 'indication' | 'success' | 'error'

/** The message types of the method Binding, RFC 8489 section 5. */
const TYPES: Record<StunClass, number> = { request: 0x0001, indication: 0x0011, success: 0x0101, error: 0x0111 }

const CLASSES = new Map(Object.entries(TYPES).map(([name, type]) => [type, name as StunClass]))

/** Of which {@link encodeStun} makes a message. */
export interface StunMessageInit {
  class: StunClass
  /** 12 bytes; 16 of which the first four are not the cookie for a message of RFC 3489. */
  transaction: Uint8Array
  mappedAddress?: Endpoint
  xorMappedAddress?: Endpoint
  changeRequest?: ChangeRequest
  error?: StunError
  /** Types of attributes that the sender of this error does not know. */
  unknownAttributes?: readonly number[]
  nonce?: Uint8Array
  /** Where the response was sent from: RESPONSE-ORIGIN, in RFC 3489 SOURCE-ADDRESS. */
  responseOrigin?: Endpoint
  /** Where a response comes from that was asked to change both: OTHER-ADDRESS, in RFC 3489 CHANGED-ADDRESS. */
  otherAddress?: Endpoint
  software?: string
  /** With the attribute FINGERPRINT. Default: false. */
  fingerprint?: boolean
}

/** A message that was read; of attributes that are there twice, the first. */
export interface StunMessage extends Readonly<StunMessageInit> {
  /** FINGERPRINT is there; it was right. */
  readonly fingerprint: boolean
  /** Types of attributes that have to be understood, and are not. */
  readonly notUnderstood: readonly number[]
}

/**
 * Whether bytes look like a message of STUN with the cookie, for a socket that is shared with another protocol: two zero bits, the cookie,
 * and the length (RFC 8489, section 6.3). Looks at no attribute.
 */
export function isStun (bytes: Uint8Array): boolean {
  return isFramed(bytes) && readU32(bytes, COOKIE_AT) === COOKIE
}

function isFramed (bytes: Uint8Array): boolean {
  return bytes.length >= HEADER && bytes[0] < 0x40 && bytes.length % 4 === 0 && readU16(bytes, 2) === bytes.length - HEADER
}

/** Whether a message is of RFC 3489: it has no cookie, and who sent it may not know XOR-MAPPED-ADDRESS. */
export const isClassic = ({ transaction }: Pick<StunMessage, 'transaction'>): boolean => transaction.length === CLASSIC_TRANSACTION_BYTES

/**
 * Writes a message.
 *
 * @throws {OptionError} when a host is no address, the transaction has another length, or an attribute does not fit
 */
export function encodeStun (message: StunMessageInit): Uint8Array {
  const { transaction } = message
  const mask = maskOf(transaction)
  const isOld = isClassic(message)
  const attributes: Uint8Array[] = []
  const add = (type: number, value: Uint8Array | undefined): void => { if (value !== undefined) attributes.push(attributeOf(type, value)) }
  const address = (endpoint: Endpoint | undefined, by?: Uint8Array): Uint8Array | undefined => endpoint === undefined ? undefined : encodeAddress(endpoint, by)
  add(ERROR_CODE, message.error === undefined ? undefined : encodeErrorCode(message.error))
  add(UNKNOWN_ATTRIBUTES, message.unknownAttributes === undefined ? undefined : encodeTypes(message.unknownAttributes))
  add(XOR_MAPPED_ADDRESS, address(message.xorMappedAddress, mask))
  add(MAPPED_ADDRESS, address(message.mappedAddress))
  add(isOld ? SOURCE_ADDRESS : RESPONSE_ORIGIN, address(message.responseOrigin))
  add(isOld ? CHANGED_ADDRESS : OTHER_ADDRESS, address(message.otherAddress))
  add(CHANGE_REQUEST, message.changeRequest === undefined ? undefined : encodeChangeRequest(message.changeRequest))
  add(NONCE, message.nonce)
  add(SOFTWARE, message.software === undefined ? undefined : Buffer.from(message.software))
  if (message.fingerprint === true) attributes.push(attributeOf(FINGERPRINT, new Uint8Array(4)))
  const bytes = Buffer.concat([new Uint8Array(COOKIE_AT), mask, ...attributes])
  if (bytes.length - HEADER > 0xffff) throw new OptionError(`attributes have ${bytes.length - HEADER} bytes, more than 65535`)
  writeU16(bytes, 0, TYPES[message.class])
  writeU16(bytes, 2, bytes.length - HEADER)
  if (message.fingerprint === true) writeU32(bytes, bytes.length - 4, fingerprintOf(bytes, bytes.length - 8))
  return bytes
}

/** The type, the length, the value, and zeros up to a multiple of four bytes. */
function attributeOf (type: number, value: Uint8Array): Uint8Array {
  if (value.length > 0xffff) throw new OptionError(`an attribute has ${value.length} bytes, more than 65535`)
  const bytes = new Uint8Array(4 + padded(value.length))
  writeU16(bytes, 0, type)
  writeU16(bytes, 2, value.length)
  bytes.set(value, 4)
  return bytes
}

const padded = (length: number): number => (length + 3) & ~3

/** The 16 bytes behind the length. */
function maskOf (transaction: Uint8Array): Uint8Array {
  if (transaction.length === TRANSACTION_BYTES) return Buffer.concat([COOKIE_BYTES, transaction])
  if (transaction.length !== CLASSIC_TRANSACTION_BYTES) throw new OptionError(`a transaction has 12 bytes, or 16 without the cookie, not ${transaction.length}`)
  if (readU32(transaction, 0) === COOKIE) throw new OptionError('a transaction of 16 bytes does not begin with the cookie')
  return transaction
}

const fingerprintOf = (bytes: Uint8Array, length: number): number => (crc32(bytes.subarray(0, length)) ^ FINGERPRINT_XOR) >>> 0

type Fields = StunMessageInit & { fingerprint: boolean, notUnderstood: number[] }

/**
 * Reads a message. What it returns has no memory of `bytes`.
 *
 * @returns undefined when the bytes are anything else: another method, a length that is wrong, an attribute that is cut off or malformed,
 *   something behind FINGERPRINT, or one that is not right
 */
export function decodeStun (bytes: Uint8Array): StunMessage | undefined {
  const kind = isFramed(bytes) ? CLASSES.get(readU16(bytes, 0)) : undefined
  if (kind === undefined) return undefined
  const transaction = Uint8Array.from(bytes.subarray(readU32(bytes, COOKIE_AT) === COOKIE ? COOKIE_AT + 4 : COOKIE_AT, HEADER))
  const fields: Fields = { class: kind, transaction, fingerprint: false, notUnderstood: [] }
  for (let at = HEADER; at < bytes.length;) {
    if (fields.fingerprint) return undefined
    const type = readU16(bytes, at)
    const value = bytes.subarray(at + 4, at + 4 + readU16(bytes, at + 2))
    const next = at + 4 + padded(readU16(bytes, at + 2))
    if (next > bytes.length) return undefined
    if (type === FINGERPRINT) {
      if (value.length !== 4 || readU32(value, 0) !== fingerprintOf(bytes, at)) return undefined
      fields.fingerprint = true
    } else if (!readAttribute(fields, type, value, bytes.subarray(COOKIE_AT, HEADER))) return undefined
    at = next
  }
  return fields
}

/** @returns false when the value is malformed */
function readAttribute (fields: Fields, type: number, value: Uint8Array, mask: Uint8Array): boolean {
  switch (type) {
    case MAPPED_ADDRESS: return (fields.mappedAddress ??= decodeAddress(value)) !== undefined
    case XOR_MAPPED_ADDRESS: return (fields.xorMappedAddress ??= decodeAddress(value, mask)) !== undefined
    case SOURCE_ADDRESS:
    case RESPONSE_ORIGIN: return (fields.responseOrigin ??= decodeAddress(value)) !== undefined
    case CHANGED_ADDRESS:
    case OTHER_ADDRESS: return (fields.otherAddress ??= decodeAddress(value)) !== undefined
    case CHANGE_REQUEST: return (fields.changeRequest ??= decodeChangeRequest(value)) !== undefined
    case ERROR_CODE: return (fields.error ??= decodeErrorCode(value)) !== undefined
    case UNKNOWN_ATTRIBUTES: return (fields.unknownAttributes ??= decodeTypes(value)) !== undefined
    case NONCE: fields.nonce ??= Uint8Array.from(value); return true
    case SOFTWARE: fields.software ??= decodeText(value); return true
    default:
      if (type < COMPREHENSION_OPTIONAL) fields.notUnderstood.push(type)
      return true
  }
}

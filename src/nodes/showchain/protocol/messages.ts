/**
 * Messages in datagrams, read and checked in one pass: protobuf, the limits of each field, and which fields a message has (SHOW CHAIN
 * protocol, sections 2.2 and 2.3). `proto/showchain.proto` is the schema.
 */
import { CodedError } from '../../../errors.ts'
import { BYTES, next, ProtobufError, readLength, readTag, skipValue, VARINT } from '../../../transforms/protobuf/wire.ts'
import { FirstByte } from './data-packets.ts'
import {
  ARRIVED_BYTES, COOKIE, COOKIE_BYTES, EPHEMERAL_BYTES, Field, FIELDS, HASH_BYTES, HMAC_BYTES, ID_BYTES, MAX_FIELD, MAX_KEY, MAX_KIND, MAX_SIGN, MIN_KEY, MIN_SIGN,
  PROOF, SEEN_ENDPOINT, SESSION_BYTES, type FieldSet
} from './field-table.ts'
import { Op, type OpCode } from './op.ts'

/** Maximum bytes of a message. */
export const MAX_MESSAGE = 1232

/**
 * A message. One that was decoded has the fields of its op code, each within its limits; fields that the op code does not have are
 * undefined. Its bytes are views of the datagram.
 */
export interface ShowchainMessage {
  readonly op: OpCode
  /** 32 bytes. */
  readonly id?: Uint8Array | undefined
  /** 32 bytes. */
  readonly target?: Uint8Array | undefined
  /** 0: missing. */
  readonly seq: number
  /** Milliseconds since 1970; 0: missing. */
  readonly ts: number
  /** 16 bytes. */
  readonly session?: Uint8Array | undefined
  /** 4 or 16 bytes. */
  readonly ip?: Uint8Array | undefined
  readonly port?: number | undefined
  readonly data?: Uint8Array | undefined
  readonly sign?: Uint8Array | undefined
  /** DER SubjectPublicKeyInfo. */
  readonly key?: Uint8Array | undefined
  /** 32 bytes. */
  readonly dataHash?: Uint8Array | undefined
  /** NAT kind, 1 to 4. */
  readonly kind?: number | undefined
  /** 16 bytes. */
  readonly cookie?: Uint8Array | undefined
  /** 32 bytes. */
  readonly ephemeral?: Uint8Array | undefined
}

/** Why a datagram is no message. */
export type MessageFault =
  | 'size' // empty, or longer than a message
  | 'encoding' // no protobuf, or it does not begin with an op code
  | 'op' // an op code that is not in the table
  | 'field' // a field of another type or length, or a number out of its range
  | 'missing' // a field that the op code requires

/** A datagram is no message. */
export class MessageError extends CodedError<'ERR_SHOWCHAIN_MESSAGE'> {
  override readonly name = 'MessageError'
  readonly fault: MessageFault

  constructor (fault: MessageFault) {
    super('ERR_SHOWCHAIN_MESSAGE', `no message: ${fault}`)
    this.fault = fault
  }
}

/** @throws {MessageError} */
export function decodeMessage (bytes: Uint8Array): ShowchainMessage {
  const message = readMessage(bytes)
  if (typeof message === 'string') throw new MessageError(message)
  return message
}

/** Reads a message where invalid ones are counted. */
export function readMessage (bytes: Uint8Array): ShowchainMessage | MessageFault {
  if (bytes.length === 0 || bytes.length > MAX_MESSAGE) return 'size'
  if (bytes[0] !== FirstByte.MESSAGE) return 'encoding'
  try {
    return readFields(bytes)
  } catch (err) {
    if (err instanceof ProtobufError) return 'encoding'
    throw err
  }
}

const TAG_BITS = 3
const TYPE_MASK = 7

function readFields (bytes: Uint8Array): ShowchainMessage | MessageFault {
  const end = bytes.length
  let found = 0
  let op = 0
  let seq = 0
  let ts = 0
  let port = 0
  let kind = 0
  let id, target, session, ip, data, key, dataHash, cookie, ephemeral
  let sign: Uint8Array | undefined
  for (let at = 0; at < end;) {
    const tag = readTag(bytes, at, end)
    const field = tag >>> TAG_BITS
    at = next
    if (field > MAX_FIELD) {
      skipValue(bytes, at, end, tag)
      at = next
      continue
    }
    if ((tag & TYPE_MASK) !== (IS_NUMBER[field] ? VARINT : BYTES)) return 'field'
    if (IS_NUMBER[field]) {
      const value = readNumber(bytes, at, end)
      at = afterNumber
      if (value > MAXIMUM[field]) return 'field'
      found = value === 0 ? found & ~(1 << field) : found | 1 << field // 0 is missing
      switch (field) {
        case Field.op: op = value; break
        case Field.seq: seq = value; break
        case Field.ts: ts = value; break
        case Field.port: port = value; break
        default: kind = value
      }
      continue
    }
    const stop = readLength(bytes, at, end)
    const value = bytes.subarray(next, stop)
    at = stop
    if (!isLength(field, value.length)) return 'field'
    found |= 1 << field
    switch (field) {
      case Field.id: id = value; break
      case Field.target: target = value; break
      case Field.session: session = value; break
      case Field.ip:
        if (isMapped(value)) return 'field'
        ip = value
        break
      case Field.data: data = value; break
      case Field.sign: sign = value; break
      case Field.key: key = value; break
      case Field.dataHash: dataHash = value; break
      case Field.cookie: cookie = value; break
      default: ephemeral = value
    }
  }
  const row = (FIELDS as Readonly<Record<number, FieldSet | undefined>>)[op]
  if (row === undefined) return 'op'
  if (isIncomplete(op, found & row.known, row.required)) return 'missing'
  const has = row.known
  if (sign?.length === HMAC_BYTES && (has & 1 << Field.sign) !== 0 && op !== Op.dataRequest) return 'field'
  if (op === Op.dataAck && data !== undefined && data.length !== ARRIVED_BYTES) return 'field'
  return {
    op: op as OpCode,
    id: has & 1 << Field.id ? id : undefined,
    target: has & 1 << Field.target ? target : undefined,
    seq: has & 1 << Field.seq ? seq : 0,
    ts: has & 1 << Field.ts ? ts : 0,
    session: has & 1 << Field.session ? session : undefined,
    ip: has & 1 << Field.ip ? ip : undefined,
    port: has & 1 << Field.port && port !== 0 ? port : undefined,
    data: has & 1 << Field.data ? data : undefined,
    sign: has & 1 << Field.sign ? sign : undefined,
    key: has & 1 << Field.key ? key : undefined,
    dataHash: has & 1 << Field.dataHash ? dataHash : undefined,
    kind: has & 1 << Field.kind && kind !== 0 ? kind : undefined,
    cookie: has & 1 << Field.cookie ? cookie : undefined,
    ephemeral: has & 1 << Field.ephemeral ? ephemeral : undefined
  }
}

function isIncomplete (op: number, found: number, required: number): boolean {
  if ((found & required) !== required) return true
  const endpoint = found & SEEN_ENDPOINT
  if (endpoint !== 0 && endpoint !== SEEN_ENDPOINT) return true
  if (op !== Op.directResponse) return false
  const proof = found & PROOF
  return proof === 0 ? (found & COOKIE) === 0 : proof !== PROOF
}

const byField = <T>(initial: T, values: ReadonlyArray<readonly [field: number, value: T]>): readonly T[] => {
  const list = Array<T>(MAX_FIELD + 1).fill(initial)
  for (const [field, value] of values) list[field] = value
  return list
}

const MAX_UINT32 = 2 ** 32 - 1
const MAX_PORT = 65535

/** Of the fields that are numbers. */
const MAXIMUM = byField(0, [
  [Field.op, MAX_UINT32], [Field.seq, Number.MAX_SAFE_INTEGER], [Field.ts, Number.MAX_SAFE_INTEGER], [Field.port, MAX_PORT], [Field.kind, MAX_KIND]
])
const IS_NUMBER = MAXIMUM.map((maximum) => maximum > 0)

/** Of the fields that have one length. */
const LENGTH = byField(0, [
  [Field.id, ID_BYTES], [Field.target, ID_BYTES], [Field.session, SESSION_BYTES], [Field.dataHash, HASH_BYTES], [Field.cookie, COOKIE_BYTES], [Field.ephemeral, EPHEMERAL_BYTES]
])

const IPV4_BYTES = 4
const IPV6_BYTES = 16

function isLength (field: number, length: number): boolean {
  if (LENGTH[field] !== 0) return length === LENGTH[field]
  switch (field) {
    case Field.ip: return length === IPV4_BYTES || length === IPV6_BYTES
    case Field.sign: return (length >= MIN_SIGN && length <= MAX_SIGN) || length === HMAC_BYTES
    case Field.key: return length >= MIN_KEY && length <= MAX_KEY
    default: return length > 0
  }
}

/** ::ffff:0:0/96. */
function isMapped (ip: Uint8Array): boolean {
  if (ip.length !== IPV6_BYTES || ip[10] !== 0xff || ip[11] !== 0xff) return false
  for (let i = 0; i < 10; i++) if (ip[i] !== 0) return false
  return true
}

/** Where `readNumber` has stopped. */
let afterNumber = 0

const MAX_VARINT = 10

/**
 * Reads a varint, and sets `afterNumber`.
 *
 * @returns its value, which is exact up to 2^53 - 1
 * @throws {ProtobufError} when it is cut short or has more than 10 bytes
 */
function readNumber (bytes: Uint8Array, at: number, end: number): number {
  let value = 0
  let scale = 1
  for (let i = 0; i < MAX_VARINT && at + i < end; i++) {
    const byte = bytes[at + i]
    value += (byte & 0x7f) * scale
    if (byte < 0x80) {
      afterNumber = at + i + 1
      return value
    }
    scale *= 0x80
  }
  throw new ProtobufError('a number is cut short, or has more than 64 bits')
}

/**
 * Writes a message: fields in ascending order, those that are undefined or 0 left out. What it has is not checked.
 *
 * @returns the datagram, in memory of its own
 */
export function encodeMessage (message: ShowchainMessage): Uint8Array {
  const { op, id, target, seq, ts, session, ip, port = 0, data, sign, key, dataHash, kind = 0, cookie, ephemeral } = message
  const size = numberSize(op) + bytesSize(id) + bytesSize(target) + numberSize(seq) + numberSize(ts) + bytesSize(session) + bytesSize(ip) + numberSize(port) +
    bytesSize(data) + bytesSize(sign) + bytesSize(key) + bytesSize(dataHash) + numberSize(kind) + bytesSize(cookie) + bytesSize(ephemeral)
  const out = Buffer.allocUnsafe(size)
  let at = putNumber(out, 0, Field.op, op)
  at = putBytes(out, at, Field.id, id)
  at = putBytes(out, at, Field.target, target)
  at = putNumber(out, at, Field.seq, seq)
  at = putNumber(out, at, Field.ts, ts)
  at = putBytes(out, at, Field.session, session)
  at = putBytes(out, at, Field.ip, ip)
  at = putNumber(out, at, Field.port, port)
  at = putBytes(out, at, Field.data, data)
  at = putBytes(out, at, Field.sign, sign)
  at = putBytes(out, at, Field.key, key)
  at = putBytes(out, at, Field.dataHash, dataHash)
  at = putNumber(out, at, Field.kind, kind)
  at = putBytes(out, at, Field.cookie, cookie)
  putBytes(out, at, Field.ephemeral, ephemeral)
  return out
}

function varintSize (value: number): number {
  let size = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++
  return size
}

/** With its tag of one byte. */
const numberSize = (value: number): number => value === 0 ? 0 : 1 + varintSize(value)
const bytesSize = (value: Uint8Array | undefined): number => value === undefined ? 0 : 1 + varintSize(value.length) + value.length

function putVarint (out: Uint8Array, at: number, value: number): number {
  let rest = value
  while (rest >= 0x80) {
    out[at++] = rest % 0x80 | 0x80
    rest = Math.floor(rest / 0x80)
  }
  out[at] = rest
  return at + 1
}

function putNumber (out: Uint8Array, at: number, field: number, value: number): number {
  if (value === 0) return at
  out[at] = field << TAG_BITS | VARINT
  return putVarint(out, at + 1, value)
}

function putBytes (out: Uint8Array, at: number, field: number, value: Uint8Array | undefined): number {
  if (value === undefined) return at
  out[at] = field << TAG_BITS | BYTES
  const begin = putVarint(out, at + 1, value.length)
  out.set(value, begin)
  return begin + value.length
}

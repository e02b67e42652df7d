/** The offer of R and the answer of T (SHOW CHAIN protocol, section 7.2). */
import { readU32, readU64, writeU16, writeU32, writeU64 } from '../../../net/ipv4.ts'
import { EPHEMERAL_BYTES } from '../protocol/field-table.ts'
import { sessionKeys, type EphemeralKey } from '../protocol/key-agreement.ts'

const VERSION = 1
const INDEX_AT = 1
const EPHEMERAL_AT = 5
const AFTER_EPHEMERAL = EPHEMERAL_AT + EPHEMERAL_BYTES
const TS_BYTES = 8
const LENGTH_BYTES = 2

/** What both messages have. */
export interface HandshakeMessage {
  /** Of its maker; not 0. */
  index: number
  /** 32 bytes. */
  ephemeral: Uint8Array
  /** DER. */
  key: Uint8Array
  sign: Uint8Array
}

export interface Offer extends HandshakeMessage {
  /** Milliseconds since 1970. */
  ts: number
}

/** What both ends know of a handshake from the start. */
export interface HandshakeNames {
  /** Ids of R and T. */
  requester: Uint8Array
  target: Uint8Array
  /** 8 bytes. */
  handshake: Uint8Array
}

/** What a session is made of. */
export interface Agreement {
  /** That this end has given, and the other one. */
  indexIn: number
  indexOut: number
  /** 32 bytes each; whoever uses them wipes them. */
  keys: { send: Uint8Array, receive: Uint8Array }
}

export function encodeOffer (offer: Offer): Uint8Array { return encode(offer, u64(offer.ts)) }

export function encodeAnswer (answer: HandshakeMessage): Uint8Array { return encode(answer, new Uint8Array(0)) }

/** Undefined when it is none. Views of the given bytes. */
export function decodeOffer (bytes: Uint8Array): Offer | undefined {
  const message = decode(bytes, TS_BYTES)
  if (message === undefined) return undefined
  const ts = readU64(bytes, AFTER_EPHEMERAL)
  return Number.isSafeInteger(ts) ? { ...message, ts } : undefined
}

/** Undefined when it is none. Views of the given bytes. */
export function decodeAnswer (bytes: Uint8Array): HandshakeMessage | undefined { return decode(bytes, 0) }

export interface AgreeInit extends HandshakeNames {
  role: 'requester' | 'target'
  /** Of this end. */
  index: number
  ephemeral: EphemeralKey
  /** Of the other end. */
  other: Pick<HandshakeMessage, 'index' | 'ephemeral'>
  offer: Uint8Array
  answer: Uint8Array
}

/** Undefined when the other end's key gives no secret. */
export function agree ({ role, index, ephemeral, other, offer, answer, requester, target }: AgreeInit): Agreement | undefined {
  const secret = ephemeral.agree(other.ephemeral)
  if (secret === undefined) return undefined
  const keys = sessionKeys({ secret, offer, answer, requester, target })
  secret.fill(0)
  const [send, receive] = role === 'requester' ? [keys.requester, keys.target] : [keys.target, keys.requester]
  return { indexIn: index, indexOut: other.index, keys: { send, receive } }
}

function encode ({ index, ephemeral, key, sign }: HandshakeMessage, extra: Uint8Array): Uint8Array {
  const keyAt = AFTER_EPHEMERAL + extra.length + LENGTH_BYTES
  const bytes = new Uint8Array(keyAt + key.length + sign.length)
  bytes[0] = VERSION
  writeU32(bytes, INDEX_AT, index)
  bytes.set(ephemeral, EPHEMERAL_AT)
  bytes.set(extra, AFTER_EPHEMERAL)
  writeU16(bytes, keyAt - LENGTH_BYTES, key.length)
  bytes.set(key, keyAt)
  bytes.set(sign, keyAt + key.length)
  return bytes
}

/** @param extra bytes between ephemeral and key */
function decode (bytes: Uint8Array, extra: number): HandshakeMessage | undefined {
  const keyAt = AFTER_EPHEMERAL + extra + LENGTH_BYTES
  if (bytes.length < keyAt || bytes[0] !== VERSION) return undefined
  const index = readU32(bytes, INDEX_AT)
  const signAt = keyAt + (bytes[keyAt - 2] << 8 | bytes[keyAt - 1])
  if (index === 0 || signAt === keyAt || signAt >= bytes.length) return undefined
  return { index, ephemeral: bytes.subarray(EPHEMERAL_AT, AFTER_EPHEMERAL), key: bytes.subarray(keyAt, signAt), sign: bytes.subarray(signAt) }
}

function u64 (value: number): Uint8Array {
  const bytes = new Uint8Array(TS_BYTES)
  writeU64(bytes, 0, value)
  return bytes
}

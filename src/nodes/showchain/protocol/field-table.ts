/** Which fields each message has (SHOW CHAIN protocol, sections 2.2 and 2.3). */
import { Op, type OpCode } from './op.ts'

/** Numbers of fields in the encoding. */
export const Field = {
  op: 1, id: 2, target: 3, seq: 4, ts: 5, session: 6, ip: 7, port: 8, data: 9, sign: 10, key: 11, dataHash: 12, kind: 13, cookie: 14, ephemeral: 15
} as const

export type FieldName = keyof typeof Field

export const MAX_FIELD = 15

export const ID_BYTES = 32
export const SESSION_BYTES = 16
export const COOKIE_BYTES = 16
export const HASH_BYTES = 32
export const EPHEMERAL_BYTES = 32
export const HMAC_BYTES = 32

/** Bytes of `data` of a 0x125. */
export const ARRIVED_BYTES = 32

/** Bytes of a signature: those of the modulus. */
export const MIN_SIGN = 256
export const MAX_SIGN = 512

/** Bytes of a key as DER. */
export const MIN_KEY = 292
export const MAX_KEY = 552

/** NAT kinds are 1 to this. */
export const MAX_KIND = 4

/** A bit for each field. */
const bits = (names: readonly FieldName[]): number => names.reduce((all, name) => all | 1 << Field[name], 0)

/** The fields of a message, as bits by number. */
export interface FieldSet {
  readonly required: number
  /** Required or allowed: all others are ignored. */
  readonly known: number
}

const row = (required: readonly FieldName[], optional: readonly FieldName[] = []): FieldSet =>
  ({ required: bits(['op', ...required]), known: bits(['op', ...required, ...optional]) })

const SIGNED = ['seq', 'ts', 'sign', 'key'] as const
const ENDPOINT = ['ip', 'port'] as const

export const FIELDS: Readonly<Record<OpCode, FieldSet>> = {
  [Op.keepAlive]: row(['id'], ENDPOINT),
  [Op.directRequest]: row(['id', 'target', ...SIGNED], ['kind', 'cookie']),
  [Op.directResponse]: row(['seq', 'ts', ...ENDPOINT], ['id', 'sign', 'key', 'cookie']),
  [Op.natRequest]: row(['id', 'target', ...SIGNED], ['kind', 'cookie']),
  [Op.passRequest]: row(['id', 'target', 'session', ...ENDPOINT, ...SIGNED], ['kind']),
  [Op.response]: row(['id', 'target', ...SIGNED], ['kind', 'cookie']),
  [Op.responseAck]: row(['id', 'session', ...SIGNED], ['kind']),
  [Op.passResponseAck]: row(['id', 'session', ...ENDPOINT, ...SIGNED], ['kind']),
  [Op.proxyRequest]: row(['id', 'target', ...SIGNED], ['cookie', 'ephemeral']),
  [Op.proxyResponse]: row(['target', 'session', ...SIGNED], ['ephemeral']),
  [Op.dataRequest]: row(['id', 'target', 'session', 'seq', 'ts', 'data', 'sign'], ['dataHash']),
  [Op.passData]: row(['id', 'target', 'session', 'seq', 'ts', 'data'], ['dataHash']),
  [Op.dataAck]: row(['session', 'seq', 'ts'], ['data'])
}

/** Of a 0x102: all or none of these. */
export const PROOF = bits(['id', 'sign', 'key'])
export const COOKIE = bits(['cookie'])
/** All or none of these. */
export const SEEN_ENDPOINT = bits(ENDPOINT)

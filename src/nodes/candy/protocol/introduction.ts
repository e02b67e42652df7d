/**
 * The introduction: what a peer of this package adds to its CONN, behind the 15 bytes of the protocol. Existing clients ignore bytes
 * there, and servers forward them (candy protocol, section 2.7). Two peers that have introduced themselves to each other agree on keys of
 * their own; towards others nothing differs from the protocol.
 *
 * A server forwards CONN only from the address in it, so an introduction is from the member that it names.
 */
import { readU16, readU32, writeU16, writeU32 } from '../../../net/ipv4.ts'
import { MIN_LENGTH } from './messages.ts'

const MAGIC = 0x74_75_6e_70 // tunp
const VERSION = 1

/** Bytes of an X25519 public key, and of the part of its hash that names it. */
export const PUBLIC_KEY_BYTES = 32
export const KEY_ID_BYTES = 8

/** The most further endpoints that an introduction has. */
export const MAX_CANDIDATES = 8

const OFFSET = { magic: 0, version: 4, capabilities: 5, nat: 6, count: 7, index: 8, publicKey: 12, known: 44, candidates: 52 } as const
const CANDIDATE_BYTES = 7

export type CandidateKind = 'host' | 'reflexive' | 'mapped'

const KINDS: readonly CandidateKind[] = ['host', 'reflexive', 'mapped']

/** Where a peer may be reached. */
export interface CandidateEndpoint {
  kind: CandidateKind
  /** An unsigned 32-bit number. */
  address: number
  port: number
}

/** What a peer says of itself. */
export interface Introduction {
  /** Mapping in the upper four bits, filtering in the lower ones; see `nat-code.ts`. */
  nat: number
  /** The first four bytes of datagrams to this peer, an unsigned 32-bit number. */
  index: number
  /** X25519, 32 bytes; made anew for each attempt. */
  publicKey: Uint8Array
  /** 8 bytes that name the key of the receiver that this peer knows; zeros: none. */
  known: Uint8Array
  /** At most eight. */
  candidates: readonly CandidateEndpoint[]
}

/** The bytes behind the layout of CONN. */
export function encodeIntroduction ({ nat, index, publicKey, known, candidates }: Introduction): Uint8Array {
  const count = Math.min(candidates.length, MAX_CANDIDATES)
  const bytes = new Uint8Array(OFFSET.candidates + count * CANDIDATE_BYTES)
  writeU32(bytes, OFFSET.magic, MAGIC)
  bytes[OFFSET.version] = VERSION
  bytes[OFFSET.nat] = nat
  bytes[OFFSET.count] = count
  writeU32(bytes, OFFSET.index, index)
  bytes.set(publicKey.subarray(0, PUBLIC_KEY_BYTES), OFFSET.publicKey)
  bytes.set(known.subarray(0, KEY_ID_BYTES), OFFSET.known)
  for (let i = 0; i < count; i++) {
    const at = OFFSET.candidates + i * CANDIDATE_BYTES
    bytes[at] = KINDS.indexOf(candidates[i].kind)
    writeU32(bytes, at + 1, candidates[i].address)
    writeU16(bytes, at + 5, candidates[i].port)
  }
  return bytes
}

/**
 * The introduction in a CONN. Undefined when there is none, or one of another version: then the sender is like an existing client. Views
 * of the message; bytes behind it are ignored, and so are candidates of unknown kinds.
 */
export function introductionIn (conn: Uint8Array): Introduction | undefined {
  const bytes = conn.subarray(MIN_LENGTH.CONN)
  if (bytes.length < OFFSET.candidates || readU32(bytes, OFFSET.magic) !== MAGIC || bytes[OFFSET.version] !== VERSION) return undefined
  const count = bytes[OFFSET.count]
  if (count > MAX_CANDIDATES || bytes.length < OFFSET.candidates + count * CANDIDATE_BYTES) return undefined
  const candidates: CandidateEndpoint[] = []
  for (let i = 0; i < count; i++) {
    const at = OFFSET.candidates + i * CANDIDATE_BYTES
    const kind = KINDS[bytes[at]] as CandidateKind | undefined
    if (kind !== undefined) candidates.push({ kind, address: readU32(bytes, at + 1), port: readU16(bytes, at + 5) })
  }
  return {
    nat: bytes[OFFSET.nat],
    index: readU32(bytes, OFFSET.index),
    publicKey: bytes.subarray(OFFSET.publicKey, OFFSET.known),
    known: bytes.subarray(OFFSET.known, OFFSET.candidates),
    candidates
  }
}

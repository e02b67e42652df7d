/**
 * Datagrams that members exchange without the server: their layout, sealed, and the plaintext of each kind.
 *
 * Every member seals what it sends to another one with the key of that receiver ({@link datagramKey}), so each of them can read and forge
 * everything. Members that have introduced themselves to each other (`introduction.ts`) use keys of their own, with the same layout.
 */
import { readU32, writeU32, writeU64 } from '../../../net/ipv4.ts'
import type { SealLayout } from '../../../crypto/layout.ts'
import { HASH_LENGTH, type Secret } from './hashes.ts'

/** IV, tag, text; candy protocol, section 2.2. */
export const DATAGRAM_LAYOUT = { iv: 0, tag: 12, text: 28 } as const satisfies SealLayout

/** Offset of the packet in a sealed FORWARD: the layout, and the kind. */
export const SEALED_PACKET = DATAGRAM_LAYOUT.text + 1

/** Bytes of the longest datagram that existing clients receive (section 2.2). */
export const MAX_SEALED = 1500

/** Byte 0 of a plaintext; candy protocol, section 2.3. */
export const DatagramKind = { HEARTBEAT: 0, FORWARD: 1, DELAY: 2, ROUTE: 4 } as const

/** The shortest plaintext of each kind, in bytes. */
export const MIN_PLAINTEXT = { HEARTBEAT: 12, FORWARD: 21, DELAY: 17, ROUTE: 13 } as const

/** Milliseconds in a ROUTE that withdraws. */
export const WITHDRAWN = 0x7fff_ffff

/** The key of everything that is sent to a member: its address is hashed with its bytes reversed. 32 bytes; section 2.2. */
export function datagramKey (secret: Secret, receiver: number): Uint8Array {
  const reversed = new Uint8Array(4)
  for (let i = 0; i < 4; i++) reversed[i] = receiver >>> (8 * i)
  return secret.hash(reversed).subarray(0, HASH_LENGTH)
}

/** HEARTBEAT: the sender is there; with `acknowledge`, it has heard the receiver. */
export interface Heartbeat {
  /** The virtual address of the sender. */
  sender: number
  acknowledge: boolean
}

/** A datagram with room for a plaintext of `length` bytes, which begins at `DATAGRAM_LAYOUT.text`. */
export const newDatagram = (length: number): Uint8Array => new Uint8Array(DATAGRAM_LAYOUT.text + length)

/** Writes a plaintext of 12 bytes. Address and port of the original stay zero, as nobody reads them. */
export function writeHeartbeat (into: Uint8Array, at: number, { sender, acknowledge }: Heartbeat): void {
  into[at] = DatagramKind.HEARTBEAT
  writeU32(into, at + 1, sender)
  into[at + 11] = acknowledge ? 1 : 0
}

/** Undefined when it is too short. */
export function readHeartbeat (text: Uint8Array): Heartbeat | undefined {
  return text.length < MIN_PLAINTEXT.HEARTBEAT ? undefined : { sender: readU32(text, 1), acknowledge: text[11] !== 0 }
}

/** DELAY: comes back unchanged, so that `source` learns the round-trip time to `destination`. */
export interface Delay {
  source: number
  destination: number
  /** Milliseconds of the monotonic clock of `source`. */
  time: number
}

/** Writes a plaintext of 17 bytes. */
export function writeDelay (into: Uint8Array, at: number, { source, destination, time }: Delay): void {
  into[at] = DatagramKind.DELAY
  writeU32(into, at + 1, source)
  writeU32(into, at + 5, destination)
  writeU64(into, at + 9, time)
}

/** Undefined when it is too short. A time beyond 2^53, which no clock of ours tells, is NaN. */
export function readDelay (text: Uint8Array): Delay | undefined {
  if (text.length < MIN_PLAINTEXT.DELAY) return undefined
  const high = readU32(text, 9)
  return { source: readU32(text, 1), destination: readU32(text, 5), time: high < 0x20_0000 ? high * 0x1_0000_0000 + readU32(text, 13) : NaN }
}

/** ROUTE: `next`, the sender, reaches `destination` in that time. */
export interface RouteMessage {
  destination: number
  next: number
  /** Milliseconds, signed; {@link WITHDRAWN}: not any more. */
  roundTrip: number
}

/** Writes a plaintext of 13 bytes. */
export function writeDelayRoute (into: Uint8Array, at: number, { destination, next, roundTrip }: RouteMessage): void {
  into[at] = DatagramKind.ROUTE
  writeU32(into, at + 1, destination)
  writeU32(into, at + 5, next)
  writeU32(into, at + 9, roundTrip >>> 0)
}

/** Undefined when it is too short. */
export function readDelayRoute (text: Uint8Array): RouteMessage | undefined {
  return text.length < MIN_PLAINTEXT.ROUTE ? undefined : { destination: readU32(text, 1), next: readU32(text, 5), roundTrip: readU32(text, 9) | 0 }
}

/**
 * The wire format of Protocol Buffers, read without decoding: checks a message against its schema before anything of it is decoded or
 * passed on. Accepts what Go's and C++'s decoders accept, so that a message that has passed breaks no receiver.
 */
import { isUtf8 } from 'node:buffer'

/** Text is UTF-8; a message has a schema of its own. */
export type WireField = 'string' | WireSchema | undefined

/** Fields by number; those that are not listed are only measured. */
export interface WireSchema { readonly [field: number]: WireField }

/** A message is malformed, or nested too deeply. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError'
  readonly code = 'ERR_PROTOBUF'
}

/** Groups, which only unknown fields have, within each other. Other nesting is bounded by the schema, which has no circle. */
const MAX_GROUPS = 32

/** Bytes of a tag or a length: what 32 bits need. Longer forms of them break some decoders, and no encoder writes them. */
const MAX_SHORT = 5

export const VARINT = 0
export const FIXED64 = 1
export const BYTES = 2
export const START_GROUP = 3
export const END_GROUP = 4
export const FIXED32 = 5

/** Where the last function of this file has stopped reading. */
export let next = 0
/** Whether the last varint had more than 32 bits. */
let isWide = false

/**
 * Reads a varint, and sets `next`.
 *
 * @returns its low 32 bits, unsigned
 * @throws {ProtobufError} when it is cut short or has more than 64 bits
 */
export function readVarint (bytes: Uint8Array, at: number, end: number): number {
  if (at < end && bytes[at] < 0x80) {
    next = at + 1
    isWide = false
    return bytes[at]
  }
  return readLongVarint(bytes, at, end)
}

function readLongVarint (bytes: Uint8Array, at: number, end: number): number {
  let low = 0
  let high = 0
  for (let i = 0; i < 10; i++) {
    if (at + i >= end) throw new ProtobufError('a number is cut short')
    const byte = bytes[at + i]
    if (i < 4) low |= (byte & 0x7f) << (7 * i)
    else if (i === 4) {
      low |= (byte & 0x0f) << 28
      high |= byte & 0x70
    } else if (i === 9 && byte > 1) break
    else high |= byte & 0x7f
    if (byte < 0x80) {
      next = at + i + 1
      isWide = high !== 0
      return low >>> 0
    }
  }
  throw new ProtobufError('a number has more than 64 bits')
}

/**
 * Reads the tag of a field, and sets `next`.
 *
 * @throws {ProtobufError} when it is cut short, or its number or its wire type does not exist
 */
export function readTag (bytes: Uint8Array, at: number, end: number): number {
  const tag = readVarint(bytes, at, end)
  if (next - at > MAX_SHORT) throw new ProtobufError('the number of a field has more than 5 bytes')
  if (isWide || tag < 8) throw new ProtobufError('a field has an invalid number')
  if ((tag & 7) > FIXED32) throw new ProtobufError(`a field has the wire type ${tag & 7}`)
  return tag
}

/**
 * Reads the length of text, bytes or a message, and sets `next` to where that begins.
 *
 * @returns where it ends
 * @throws {ProtobufError} when that is beyond `end`
 */
export function readLength (bytes: Uint8Array, at: number, end: number): number {
  const length = readVarint(bytes, at, end)
  if (next - at > MAX_SHORT) throw new ProtobufError('a length has more than 5 bytes')
  if (isWide || length > end - next) throw new ProtobufError('a field is longer than the message')
  return next + length
}

/**
 * Skips the value behind a tag; a group with all that is in it. Sets `next`.
 *
 * @throws {ProtobufError} when it is malformed
 */
export function skipValue (bytes: Uint8Array, at: number, end: number, tag: number, groups = 0): void {
  switch (tag & 7) {
    case VARINT:
      readVarint(bytes, at, end)
      return
    case FIXED64:
      next = at + 8
      break
    case BYTES:
      next = readLength(bytes, at, end)
      return
    case START_GROUP:
      skipGroup(bytes, at, end, tag >>> 3, groups + 1)
      return
    case END_GROUP:
      throw new ProtobufError('a group ends that has not begun')
    default:
      next = at + 4
  }
  if (next > end) throw new ProtobufError('a number is cut short')
}

function skipGroup (bytes: Uint8Array, at: number, end: number, field: number, groups: number): void {
  if (groups > MAX_GROUPS) throw new ProtobufError(`more than ${MAX_GROUPS} groups within each other`)
  next = at
  for (;;) {
    const tag = readTag(bytes, next, end)
    if ((tag & 7) !== END_GROUP) skipValue(bytes, next, end, tag, groups)
    else if (tag >>> 3 === field) return
    else throw new ProtobufError('a group ends with the number of another')
  }
}

/**
 * Checks text, which ends at `end`.
 *
 * @throws {ProtobufError} when it is not UTF-8
 */
export function verifyText (bytes: Uint8Array, at: number, end: number): void {
  for (let i = at; i < end; i++) {
    if (bytes[i] < 0x80) continue
    if (!isUtf8(bytes.subarray(i, end))) throw new ProtobufError('text is not UTF-8')
    return
  }
}

/**
 * Checks a field whose tag has been read, and sets `next`.
 *
 * @throws {ProtobufError} when it is malformed
 */
export function verifyField (bytes: Uint8Array, at: number, end: number, tag: number, schema: WireSchema): void {
  const kind = (tag & 7) === BYTES ? schema[tag >>> 3] : undefined
  if (kind === undefined) {
    skipValue(bytes, at, end, tag)
    return
  }
  const stop = readLength(bytes, at, end)
  if (kind === 'string') verifyText(bytes, next, stop)
  else verifyMessage(bytes, next, stop, kind)
  next = stop
}

/**
 * Checks a message without decoding it: numbers, lengths, groups, and the UTF-8 of all text that the schema knows, at any depth.
 *
 * @throws {ProtobufError} when it is malformed
 */
export function verifyMessage (bytes: Uint8Array, at: number, end: number, schema: WireSchema): void {
  next = at
  while (next < end) {
    const tag = readTag(bytes, next, end)
    verifyField(bytes, next, end, tag, schema)
  }
}

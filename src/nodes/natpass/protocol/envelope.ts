/**
 * The outer fields of a message, read in place: a relay routes by them and passes the rest on as it is. The whole message is checked on
 * the way, as a malformed one would break the connection of its receiver (natpass protocol, sections 1.3 and 1.5).
 */
import { BYTES, next, readLength, readTag, readVarint, VARINT, verifyField, verifyText, type WireSchema } from '../../../transforms/protobuf/wire.ts'

const FIELD_TYPE = 1
const FIELD_FROM = 2
const FIELD_TO = 4
const FIELD_LINK = 6

const tagOf = (field: number, wire: number): number => field << 3 | wire

const TYPE = tagOf(FIELD_TYPE, VARINT)
const FROM = tagOf(FIELD_FROM, BYTES)
const TO = tagOf(FIELD_TO, BYTES)
const LINK = tagOf(FIELD_LINK, BYTES)

/** One object reads many messages; each `read` replaces what was there. */
export class Envelope {
  readonly #schema: WireSchema
  bytes: Uint8Array = new Uint8Array(0)
  /** Where the message begins and ends. */
  start = 0
  end = 0
  /** The number of `_type`: of a type that is unknown here as well. */
  type = 0
  /** Where the values are; equal where a field is missing or empty. */
  fromStart = 0
  fromEnd = 0
  toStart = 0
  toEnd = 0
  linkStart = 0
  linkEnd = 0
  /** `from` or `to` stands in it more than once: the last counts, as in every decoder. */
  isRepeated = false
  #hasFrom = false
  #hasTo = false

  /** @param schema of the whole message */
  constructor (schema: WireSchema) { this.#schema = schema }

  /**
   * Reads the message in `bytes`, from `start` to its end.
   *
   * @throws {ProtobufError} when it is malformed, at any depth
   */
  read (bytes: Uint8Array, start: number): this {
    const end = bytes.length
    this.bytes = bytes
    this.start = start
    this.end = end
    this.type = 0
    this.fromStart = this.fromEnd = this.toStart = this.toEnd = this.linkStart = this.linkEnd = 0
    this.isRepeated = this.#hasFrom = this.#hasTo = false
    let at = start
    while (at < end) {
      const tag = readTag(bytes, at, end)
      if (tag === FROM || tag === TO || tag === LINK) {
        const stop = readLength(bytes, next, end)
        this.#text(tag, next, stop)
        at = stop
      } else if (tag === TYPE) {
        this.type = readVarint(bytes, next, end) | 0
        at = next
      } else {
        verifyField(bytes, next, end, tag, this.#schema)
        at = next
      }
    }
    return this
  }

  #text (tag: number, at: number, stop: number): void {
    verifyText(this.bytes, at, stop)
    if (tag === LINK) {
      this.linkStart = at
      this.linkEnd = stop
    } else if (tag === FROM) {
      this.isRepeated ||= this.#hasFrom
      this.#hasFrom = true
      this.fromStart = at
      this.fromEnd = stop
    } else {
      this.isRepeated ||= this.#hasTo
      this.#hasTo = true
      this.toStart = at
      this.toEnd = stop
    }
  }

  get from (): string { return this.#string(this.fromStart, this.fromEnd) }

  get to (): string { return this.#string(this.toStart, this.toEnd) }

  get link (): string { return this.#string(this.linkStart, this.linkEnd) }

  /** Whether `from` and `to` are these already, in UTF-8, so that the message may be passed on as it is. */
  isAddressed (from: Uint8Array, to: Uint8Array): boolean {
    return !this.isRepeated && equals(this.bytes, this.fromStart, this.fromEnd, from) && equals(this.bytes, this.toStart, this.toEnd, to)
  }

  /** Whether the id of the link is this, in UTF-8. */
  isOfLink (id: Uint8Array): boolean { return equals(this.bytes, this.linkStart, this.linkEnd, id) }

  /**
   * Writes the message with other addresses into `into` at `at`; all else stays as it was. `from` and `to` come behind the type, as the
   * original writes them.
   *
   * @returns where it ends: at most the length of both addresses and 20 bytes more than it was
   */
  writeAddressed (from: Uint8Array, to: Uint8Array, into: Uint8Array, at: number): number {
    const { bytes, end } = this
    let field = this.start
    let isAddressed = false
    while (field < end) {
      const tag = readTag(bytes, field, end)
      verifyField(bytes, next, end, tag, NOTHING)
      const stop = next
      if (tag !== TYPE && !isAddressed) {
        at = writeText(TO, to, into, writeText(FROM, from, into, at))
        isAddressed = true
      }
      if (tag !== FROM && tag !== TO) {
        into.set(bytes.subarray(field, stop), at)
        at += stop - field
      }
      field = stop
    }
    return isAddressed ? at : writeText(TO, to, into, writeText(FROM, from, into, at))
  }

  #string (at: number, end: number): string {
    const { bytes } = this
    return at === end ? '' : Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('utf8')
  }
}

/** No text to check: that was done before. */
const NOTHING: WireSchema = {}

function equals (bytes: Uint8Array, at: number, end: number, other: Uint8Array): boolean {
  const length = end - at
  if (length !== other.length) return false
  for (let i = 0; i < length; i++) if (bytes[at + i] !== other[i]) return false
  return true
}

function writeText (tag: number, text: Uint8Array, into: Uint8Array, at: number): number {
  into[at++] = tag
  let length = text.length
  for (; length > 0x7f; length >>>= 7) into[at++] = length & 0x7f | 0x80
  into[at++] = length
  into.set(text, at)
  return at + text.length
}

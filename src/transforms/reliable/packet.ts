/** Packets of the reliable protocol (reliable protocol, section 2): one datagram each. */
import type { RangeSet } from './range-set.ts'

/** Bits of the first byte. The upper three are 0. */
export const Flag = { ACK: 0x01, NUMBER: 0x02, DATA: 0x04, FIN: 0x08, RESET: 0x10 } as const

const KNOWN = 0x1f

/** The largest packet number and offset. */
export const MAX_NUMBER = Number.MAX_SAFE_INTEGER

/** Ranges of one acknowledgement, without the first one. */
export const MAX_RANGES = 240

/** Bytes of the parts of a packet. */
export const FLAGS_SIZE = 1
export const NUMBER_SIZE = 9
export const ACK_SIZE = 28
export const RANGE_SIZE = 4
export const RESET_SIZE = 4
export const OFFSET_SIZE = 7

const MAX_FLOOR = 0xffff
const MAX_DELAY = 0xffff
const MAX_RANGE = 0xffff

/** Units of a delay in a millisecond: it is in steps of 10 us. */
const DELAY_UNITS = 100

const HIGH = 2 ** 32

/** Reads one packet after the other into its fields. */
export class PacketReader {
  flags = 0
  number = 0
  /** The lowest packet number that its sender still expects an acknowledgement of; 0 when that is not told. */
  floor = 0
  /** Milliseconds between the arrival of the largest packet and its acknowledgement. */
  delay = 0
  /** Bytes that have arrived without a gap; the end of the stream counts as one more. */
  delivered = 0
  /** Offset up to which bytes may be sent. */
  limit = 0
  /** Acknowledged ranges, the highest first: `lows[i]` to `highs[i]`, both included. */
  ranges = 0
  readonly lows = new Float64Array(MAX_RANGES + 1)
  readonly highs = new Float64Array(MAX_RANGES + 1)
  code = 0
  offset = 0
  /** Where the data begins; it goes to the end. */
  dataAt = 0

  has (flag: number): boolean { return (this.flags & flag) !== 0 }

  /** Returns false when the packet breaks the format. */
  read (bytes: Uint8Array): boolean {
    const { length } = bytes
    if (length === 0) return false
    const flags = this.flags = bytes[0]
    if ((flags & ~KNOWN) !== 0 || (flags & (Flag.ACK | Flag.NUMBER)) === 0) return false
    if ((flags & Flag.NUMBER) === 0 && (flags & (Flag.DATA | Flag.RESET)) !== 0) return false
    if ((flags & Flag.FIN) !== 0 && (flags & Flag.DATA) === 0) return false
    let at = FLAGS_SIZE
    if ((flags & Flag.NUMBER) !== 0) {
      if (length < at + NUMBER_SIZE) return false
      this.number = readNumber(bytes, at)
      const below = bytes[at + 7] << 8 | bytes[at + 8]
      if (this.number > MAX_NUMBER || below > this.number) return false
      this.floor = below === MAX_FLOOR ? 0 : this.number - below
      at += NUMBER_SIZE
    }
    if ((flags & Flag.ACK) !== 0) {
      at = this.#readAck(bytes, at)
      if (at < 0) return false
    }
    if ((flags & Flag.RESET) !== 0) {
      if (length < at + RESET_SIZE) return false
      this.code = readWord(bytes, at)
      at += RESET_SIZE
    }
    if ((flags & Flag.DATA) === 0) return at === length
    if (length < at + OFFSET_SIZE) return false
    this.offset = readNumber(bytes, at)
    this.dataAt = at + OFFSET_SIZE
    const size = length - this.dataAt
    return this.offset + size < MAX_NUMBER && (size > 0 || (flags & Flag.FIN) !== 0)
  }

  /** Returns where the acknowledgement ends, or -1. */
  #readAck (bytes: Uint8Array, begin: number): number {
    let at = begin + ACK_SIZE
    if (bytes.length < at) return -1
    const largest = readNumber(bytes, begin)
    this.delay = (bytes[begin + 7] << 8 | bytes[begin + 8]) / DELAY_UNITS
    this.delivered = readNumber(bytes, begin + 9)
    this.limit = readNumber(bytes, begin + 16)
    const first = readWord(bytes, begin + 23)
    const more = bytes[begin + 27]
    if (largest > MAX_NUMBER || this.delivered > MAX_NUMBER || this.limit > MAX_NUMBER) return -1
    if (first === 0 || first > largest + 1 || more > MAX_RANGES || bytes.length < at + more * RANGE_SIZE) return -1
    this.highs[0] = largest
    let low = this.lows[0] = largest - first + 1
    for (let i = 1; i <= more; i++, at += RANGE_SIZE) {
      const gap = bytes[at] << 8 | bytes[at + 1]
      const size = bytes[at + 2] << 8 | bytes[at + 3]
      const high = this.highs[i] = low - gap - 1
      low = this.lows[i] = high - size + 1
      if (gap === 0 || size === 0 || low < 0) return -1
    }
    this.ranges = more + 1
    return at
  }
}

/** Writes number and floor; returns where they end. */
export function writeNumbers (into: Uint8Array, at: number, number: number, floor: number): number {
  writeNumber(into, at, number)
  const below = Math.min(number - floor, MAX_FLOOR)
  into[at + 7] = below >>> 8
  into[at + 8] = below
  return at + NUMBER_SIZE
}

export interface Acknowledgement {
  /** Packet numbers that have come; at least one. */
  numbers: RangeSet
  /** Milliseconds. */
  delay: number
  delivered: number
  limit: number
}

/** Writes as many ranges as there is room for, at least the first one; returns where they end. */
export function writeAck (into: Uint8Array, begin: number, end: number, { numbers, delay, delivered, limit }: Acknowledgement): number {
  let range = numbers.length - 1
  writeNumber(into, begin, numbers.to(range) - 1)
  const units = Math.min(MAX_DELAY, Math.max(0, Math.round(delay * DELAY_UNITS)))
  into[begin + 7] = units >>> 8
  into[begin + 8] = units
  writeNumber(into, begin + 9, delivered)
  writeNumber(into, begin + 16, limit)
  writeWord(into, begin + 23, Math.min(numbers.to(range) - numbers.from(range), 0xffff_ffff))
  let at = begin + ACK_SIZE
  let more = 0
  let low = numbers.from(range)
  for (range--; range >= 0 && more < MAX_RANGES && at + RANGE_SIZE <= end; range--, more++, at += RANGE_SIZE) {
    const gap = low - numbers.to(range)
    if (gap > MAX_RANGE) break
    const size = Math.min(numbers.to(range) - numbers.from(range), MAX_RANGE)
    into[at] = gap >>> 8
    into[at + 1] = gap
    into[at + 2] = size >>> 8
    into[at + 3] = size
    low = numbers.to(range) - size
  }
  into[begin + 27] = more
  return at
}

export function writeWord (into: Uint8Array, at: number, value: number): number {
  into[at] = value >>> 24
  into[at + 1] = value >>> 16
  into[at + 2] = value >>> 8
  into[at + 3] = value
  return at + 4
}

/** 56 bits, the highest byte first. */
export function writeNumber (into: Uint8Array, at: number, value: number): number {
  const high = Math.floor(value / HIGH)
  into[at] = high >>> 16
  into[at + 1] = high >>> 8
  into[at + 2] = high
  return writeWord(into, at + 3, value >>> 0)
}

const readWord = (bytes: Uint8Array, at: number): number => (bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3]) >>> 0

const readNumber = (bytes: Uint8Array, at: number): number => (bytes[at] << 16 | bytes[at + 1] << 8 | bytes[at + 2]) * HIGH + readWord(bytes, at + 3)

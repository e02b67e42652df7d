/** What the two ends of a connection send each other (RFC 9293, section 3.1). Ports are those of the packet that carries it. */

/** Bits of `Segment.flags`. */
export const Flag = { FIN: 0x01, SYN: 0x02, RST: 0x04, ACK: 0x10 } as const

/** The window is not scaled: the field takes it as it is. */
export const MAX_WINDOW = 1 << 30

/** Bytes of data in one segment. */
export const MAX_DATA = 0xffff

/** Bytes of data that any host takes in a segment, where SYN does not say (RFC 9293, section 3.7.1). */
export const DEFAULT_MAX_DATA = 536

/** The least that is believed: what the smallest MTU, 68 bytes, leaves behind the headers of IPv6 and TCP. */
export const LEAST_MAX_DATA = 8

export interface Segment {
  /** Of the first byte of `data`, or of SYN. */
  readonly sequence: number
  /** The next byte that the sender expects; means nothing without ACK. */
  readonly acknowledgement: number
  /** Bytes from `acknowledgement` on that the sender of the segment has room for. */
  readonly window: number
  /** Bits of {@link Flag}. */
  readonly flags: number
  /** Bytes of data that the sender of the segment takes in one segment; 0 without SYN. */
  readonly maxData: number
  /** What has come although something before it is missing: first and next sequence number of each range, the newest first (RFC 2018). */
  readonly selective?: readonly SelectiveRange[]
  readonly data: Uint8Array
}

export type SelectiveRange = readonly [start: number, end: number]

/** Ranges for which the header has room. */
export const MAX_SELECTIVE = 4

export const NO_DATA = new Uint8Array(0)

/** Sequence numbers that it takes up: those of its data, of SYN and of FIN. */
export const lengthOf = ({ data, flags }: Segment): number => data.length + ((flags & Flag.SYN) >> 1) + (flags & Flag.FIN)

const isNumber = (value: unknown, most: number): boolean => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most

function areRanges (value: unknown): boolean {
  if (!Array.isArray(value) || value.length > MAX_SELECTIVE) return false
  return value.every((range: unknown) => Array.isArray(range) && range.length === 2 && range.every((sequence) => isNumber(sequence, 0xffffffff)))
}

/** Bytes of the option for ranges, padded, without them, and of each range. */
const SELECTIVE_HEADER = 4
const SELECTIVE_RANGE = 8

/** Bytes of the options in the header, besides those of SYN. */
export const optionsOf = ({ selective }: Segment): number => selective === undefined ? 0 : SELECTIVE_HEADER + SELECTIVE_RANGE * selective.length

/** As many of the ranges as fit in a packet that takes `maxData` bytes of data; undefined for none. */
export function selectiveWithin (maxData: number, ranges: readonly SelectiveRange[] | undefined): readonly SelectiveRange[] | undefined {
  const count = Math.floor((maxData - SELECTIVE_HEADER) / SELECTIVE_RANGE)
  return count > 0 ? ranges?.slice(0, count) : undefined
}

/** Whether a value that has come from the network is a segment: each field is there and in its range. */
export function isSegment (value: unknown): value is Segment {
  if (typeof value !== 'object' || value === null) return false
  const { sequence, acknowledgement, window, flags, maxData, selective, data } = value as Partial<Segment>
  return isNumber(sequence, 0xffffffff) && isNumber(acknowledgement, 0xffffffff) && isNumber(window, MAX_WINDOW) && isNumber(flags, 0xff) &&
    isNumber(maxData, MAX_DATA) && data instanceof Uint8Array && data.length <= MAX_DATA && (selective === undefined || areRanges(selective))
}

/**
 * The answer to a segment that belongs to no connection, so that its sender gives up (RFC 9293, section 3.10.7.1). Undefined for a reset,
 * which is never answered.
 */
export function resetFor (segment: Segment): Segment | undefined {
  if ((segment.flags & Flag.RST) !== 0) return undefined
  const isAcknowledging = (segment.flags & Flag.ACK) !== 0
  return {
    sequence: isAcknowledging ? segment.acknowledgement : 0,
    acknowledgement: isAcknowledging ? 0 : (segment.sequence + lengthOf(segment)) >>> 0,
    window: 0,
    flags: isAcknowledging ? Flag.RST : Flag.RST | Flag.ACK,
    maxData: 0,
    data: NO_DATA
  }
}

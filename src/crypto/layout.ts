/** Where the parts of a sealed datagram are. */
import { OptionError } from '../errors.ts'

/** Sizes of AES-256-GCM, in bytes. */
export const KEY_BYTES = 32
export const IV_BYTES = 12
export const TAG_BYTES = 16

/** The longest datagram: the length field of UDP has 16 bits. */
export const MAX_DATAGRAM = 0xffff

/**
 * Where the parts of a sealed datagram are: offsets of the first byte of each. The IV has 12 bytes, the tag 16, and the text all that is
 * left, up to the end or to a tag at the end. Bytes of no part are neither encrypted nor authenticated.
 */
export interface SealLayout {
  iv: number
  /** `end`: the last 16 bytes, as in ESP and in records of TLS. */
  tag: number | 'end'
  text: number
}

/** @throws {OptionError} when parts overlap */
export function verifyLayout (layout: SealLayout): SealLayout {
  if (layout == null) throw new OptionError('layout has the offsets of IV, tag and text')
  const { iv, tag, text } = layout
  for (const [name, at] of Object.entries({ iv, tag: tag === 'end' ? 0 : tag, text })) {
    if (!Number.isInteger(at) || at < 0 || at > MAX_DATAGRAM) throw new OptionError(`layout.${name} is an offset in bytes, 0 to ${MAX_DATAGRAM}, not ${String(at)}`)
  }
  if (iv + IV_BYTES > text) throw new OptionError(`layout: an IV at ${iv} overlaps the text at ${text}`)
  if (tag !== 'end') {
    if (tag + TAG_BYTES > text) throw new OptionError(`layout: a tag at ${tag} overlaps the text at ${text}`)
    if (tag < iv + IV_BYTES && iv < tag + TAG_BYTES) throw new OptionError(`layout: a tag at ${tag} overlaps the IV at ${iv}`)
  }
  if (shortestOf(layout) > MAX_DATAGRAM) throw new OptionError(`layout: a text at ${text} is beyond the longest datagram`)
  return { iv, tag, text }
}

/** Bytes of a datagram with an empty text. */
export const shortestOf = ({ tag, text }: SealLayout): number => tag === 'end' ? text + TAG_BYTES : text

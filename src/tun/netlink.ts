/**
 * The format of netlink(7) messages: a header, a struct of the family, then attributes with a length in front of each. Numbers are in host
 * byte order.
 */
import { endianness } from 'node:os'
import { TunError } from './device.ts'

export const LITTLE = endianness() === 'LE'

// struct nlmsghdr: length (4 bytes, header included), type (2), flags (2), sequence number (4), sender (4)
export const HEADER = 16
export const AT_TYPE = 4
export const AT_FLAGS = 6
export const AT_SEQUENCE = 8

/** struct rtattr: length (2 bytes, these four included), type (2). */
export const ATTRIBUTE = 4

/** Mask of the type of an attribute; the other bits are flags. */
const ATTRIBUTE_TYPE = 0x3fff

const NLMSG_ERROR = 2 // carries a negative errno, or 0 for success
const NLMSG_DONE = 3 // the end of a list, with an errno as well

export const NLM_F_REQUEST = 0x1
export const NLM_F_ACK = 0x4
export const NLM_F_DUMP = 0x300

/** Alignment to four bytes. */
const aligned = (length: number): number => (length + 3) & ~3

export const malformed = (what: string): TunError => new TunError('ERR_TUN_SYSTEM', `rtnetlink: ${what}`)

/**
 * The messages of one read, header included.
 *
 * @throws {TunError} for invalid lengths
 */
export function * messagesIn (bytes: Uint8Array): Generator<DataView> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let length
  for (let at = 0; at < bytes.length; at += aligned(length)) {
    const left = bytes.length - at
    length = left < HEADER ? 0 : view.getUint32(at, LITTLE)
    if (length < HEADER || length > left) throw malformed(`a message of ${length} bytes where there are ${left}`)
    yield new DataView(view.buffer, view.byteOffset + at, length)
  }
}

/**
 * The attributes of a message from an offset on, as type and value.
 *
 * @throws {TunError} for invalid lengths
 */
export function * attributesIn (message: DataView, from: number): Generator<[type: number, value: DataView]> {
  let length
  for (let at = from; at < message.byteLength; at += aligned(length)) {
    const left = message.byteLength - at
    length = left < ATTRIBUTE ? 0 : message.getUint16(at, LITTLE)
    if (length < ATTRIBUTE || length > left) throw malformed(`an attribute of ${length} bytes where there are ${left}`)
    yield [message.getUint16(at + 2, LITTLE) & ATTRIBUTE_TYPE, new DataView(message.buffer, message.byteOffset + at + ATTRIBUTE, length - ATTRIBUTE)]
  }
}

/** The result of a request, as an errno or 0; undefined for other messages. */
export function endOf (message: DataView): number | undefined {
  const type = message.getUint16(AT_TYPE, LITTLE)
  if (type !== NLMSG_ERROR && type !== NLMSG_DONE) return undefined
  if (message.byteLength < HEADER + 4) throw malformed(`an end of ${message.byteLength} bytes`)
  const error = message.getInt32(HEADER, LITTLE)
  if (error > 0) throw malformed(`an end with the error ${error}`)
  return Math.abs(error)
}

/** The messages of one read that answer a request. */
export const answersIn = (bytes: Uint8Array, sequence: number): DataView[] =>
  [...messagesIn(bytes)].filter((message) => message.getUint32(AT_SEQUENCE, LITTLE) === sequence)

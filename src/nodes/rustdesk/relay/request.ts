/** The first message of a connection, which has to ask for a partner. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { EarlySource } from './early-source.ts'
import type { RustdeskRejectReason } from './stats.ts'
import { MAX_MESSAGE, rendezvous, type Members } from '../protocol/messages.ts'
import { firstFrame } from '../../../transforms/first-frame.ts'
import { rustdeskLength } from '../../../transforms/length-codecs.ts'
import { printable } from '../../../text/printable.ts'
import type { Link } from '../../../types.ts'

/** Bytes of a uuid; those of clients have 36. */
const MAX_UUID = 128

/** Bytes of an id that are shown. */
const MAX_ID = 100

/** A first message, and the link after it; undefined when the connection has ended before. */
export interface FirstMessage {
  readonly message: Uint8Array
  /** What comes after it; not yet read by anybody. */
  readonly early: EarlySource
  /** The link itself, without its source. */
  readonly link: Link
}

/** @throws {FrameSizeError} when it is larger than any first message; what broke the link */
export async function firstOfBytes (link: Link): Promise<FirstMessage | undefined> {
  const { frame, rest } = await firstFrame(link, rustdeskLength, { maxFrame: MAX_MESSAGE })
  return frame === undefined ? undefined : { message: frame, early: new EarlySource(rest.source[Symbol.asyncIterator]()), link }
}

/** The same of messages of WebSocket. @throws what broke the link */
export async function firstOfMessages (link: Link): Promise<FirstMessage | undefined> {
  const iterator = link.source[Symbol.asyncIterator]()
  const { done, value } = await iterator.next()
  return done === true ? undefined : { message: value[0], early: new EarlySource(iterator, value.slice(1)), link }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Whether two keys are equal, in constant time. */
const isSameKey = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b))

/**
 * @param key what the client has to know; empty: nothing
 * @throws {ProtobufError} when it is malformed
 */
export function readRequest (message: Uint8Array, key: string): { uuid: string, id: string } | { reason: RustdeskRejectReason } {
  const { union, request_relay: request } = rendezvous.decode(message)
  if (union !== 'request_relay' || request == null) return { reason: 'malformed' }
  const { uuid, id, licence_key: licenceKey } = request as Members['request_relay']
  if (key !== '' && !isSameKey(key, licenceKey)) return { reason: 'key' }
  return uuid === '' || uuid.length > MAX_UUID ? { reason: 'uuid' } : { uuid, id: printable(id, MAX_ID) }
}

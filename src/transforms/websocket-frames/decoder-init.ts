/** What a decoder of WebSocket frames is told: its side, its limits, what it forgives, and who hears of what is no message. */
import { OptionError } from '../../errors.ts'
import { MAX_CONTROL_PAYLOAD } from './protocol.ts'

export type Role = 'client' | 'server'

/** Departures from RFC 6455 that some programs commit. None is accepted unless named. */
export interface Tolerance {
  /** A server takes frames without a mask. */
  unmasked?: boolean
  /** Control frames may carry more than 125 bytes, up to `maxPayload`. */
  longControl?: boolean
  /** The payload of a close frame may be any bytes: all of them are then taken for the reason, with code 1005. */
  rawClose?: boolean
}

export interface FrameDecoderInit {
  /** Which side decodes: a server takes masked frames, a client takes unmasked ones. */
  role: Role
  /** The largest message in bytes, over all its fragments. Default: 64 KiB. */
  maxPayload?: number
  /** The largest number of fragments of one message. Default: 1024. */
  maxFragments?: number
  tolerate?: Tolerance
}

/** What a decoder meets between messages. Called in the order of the wire; payloads are valid during the call. */
export interface FrameHandlers {
  /** A text message, checked to be UTF-8. Without this handler text is refused with 1003. */
  onText? (payload: Uint8Array): void
  onPing? (payload: Uint8Array): void
  onPong? (payload: Uint8Array): void
  /** The last frame of this direction: whatever follows it is ignored. Code 1005 when it named none. */
  onClose? (code: number, reason: string): void
}

export const DEFAULT_MAX_PAYLOAD = 64 * 1024
export const DEFAULT_MAX_FRAGMENTS = 1024

/** Throws `OptionError` for limits that cannot be. */
export function verifyFrames ({ maxPayload = DEFAULT_MAX_PAYLOAD, maxFragments = DEFAULT_MAX_FRAGMENTS }: Omit<FrameDecoderInit, 'role'>): void {
  if (!Number.isSafeInteger(maxPayload) || maxPayload < MAX_CONTROL_PAYLOAD) throw new OptionError(`maxPayload: ${maxPayload} bytes, at least ${MAX_CONTROL_PAYLOAD}`)
  if (!Number.isSafeInteger(maxFragments) || maxFragments < 1) throw new OptionError(`maxFragments: ${maxFragments}, at least 1`)
}

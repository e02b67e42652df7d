/** Options of a decoder of WebSocket frames: role, limits, tolerance, and handlers of all that is not a message. */
import { OptionError } from '../../errors.ts'
import { MAX_CONTROL_PAYLOAD } from './protocol.ts'

/** The side of a WebSocket: clients mask their frames (RFC 6455, section 5.1). */
export type Role = 'client' | 'server'

/** Departures from RFC 6455 that some programs need. None is accepted by default. */
export interface Tolerance {
  /** A server accepts unmasked frames. */
  unmasked?: boolean
  /** Control frames may have more than 125 bytes, up to `maxPayload`. */
  longControl?: boolean
  /** The payload of a close frame may be any bytes, which are the reason then, with code 1005. */
  rawClose?: boolean
}

/** Options of a {@link FrameDecoder}. */
export interface FrameDecoderInit {
  /** The side that decodes: a server accepts masked frames, a client unmasked ones. */
  role: Role
  /** Maximum bytes of a message, over all its fragments. Default: 64 KiB. */
  maxPayload?: number
  /** Maximum number of fragments of one message. Default: 1024. */
  maxFragments?: number
  tolerate?: Tolerance
}

/** Handlers of frames between messages. Called in wire order; payloads are valid during the call. */
export interface FrameHandlers {
  /** A text message, valid UTF-8. Without this handler text is rejected with 1003. */
  onText? (payload: Uint8Array): void
  onPing? (payload: Uint8Array): void
  onPong? (payload: Uint8Array): void
  /** The last frame of this direction: later ones are ignored. Code 1005 when it had none. */
  onClose? (code: number, reason: string): void
}

export const DEFAULT_MAX_PAYLOAD = 64 * 1024
export const DEFAULT_MAX_FRAGMENTS = 1024

/** @throws {OptionError} when a limit is out of range */
export function verifyFrames ({ maxPayload = DEFAULT_MAX_PAYLOAD, maxFragments = DEFAULT_MAX_FRAGMENTS }: Omit<FrameDecoderInit, 'role'>): void {
  if (!Number.isSafeInteger(maxPayload) || maxPayload < MAX_CONTROL_PAYLOAD) throw new OptionError(`maxPayload: ${maxPayload} bytes, at least ${MAX_CONTROL_PAYLOAD}`)
  if (!Number.isSafeInteger(maxFragments) || maxFragments < 1) throw new OptionError(`maxFragments: ${maxFragments}, at least 1`)
}

/** The link that {@link websocketFrames} makes of a link of bytes. */
import type { FrameResyncInit } from './resync.ts'
import type { Link, Take } from '../../types.ts'

export type RecoverFramesInit = Pick<FrameResyncInit, 'plausible' | 'trusted' | 'onResync'>

/**
 * Binary messages over a WebSocket. The layer answers pings.
 *
 * `source` ends when the other side closed with 1000, 1001 or no code; any other code, and an end without a close frame, is a
 * `WebSocketClosedError`. There is no half-close: after `sink` has written everything it sends a close frame, and settles after the answer,
 * which is noticed only while `source` is read; when the other side closes first, `sink` rejects with `ERR_LINK_CLOSED`. A link has one
 * `sink` in its life.
 */
export interface WebSocketLink extends Link {
  /** Called for each text message. While it is undefined, text is rejected with 1003. */
  onText?: (payload: Uint8Array) => void
  /** Called for the first and the last ping of a portion: of many pings only one is answered. */
  onPing?: (payload: Uint8Array) => void
  /**
   * Called when a portion of at most 8192 frames has been handled, with their number, control frames included. A promise pauses reading
   * until it settles; it must not reject.
   */
  onFrames?: (frames: number) => Promise<void> | undefined
  /**
   * Also called for answers to pings of the layer itself, which sends some between messages of `port` where the system does not report the
   * queued bytes.
   */
  onPong?: (payload: Uint8Array) => void
  /**
   * Sends a ping of at most 125 bytes.
   *
   * @returns false when it was dropped: the queue is full, or the link is closing
   * @throws {OptionError} when the payload is longer
   */
  ping (payload?: Uint8Array): boolean
  /**
   * Sends whole frames of a {@link FrameEncoder} of the same role, unchanged. Pooled memory is released once it is written, where the link
   * below has `poolReads`. A capture does not see them. Optional.
   *
   * @returns false when they were dropped: the queue is full, or the link is closing
   */
  sendFrames? (frames: Uint8Array): boolean
  /**
   * From now on no frame of `port` is split over two TCP segments, as long as it fits into one: for receivers that read without blocking.
   * It costs a write per segment. No effect over TLS. Optional, see `Link.records`.
   */
  wholeFrames? (isOn: boolean): void
  /**
   * For a client that writes without blocking, and drops what does not fit into its send buffer, even part of a frame: from now on a
   * truncated frame is detected and the next one is searched, see {@link FrameResync}, and the kernel gets a larger receive buffer.
   * Undefined ends that. No effect unless the link below is plain TCP. Optional.
   *
   * @internal
   */
  recoverFrames? (init: RecoverFramesInit | undefined): void
  /** Bytes of memory for a message that is not complete yet. Optional. */
  readonly held?: number
  /**
   * Changes the maximum bytes of a message, from the next frame on: for links on which more is allowed later. Optional.
   *
   * @throws {OptionError} when it is out of range
   */
  limitPayload? (maxPayload: number): void
  /**
   * Starts the closing handshake. Data of `port` that was not sent within `closeTimeout` is lost; data of `sink` is delivered as long as
   * the other side reads.
   *
   * @throws {OptionError} for a code that must not be sent, or a reason of more than 123 bytes
   */
  close (code?: number, reason?: string): void
  /**
   * See {@link Link}. The memory of messages is reused once `take` has returned, or its promise has settled: for readers that copy it
   * before, as a relay does.
   */
  flow (take: Take, signal?: AbortSignal): Promise<void>
}

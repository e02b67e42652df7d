/** What {@link websocketFrames} makes of a link of bytes. */
import type { FrameResyncInit } from './resync.ts'
import type { Link, Take } from '../../types.ts'

export type RecoverFramesInit = Pick<FrameResyncInit, 'plausible' | 'trusted' | 'onResync'>

/**
 * Binary messages over a WebSocket. Pings are answered by the layer itself.
 *
 * `source` ends when the other side closed with 1000, 1001 or no code; any other code, and an end without a close frame,
 * is a `WebSocketClosedError`. There is no half-close: when `sink` has written everything it sends a close frame and
 * settles after the answer, which is noticed only while somebody reads `source`; when the other side closes first, `sink`
 * rejects with `ERR_LINK_CLOSED`. A link has one `sink` in its life.
 */
export interface WebSocketLink extends Link {
  /** Called for each text message. While it is undefined, text is refused with 1003. */
  onText?: (payload: Uint8Array) => void
  /** For the first and the last ping of a portion: many may come at once, of which one is answered. */
  onPing?: (payload: Uint8Array) => void
  /**
   * Called when a portion of frames, at most 8192, has been dealt with: how many they were, control frames included. A promise holds up the
   * reading until it has settled; it never rejects.
   */
  onFrames?: (frames: number) => Promise<void> | undefined
  /** Also for answers to pings of the layer itself, which sends some beside messages of `port` where the system does not tell what waits. */
  onPong?: (payload: Uint8Array) => void
  /**
   * Sends a ping of at most 125 bytes.
   *
   * @returns false when it was dropped: the queue is full, or the link is closing
   * @throws {OptionError} when the payload is longer
   */
  ping (payload?: Uint8Array): boolean
  /**
   * Sends whole frames that a {@link FrameEncoder} of the same role has made, as they are. Their memory is given back when they were
   * written, if it was borrowed, which takes a link below that has `poolReads`. Not every link can do that, and a capture does not see them.
   *
   * @returns false when they were dropped: the queue is full, or the link is closing
   */
  sendFrames? (frames: Uint8Array): boolean
  /**
   * From now on no frame of `port` is cut into two segments of TCP, as long as it fits into one: for receivers that read without waiting.
   * It costs a write for each segment. Over TLS nothing changes. Not every link can do that; see `Link.records`.
   */
  wholeFrames? (isOn: boolean): void
  /**
   * For a client that writes without blocking, and leaves out what does not fit into its send buffer, the rest of a frame as well: from
   * now on the next frame is looked for when one was cut, and the system keeps more of what it sends. See {@link FrameResync}. Undefined
   * ends that. Only where the link below is plain TCP, else nothing happens: nothing else cuts frames.
   */
  recoverFrames? (init: RecoverFramesInit | undefined): void
  /**
   * Starts the closing handshake. What was sent through `port` and has not left after `closeTimeout` is lost; what `sink` has
   * taken still arrives as long as the other side reads at all.
   *
   * @throws {OptionError} for a code that must not be sent, or a reason of more than 123 bytes
   */
  close (code?: number, reason?: string): void
  /**
   * See {@link Link}. The memory of messages is used again as soon as `take` has returned, or its promise has settled: for whoever has
   * copied it to where it goes by then, as a relay has.
   */
  flow (take: Take, signal?: AbortSignal): Promise<void>
}

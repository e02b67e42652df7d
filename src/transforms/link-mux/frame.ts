/** The frames of a multiplexed connection, whatever they are on the wire, and what a wire codec has to provide. */
import type { Batch } from '../../types.ts'

/** Why a link was refused or reset (link-mux protocol, section 4). Codes from 64 on belong to applications. */
export const ResetCode = {
  /** Nothing has failed: the link ends in both directions, after the data before. Only of links without half-close. */
  CLOSED: 0,
  /** The other side has aborted the link, or has given up opening it. */
  CANCELLED: 1,
  /** The other side does not want the link. */
  REFUSED: 2,
  /** Too many links, or too many that were not accepted yet. */
  LIMIT: 3,
  /** A frame that the link must not get now, or an id that must not be used. */
  PROTOCOL: 4,
  /** More data than there was credit for, or more credit than can be. */
  CREDIT: 5,
  /** The receiver of a link has not read for too long. */
  STALLED: 6,
  /** There is no such link. */
  UNKNOWN: 7,
  /** The other side has failed while it opened the link. */
  INTERNAL: 8
} as const

/** Takes frames, one call for each. Bytes are views: what is kept beyond the batch is copied where it is small. */
export interface MuxFrames<Id, Request, Response> {
  /** @param window bytes that the opener is ready to receive; undefined: it does not know credit */
  open (id: Id, request: Request, window: number | undefined): void
  /** @param window bytes that the acceptor is ready to receive; undefined: this link has neither credit nor half-close */
  accept (id: Id, response: Response, window: number | undefined): void
  /** Refuses an `open`. */
  reject (id: Id, code: number, response: Response | undefined): void
  data (id: Id, bytes: Uint8Array): void
  /** Grants so many bytes more. Only of links with credit. */
  window (id: Id, bytes: number): void
  /** Nothing more comes in this direction. Only of links with credit. */
  end (id: Id): void
  reset (id: Id, code: number): void
}

/** Encodes frames. A frame that a peer cannot read is left out, such as `window` for one that does not know credit. */
export interface MuxEncoder<Id, Request, Response, Out> extends MuxFrames<Id, Request, Response> {
  /** Each side has ended its direction of the link. For formats that say so. */
  over? (id: Id): void
  /** Returns all that was encoded since the last call. */
  take (): Batch<Out>
}

/** Decodes frames. */
export interface MuxDecoder<Id, Request, Response, In> {
  /** Calls `frames` for each complete frame. Throws an error with a `code` when the input breaks the framing: the connection ends then. */
  push (batch: Batch<In>, frames: MuxFrames<Id, Request, Response>): void
  /** The connection has ended. Throws `ERR_TRUNCATED` when it ended inside a frame. */
  end (): void
}

/**
 * The wire format of one connection.
 *
 * Whether a link has credit is settled when it is opened: it has when both `open` and `accept` carry a window. A link without credit has no
 * half-close either, so that a peer may know nothing but `open`, `accept`, `reject`, `data` and `reset`.
 *
 * @typeParam Id names a link; unique on the connection
 * @typeParam Request what a link is opened with
 * @typeParam Response what it is accepted with
 * @typeParam In incoming elements of the link below
 * @typeParam Out outgoing elements of the link below
 */
export interface MuxCodec<Id extends string | number, Request, Response, In = Uint8Array, Out = In> {
  /** Maximum bytes of one data frame. */
  readonly maxData: number
  /** Maximum bytes of a message to send, on links that keep messages. Those that come are bounded by the decoder alone. Default: `maxData`. */
  readonly maxMessage?: number
  /** A link may have the id of one that has ended, once both sides know that. Default: false. */
  readonly reusesIds?: boolean
  readonly encoder: MuxEncoder<Id, Request, Response, Out>
  readonly decoder: MuxDecoder<Id, Request, Response, In>
  /** The id of the next link that this side opens; undefined when there is none left. It may be one that has ended where `reusesIds` is set. */
  nextId (request: Request): Id | undefined
  /** Whether the other side may open a link of this id. Called once for each `open`. */
  mayOpen (id: Id): boolean
}

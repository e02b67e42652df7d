/**
 * The contracts of the library: a connection is a {@link Link}, a protocol layer is a function from link to link, and both carry batches,
 * see {@link Batch}.
 */

/**
 * Elements that arrived together. All streams carry batches, so that there is one promise per read, not per packet. A TCP read is a batch
 * of one.
 *
 * Elements are views of memory that has no other writer any more. The receiver may change and keep them, and owns the array. A small view
 * keeps its whole read buffer alive, so copy what is kept for long.
 */
export type Batch<T = Uint8Array> = T[]

/** A reader that is called with each batch. Until its promise has settled it is not called again. */
export type Take<T = Uint8Array> = (batch: Batch<T>) => Promise<void> | void

/** A stage of an `it-pipe` pipeline. */
export type Transform<A, B = A> = (source: AsyncIterable<Batch<A>>) => AsyncGenerator<Batch<B>>

/** One direction of a layer as synchronous code: no I/O, no timers, no promises. */
export interface Core<A = Uint8Array, B = A> {
  /**
   * Takes a batch, returns the complete elements. Input that breaks the protocol is an error with a `code`: a decoder returns the elements
   * before it and sets `failure`, so that the result does not depend on how the input was cut into reads; an encoder throws, and takes
   * nothing of the batch.
   */
  push (batch: Batch<A>): Batch<B>
  /** Of an encoder: nobody has taken the result of the last `push`, which is to be as if it had not been. For those that count what they send. */
  undo? (): void
  /**
   * The stream has ended.
   * @throws {TruncatedError} when it ended inside an element
   */
  end? (): void
  /** The error that ended this direction; `push` and `end` throw it from then on. */
  readonly failure?: Error | undefined
  /**
   * What happens to the memory of a batch. `passes`: after `push` only its result refers to the memory. `copies`: its result does not refer
   * to it either. Other cores get pooled memory as a copy. Default: some of it may be kept for a later `push`.
   */
  readonly memory?: 'passes' | 'copies'
}

/**
 * Sends packets (IP, UDP): many senders, none of which waits. Sent memory is only read, possibly after `send` has returned, so one packet
 * may go to many ports, and the sender must not reuse its memory, but where `isReusable` says so.
 */
export interface PacketPort<T = Uint8Array> {
  /**
   * Takes the batch when fewer than `limit` bytes are queued, else drops it. A batch with an element that a layer cannot encode (too large
   * for its frames, say) is dropped as well, where `sink` rejects.
   *
   * @returns the number of elements taken: all, or 0. The caller counts drops.
   */
  send (batch: Batch<T>): number
  /** Bytes that were taken and that the system below has not accepted yet. */
  readonly queued: number
  /** `queued`, and the bytes that the system below has accepted and not sent yet; undefined where it does not tell. May cost a system call. */
  readonly bufferedAmount?: number | undefined
  /** The bound of `queued` in bytes; exceeded by at most one batch. */
  readonly limit: number
  /** Whether memory that was sent is not read any more once `queued` is 0, so that its sender may use it again. Default: false. */
  readonly isReusable?: boolean
  /**
   * Settles when the system below takes more without delay, or the link has ended: for a sender that can pause, as an interface can,
   * instead of losing packets. Optional.
   */
  drained? (): Promise<void>
}

/** How the bytes of a port are cut into records that must not arrive in two parts. */
export interface Records {
  /**
   * The end of the record that begins at `at`: as many whole pieces as fit into `size` bytes, or one that is larger. Elements of a batch
   * are whole pieces.
   */
  end (bytes: Uint8Array, at: number, size: number): number
  /** A piece of a few bytes that the other side ignores. Written through Node when a record has to wait, as Node can wait for the kernel. */
  readonly filler: Uint8Array
}

/** A bound of the read-ahead of a link, for code that limits the memory of many links together. */
export interface ReadAhead {
  /** Bytes, as of now. 0: nothing is read while the reader is busy. */
  readonly limit: number
  /** Called when the number of bytes that were read and wait for the reader has changed. */
  waiting (bytes: number): void
}

/** Progress of the bytes written to a connection. */
export interface Delivery {
  /** Bytes that the other end has acknowledged since the connection was made. */
  readonly acknowledged: number
  /** Data, or a second window probe, was sent again and is not acknowledged. It may only have been lost on its way: that counts once it lasts. */
  readonly isUnanswered: boolean
}

/**
 * One connection, seen from one side, at one height of the stack.
 *
 * Byte streams use `sink`, with end-to-end back-pressure and half-close. Packets use `port`: a slow receiver loses packets and delays no
 * other one. A pipeline uses one of the two, not both at once.
 */
export interface Link<In = Uint8Array, Out = In> {
  /**
   * Incoming batches, for one reader. Ends when the other side has finished writing, throws when the link broke. A reader that stops early
   * has to call `abort`.
   */
  readonly source: AsyncIterable<Batch<In>>
  /**
   * Writes until the given source ends, then closes this direction only. Settles when everything was handed to the system; rejects when the
   * link broke. It is bound to the link, as `it-pipe` detaches it.
   */
  readonly sink: (source: AsyncIterable<Batch<Out>>) => Promise<void>
  readonly port: PacketPort<Out>
  /** Ends both directions at once; `source` and `sink` reject with this error. May be called on a link that has ended. */
  abort (err: Error): void
  /**
   * From now on `source` may yield pooled memory, which is reused once the `sink` of another link has written it. For code that passes
   * batches straight to another link, as a bridge does, and only where that link has this method as well. Elements may be larger than
   * usual. Optional.
   *
   * @param simd the reader works on all bytes, as unmasking does: yields `simd` memory where possible
   */
  poolReads? (simd?: boolean): void
  /**
   * Reads in place of `source`: calls `take` with each batch, without a promise in between. While a promise of `take` is pending nothing
   * more is read, so that the other side has to wait. The memory of a batch may be pooled: it is valid until `take` has returned, or its
   * promise has settled.
   *
   * Settles as a loop over `source` does. Rejects with an error of `take`, after which nothing more is read. Resolves when the signal is
   * aborted and the reader is not busy; unread data stays for the next reader. Optional.
   */
  flow? (take: Take<In>, signal?: AbortSignal): Promise<void>
  /**
   * From now on `port` writes in records: none that fits into one segment of the connection is split, for receivers that take a partial
   * message for a broken connection. Each record costs about as much as a write. In this mode `sink` may only end the link. Undefined ends
   * the mode. Optional.
   */
  records? (records: Records | undefined): void
  /** Bounds the read-ahead of `source` from now on, and reports it. Optional. */
  readAhead? (bound: ReadAhead): void
  /** From now on the kernel takes no more writes once it holds about this many unsent bytes. Optional. */
  boundUnsent? (bytes: number): void
  /** Grows the receive buffer of the kernel now, not only after a sender has had to wait. Optional. */
  growReceiveBuffer? (): void
  /** Progress of what was written, by a system call; undefined where it is unknown. Optional. */
  delivery? (): Delivery | undefined
}

/** A link of any element types. */
export type AnyLink = Link<unknown, never>

/** A protocol layer. It is called once per connection; its closure holds the state, also what both directions share. */
export type Layer<Lower extends AnyLink = Link, Upper extends AnyLink = Lower> = (lower: Lower) => Upper

/** A host and a port. */
export interface Endpoint {
  host: string
  port: number
}

/** Where to connect to. The signal cancels a pending dial. */
export interface Address extends Endpoint {
  signal?: AbortSignal
}

/** A datagram, with the address that it came from or goes to. */
export interface Datagram extends Endpoint {
  readonly data: Uint8Array
}

/**
 * A socket for datagrams, as of UDP, without a connection: each datagram names the other side. There is no back-pressure: datagrams that a
 * slow reader or a slow system has no room for are dropped and counted. Batches and their memory are those of a {@link Link}.
 */
export interface DatagramSocket {
  /** Incoming datagrams, for one reader. Ends after `close`, throws the error of `abort`. */
  readonly source: AsyncIterable<Batch<Datagram>>
  /** Sends each element to its address. A batch with an element larger than the maximum of a datagram is dropped. */
  readonly port: PacketPort<Datagram>
  /** See {@link Link}; used by `consume`. */
  flow? (take: Take<Datagram>, signal?: AbortSignal): Promise<void>
  /** The local address and port. */
  readonly local: Endpoint
  /** Datagrams dropped because too many waited for the reader. */
  readonly dropped: number
  /** Bound in bytes of the datagrams that wait for the reader; exceeded by at most one datagram. */
  readonly receiveLimit: number
  /** Ends both directions; datagrams that wait for the reader can still be read. May be called more than once. */
  close (): void
  /** Ends both directions at once; the reader gets the error. */
  abort (err: Error): void
}

/** Incoming links. Iteration ends after `close`, and throws when listening failed. */
export interface Listener<L extends Link = Link> extends AsyncIterable<L> {
  /** The port in use, once listening. Rejects when it cannot be bound (`EADDRINUSE`, `EACCES`). */
  port (): Promise<number>
  /** Stops accepting. Accepted links go on, those that were not taken yet are aborted. The port is free when this returns. */
  close (): void
}

/**
 * A wire transport.
 *
 * @typeParam L the links of a listener
 * @typeParam At where to listen, and options of the listener
 */
export interface Transport<L extends Link = Link, At extends Endpoint = Endpoint> {
  /** `halfClose`: one direction can end while the other goes on. */
  readonly capabilities: { readonly halfClose: boolean }
  dial (to: Address): Promise<Link>
  listen (at: At): Listener<L>
}

/** A timer of a {@link Clock}, for its `clear`. */
export interface Timer {
  /** The timer does not keep the process alive. */
  unref (): this
}

/**
 * The source of time for all timers and measurements: layers, transports, limiters and nodes take one (`clock`). Default: `systemClock`.
 * Tests and simulations pass their own.
 *
 * Not covered is what the system times itself: TCP with its keep-alive, TLS handshakes, requests of an HTTP server. Worker threads of a
 * relay (`workers`) use the clock of the system, as objects are not shared between threads.
 */
export interface Clock {
  /** Monotonic milliseconds, with fractions, from any origin: for durations and deadlines. */
  now (): number
  /** Milliseconds since 1970, for time stamps. May jump when the time of the machine is set. */
  date (): number
  /** Calls `fn` once after `ms` milliseconds: at most 2^31 - 1, less than 1 counts as 1. Data that has arrived by then is read first. */
  set (ms: number, fn: () => void): Timer
  /** Cancels the timer. Does nothing after it has fired, or for undefined. */
  clear (timer: Timer | undefined): void
}

/**
 * The contracts that everything else is made of: a connection is a {@link Link}, a protocol layer is a function from a
 * link to a link, and what flows through both is a {@link Batch}.
 */

/**
 * What arrived together. Every stream carries batches, so that a promise is paid once a read and never once a packet;
 * a TCP read is a batch of one.
 *
 * Elements are views of memory that nobody else writes to any more: whoever receives them may change them in place and keep
 * them, and the array is theirs as well. A small view holds its whole read buffer, though, so copy what is kept for long.
 */
export type Batch<T = Uint8Array> = T[]

/** A reader that is called with what comes. While its promise has not settled it is given no more. */
export type Take<T = Uint8Array> = (batch: Batch<T>) => Promise<void> | void

/** A stage of a pipeline, in the form that `it-pipe` takes. */
export type Transform<A, B = A> = (source: AsyncIterable<Batch<A>>) => AsyncGenerator<Batch<B>>

/** The synchronous heart of one direction of a layer: no I/O, no timers, everything inside a batch is a plain call. */
export interface Core<A = Uint8Array, B = A> {
  /**
   * Takes what arrived, returns what is complete. Input that breaks the protocol is an error with a `code`: a decoder
   * returns what was good before it and sets `failure`, so that nothing depends on how the input was cut into reads; an
   * encoder throws it and takes nothing of the batch.
   */
  push (batch: Batch<A>): Batch<B>
  /** The stream has ended. Throws `ERR_TRUNCATED` when that cut something in half. */
  end? (): void
  /** What ended this direction; `push` and `end` throw it from then on. */
  readonly failure?: Error | undefined
  /**
   * What becomes of the memory of a batch: `passes`, nothing looks at it after `push` except through what that returned; `copies`, not
   * even that shares it. Memory that is only lent reaches other cores as a copy. Default: some of it may be kept for a later `push`.
   */
  readonly memory?: 'passes' | 'copies'
}

/**
 * The door for packets (IP, UDP): many sources fan in, nobody waits. What is sent is read, never changed, and maybe only
 * after `send` has returned; so one packet may go to many ports, and its memory is not used again.
 */
export interface PacketPort<T = Uint8Array> {
  /**
   * Takes the batch when fewer than `limit` bytes are waiting, else drops it; never waits. A batch with an element that a
   * layer cannot put on the wire (too large for its frames, say) is dropped as well; `sink` rejects for the same.
   *
   * @returns how many elements were taken: all of them, or 0. The caller counts what was dropped.
   */
  send (batch: Batch<T>): number
  /** Bytes that were taken and that the system below has not accepted yet. */
  readonly queued: number
  /** `queued`, and what the system below has accepted and not sent yet; undefined where nobody tells. May cost a system call. */
  readonly bufferedAmount?: number | undefined
  /** The bound of `queued` in bytes; it is passed by at most one batch. */
  readonly limit: number
  /**
   * Settles when the system below takes more without delay, or the link has ended: for a sender that can hold up what it sends, as
   * an interface can, where packets would be lost otherwise. Not every port can tell.
   */
  drained? (): Promise<void>
}

/** How the bytes of a port are cut into records, none of which is to arrive in two parts. */
export interface Records {
  /**
   * Where the record ends that begins at `at`: behind as many whole pieces as fit into `size` bytes, or behind one that is larger.
   * Elements of a batch are whole pieces.
   */
  end (bytes: Uint8Array, at: number, size: number): number
  /** A piece of a few bytes that means nothing to the other side. It is written where the system is waited for. */
  readonly filler: Uint8Array
}

/** How far a link may read ahead of its reader, where somebody sees to the memory of many links together. */
export interface ReadAhead {
  /** Bytes, at this moment. 0: nothing is read while the reader is busy. */
  readonly limit: number
  /** Told whenever it changes how many bytes were read and wait for the reader. */
  waiting (bytes: number): void
}

/** How far what was written to a connection has come. */
export interface Delivery {
  /** Bytes that the system at the other end has acknowledged since the connection was made. */
  readonly acknowledged: number
  /** Milliseconds for which it has answered nothing although it was sent something, more than once; 0 while it answers or nothing is due. */
  readonly unanswered: number
}

/**
 * One connection, seen from one side, at one height of the stack.
 *
 * Two kinds of flow leave through two doors. Byte streams use `sink`: back-pressure end to end, half-close kept.
 * Packets use `port`: a slow receiver loses packets and slows nobody. A pipeline uses one of them, not both at once.
 */
export interface Link<In = Uint8Array, Out = In> {
  /** What arrives; one reader. It ends when the other side has finished writing and throws when the link broke. Whoever stops early calls `abort`. */
  readonly source: AsyncIterable<Batch<In>>
  /**
   * Writes until the given source ends, then closes this direction only. Settles when all of it was handed over; rejects when the link
   * broke. It is bound to the link: `it-pipe` takes it off.
   */
  readonly sink: (source: AsyncIterable<Batch<Out>>) => Promise<void>
  readonly port: PacketPort<Out>
  /** Ends both directions at once; `source` and `sink` reject with this error. Harmless on a link that has ended. */
  abort (err: Error): void
  /**
   * From now on `source` may bring memory that is only lent: it is used again once the `sink` of another link has written it. For
   * whoever hands everything straight from the one to the other, as a bridge does, where that other one has this method as well.
   * Elements may be larger than they are otherwise. Not every link can do that.
   *
   * @param simd whether the reader works on all bytes, as one does who takes masks off: then it comes as `simd` memory where it can
   */
  poolReads? (simd?: boolean): void
  /**
   * Reads in place of `source`: `take` is called with what arrives as soon as it does, without a promise in between, since each step
   * costs much where packets come one at a time. A reader that is busy returns a promise: until that settles nothing more is read, so
   * that the other side has to wait. The memory of a batch may be lent, until `take` has returned or its promise has settled. Settles as
   * a loop over `source` would; rejects with what `take` throws, or its promise, and then nothing more is read. Resolves when the signal
   * asks for it and the reader is not busy; what has not been taken is there for the next reader. Not every link can do that.
   */
  flow? (take: Take<In>, signal?: AbortSignal): Promise<void>
  /**
   * From now on `port` writes in records: none that fits into one segment of the connection is cut into two, for the sake of a
   * receiver that takes half of a message for a broken connection. Each costs about as much as a write. `sink` may only end the link
   * then. Undefined ends that. Not every link can do that.
   */
  records? (records: Records | undefined): void
  /** From now on `source` reads no further ahead than this says, and tells what waits. Not every link can do that. */
  readAhead? (bound: ReadAhead): void
  /** From now on the system takes about so many bytes that it cannot send at once, and no more. Not every link can do that. */
  boundUnsent? (bytes: number): void
  /** Lets the system keep more for a reader that is busy, at once and not only when a sender has had to wait. Not every link can do that. */
  growReceiveBuffer? (): void
  /** What the system says of the connection below, for a system call; undefined where that cannot be known. Not every link can tell. */
  delivery? (): Delivery | undefined
}

/** A link of anything. */
export type AnyLink = Link<unknown, never>

/** A protocol layer. It is called once a connection: state, and talk between the two directions, live in its closure. */
export type Layer<Lower extends AnyLink = Link, Upper extends AnyLink = Lower> = (lower: Lower) => Upper

export interface Endpoint {
  host: string
  port: number
}

/** Where to dial. The signal ends a dial that is under way. */
export interface Address extends Endpoint {
  signal?: AbortSignal
}

/** What came from an address, or is to go to it, in one piece. */
export interface Datagram extends Endpoint {
  readonly data: Uint8Array
}

/**
 * A socket for datagrams, as of UDP: no connection, so each datagram names the other side. Nobody waits: what a slow reader or a slow
 * system has no room for is lost, and counted. Batches and their memory are those of a {@link Link}.
 */
export interface DatagramSocket {
  /** What arrives, from anywhere; one reader. Ends with `close`, throws the error of `abort`. */
  readonly source: AsyncIterable<Batch<Datagram>>
  /** Each element goes to the address that it names. The batch is dropped when one of them is larger than a datagram can be. */
  readonly port: PacketPort<Datagram>
  /** See {@link Link}; reads of `consume` go this way where a socket has it. */
  flow? (take: Take<Datagram>, signal?: AbortSignal): Promise<void>
  /** Where others reach it. */
  readonly local: Endpoint
  /** Datagrams that came while too many waited for the reader. */
  readonly dropped: number
  /** Bytes that may wait for the reader; passed by at most one datagram. */
  readonly receiveLimit: number
  /** Ends both directions: what waits for the reader is still there for it. Harmless when repeated. */
  close (): void
  /** The same at once, with an error for the reader. */
  abort (err: Error): void
}

/** Incoming links, one by one. Iteration ends after `close` and throws when listening failed. */
export interface Listener<L extends Link = Link> extends AsyncIterable<L> {
  /** The port in use, once listening. Rejects when the address cannot be had (`EADDRINUSE`, `EACCES`). */
  port (): Promise<number>
  /** Takes no more links; those that were taken go on, those that wait are aborted. The port is free when it returns. */
  close (): void
}

/**
 * What every wire transport offers.
 *
 * @typeParam L what a listener gives out
 * @typeParam At where to listen, and what goes with that
 */
export interface Transport<L extends Link = Link, At extends Endpoint = Endpoint> {
  /** `halfClose`: one direction can end while the other goes on. */
  readonly capabilities: { readonly halfClose: boolean }
  dial (to: Address): Promise<Link>
  listen (at: At): Listener<L>
}

/** A timer of a {@link Clock}, to be given to its `clear`. */
export interface Timer {
  /** From now on the timer does not keep the process alive. */
  unref (): this
}

/**
 * Time, for all that waits or measures: layers, transports, limiters and nodes take one (`clock`), by default that of the system
 * (`systemClock`). With another one time is what a simulation, or a test, makes of it.
 *
 * What the system itself times stays with it: TCP with its keep-alive, TLS handshakes and requests of a server. Threads of a relay
 * (`workers`) use the clock of the system as well, since no object reaches into another thread.
 */
export interface Clock {
  /** Milliseconds, with fractions, since any moment. They only go forward; for how long something takes, and when it is due. */
  now (): number
  /** Milliseconds since 1970, for time stamps. They may jump when the time of the machine is set. */
  date (): number
  /** Calls `fn` once, after so many milliseconds: at most 2^31 - 1, and fewer than 1 are 1. What has arrived by then is read before. */
  set (ms: number, fn: () => void): Timer
  /** The function of this timer is not called any more. Harmless once it was called, and for undefined. */
  clear (timer: Timer | undefined): void
}

/**
 * One link after another over one connection: what would be a new connection for each is only an opening message on one that is
 * there already.
 *
 * ```ts
 * const server = new SerialLinks(connection)
 * await bridge(user, server.begin(Buffer.from('{}')))      // one side begins,
 *
 * for (let next; (next = await client.opened()) !== undefined;) await serve(next.opening, next.link)   // the other one follows
 * ```
 *
 * In either direction there are chunks, each a length of four bytes, big-endian, and as many bytes. The first chunk of the side
 * that begins is the opening. Length 0 is the end of a link in this direction, 0xffffffff its end by a reset; behind that comes
 * the opening of the next one, once both directions are at their end. Back-pressure is that of the connection.
 */
import { LinkClosedError, TruncatedError } from '../errors.ts'
import { Interruptible } from '../interruptible.ts'
import type { Batch, Link, PacketPort } from '../types.ts'

const HEAD = 4
const END = 0
const RESET = 0xffff_ffff

/** Bytes of an opening. */
export const MAX_OPENING = 4096

/** Milliseconds that the other side has to come to its end once a link was reset here. */
const RESET_TIMEOUT = 5000

/** The other side has reset the link, not the connection under it. */
export class LinkResetError extends Error {
  override readonly name = 'LinkResetError'
  readonly code = 'ERR_LINK_RESET'
}

const headOf = (length: number): Uint8Array => {
  const head = Buffer.allocUnsafe(HEAD)
  head.writeUInt32BE(length)
  return head
}

/** Where one direction of a link is. */
type Progress = 'open' | 'ended' | 'reset'

/** What is to be sent in turn, and told to whoever waits for that. */
interface Sending {
  source: Interruptible<Batch>
  resolve (): void
  reject (err: Error): void
}

/** Packets have no use for a connection that is made for one stream. */
const NO_PORT: PacketPort = { send: () => 0, queued: 0, limit: 0 }

export class SerialLinks {
  readonly #lower: Link
  readonly #incoming: AsyncIterator<Batch>
  /** What was read behind the end of a link. */
  #rest: Uint8Array[] = []
  /** The read that is under way while nobody waits for it. */
  #ahead: Promise<IteratorResult<Batch>> | undefined
  /** Bytes of the chunk that are still to come, and of its length those that have come. */
  #left = 0
  #head = Buffer.alloc(HEAD)
  #headBytes = 0
  #current: SerialLink | undefined
  readonly #outgoing: Array<Batch | Sending> = []
  #wake: (() => void) | undefined
  #isClosed = false
  #onOver: (() => void) | undefined
  /** Settles when the connection has ended, with whatever reason. */
  readonly ended: Promise<void>
  /** Called when both directions of a link are at their end; another one may begin. */
  onIdle: () => void = () => {}

  constructor (lower: Link) {
    this.#lower = lower
    this.#incoming = lower.source[Symbol.asyncIterator]()
    this.ended = lower.sink(this.#send()).catch(() => {}).then(() => { this.abort(new LinkClosedError('the connection has ended')) })
  }

  /** No link is open. */
  get isIdle (): boolean { return this.#current === undefined }

  /** The next link, to be used by this side. Only when none is open. */
  begin (opening: Uint8Array): Link {
    if (opening.length === 0 || opening.length > MAX_OPENING) throw new RangeError(`an opening has 1 to ${MAX_OPENING} bytes`)
    this.#put([headOf(opening.length), opening])
    return this.#open()
  }

  /** The next link that the other side begins; undefined when it has ended the connection. Rejects with what broke that. */
  async opened (): Promise<{ opening: Uint8Array, link: Link } | undefined> {
    const parts: Uint8Array[] = []
    if (this.#current !== undefined) await new Promise<void>((resolve) => { this.#onOver = resolve })
    for (;;) {
      const chunk = await this.take(MAX_OPENING)
      if (chunk === undefined) {
        if (parts.length > 0 || this.#headBytes > 0) throw new TruncatedError('the connection ended inside an opening')
        this.close()
        return undefined
      }
      if (typeof chunk === 'string') throw new LinkResetError('an end where a link should begin')
      parts.push(...chunk)
      if (this.#left === 0) return { opening: Buffer.concat(parts), link: this.#open() }
    }
  }

  /** Looks out for the end of the connection while no link is open, which ends it here as well: the other side has nothing to say then. */
  watch (): void {
    const read = this.#ahead ??= this.#incoming.next()
    const end = (): void => { if (this.isIdle) this.abort(new LinkClosedError('the other side has left')) }
    if (this.#rest.length > 0) end()
    else read.then(end, end)
  }

  /** Ends the connection once what was sent on it is gone. */
  close (): void {
    this.#isClosed = true
    this.#wake?.()
  }

  abort (err: Error): void {
    this.#isClosed = true
    this.#lower.abort(err)
    for (const sending of this.#outgoing.splice(0)) if (!Array.isArray(sending)) sending.reject(err)
    this.#wake?.()
    this.#onOver?.()
  }

  /** For the links: sends a source, chunk by chunk, without its end. */
  send (source: Interruptible<Batch>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) reject(new LinkClosedError('the connection is closed'))
      else this.#put({ source, resolve, reject })
    })
  }

  /** For the links: the end of a direction. */
  mark (end: 'ended' | 'reset'): void { this.#put([headOf(end === 'ended' ? END : RESET)]) }

  /** For the links: a link is at its end in both directions. */
  over (link: SerialLink): void {
    if (this.#current !== link) return
    this.#current = undefined
    this.#onOver?.()
    if (!this.#isClosed) this.onIdle()
  }

  /**
   * For the links: what comes next of the current chunk, all of it that has come; an end, or undefined at the end of the
   * connection.
   */
  async take (maxChunk = RESET - 1): Promise<Batch | 'ended' | 'reset' | undefined> {
    for (;;) {
      const taken = this.#rest.length > 0 ? this.#decode(maxChunk) : undefined
      if (taken !== undefined) return taken
      const reading = this.#ahead ?? this.#incoming.next()
      this.#ahead = undefined
      const { done, value } = await reading
      if (done === true) return undefined
      this.#rest = value
    }
  }

  #open (): SerialLink {
    this.#current = new SerialLink(this)
    return this.#current
  }

  #put (what: Batch | Sending): void {
    this.#outgoing.push(what)
    this.#wake?.()
  }

  /** Payload of `#rest` up to the end of a link, an opening, or of what is there. Undefined when that is nothing. */
  #decode (maxChunk: number): Batch | 'ended' | 'reset' | undefined {
    const payload: Batch = []
    const isOpening = maxChunk === MAX_OPENING
    while (this.#rest.length > 0) {
      let read = this.#rest[0]
      if (this.#left === 0) {
        const part = read.subarray(0, HEAD - this.#headBytes)
        this.#head.set(part, this.#headBytes)
        this.#headBytes += part.length
        read = read.subarray(part.length)
        if (this.#headBytes === HEAD) {
          const length = this.#head.readUInt32BE(0)
          const isEnd = length === END || length === RESET
          if (isEnd && payload.length > 0) {
            this.#headBytes = 0 // the payload first: this is read again
            this.#rest.splice(0, 1, Uint8Array.from(this.#head), ...(read.length > 0 ? [read] : []))
            return payload
          }
          this.#headBytes = 0
          if (isEnd) {
            this.#keep(read)
            return length === END ? 'ended' : 'reset'
          }
          if (length > maxChunk) throw new RangeError(`an opening of ${length} bytes`)
          this.#left = length
        }
      }
      const part = read.subarray(0, this.#left)
      if (part.length > 0) payload.push(part)
      this.#left -= part.length
      this.#keep(read.subarray(part.length))
      if (isOpening && this.#left === 0 && payload.length > 0) return payload
    }
    return payload.length > 0 ? payload : undefined
  }

  /** What is left of the first of `#rest`. */
  #keep (read: Uint8Array): void {
    if (read.length > 0) this.#rest[0] = read
    else this.#rest.shift()
  }

  async * #send (): AsyncGenerator<Batch> {
    for (;;) {
      const next = this.#outgoing.shift()
      if (next === undefined) {
        if (this.#isClosed) return
        await new Promise<void>((resolve) => { this.#wake = resolve })
      } else if (Array.isArray(next)) {
        yield next
      } else {
        try {
          for await (const batch of next.source) yield chunkOf(batch)
          next.resolve()
        } catch (err) {
          next.reject(err as Error)
        }
      }
    }
  }
}

function chunkOf (batch: Batch): Batch {
  let length = 0
  for (const bytes of batch) length += bytes.length
  return length === 0 ? [] : [headOf(length), ...batch]
}

/** One of them. */
class SerialLink implements Link {
  readonly source: AsyncIterable<Batch>
  readonly port = NO_PORT
  readonly #links: SerialLinks
  #sent: Progress = 'open'
  #got: Progress = 'open'
  #failure: Error | undefined
  #sending: Interruptible<Batch> | undefined
  #reading: Promise<IteratorResult<Batch>> | undefined

  constructor (links: SerialLinks) {
    this.#links = links
    this.source = { [Symbol.asyncIterator]: () => this.#read() }
  }

  async sink (source: AsyncIterable<Batch>): Promise<void> {
    try {
      if (this.#failure !== undefined) throw this.#failure
      await this.#links.send(this.#sending = new Interruptible(source))
      if (this.#failure !== undefined) throw this.#failure
      this.#finish('ended')
    } catch (err) {
      this.#finish('reset')
      throw err
    }
  }

  abort (err: Error): void {
    if (this.#failure !== undefined || (this.#sent !== 'open' && this.#got !== 'open')) return
    this.#failure = err
    this.#sending?.interrupt()
    this.#finish('reset')
    if (this.#got === 'open') void this.#drain(err)
  }

  /** What this side has to say is said. */
  #finish (how: 'ended' | 'reset'): void {
    if (this.#sent !== 'open') return
    this.#sent = how
    this.#links.mark(how)
    this.#settle()
  }

  #settle (): void {
    if (this.#sent !== 'open' && this.#got !== 'open') this.#links.over(this)
  }

  #read (): AsyncIterableIterator<Batch> {
    const iterator: AsyncIterableIterator<Batch> = {
      next: () => (this.#reading = this.#next()),
      return: async () => ({ done: true, value: undefined }),
      [Symbol.asyncIterator]: () => iterator
    }
    return iterator
  }

  async #next (): Promise<IteratorResult<Batch>> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#got === 'ended') return { done: true, value: undefined }
    const taken = await this.#take()
    return Array.isArray(taken) ? { done: false, value: taken } : { done: true, value: undefined }
  }

  async #take (): Promise<Batch | 'ended'> {
    const taken = await this.#links.take()
    if (Array.isArray(taken)) return taken
    this.#got = taken ?? 'reset'
    this.#settle()
    if (taken === 'ended') return taken
    throw taken === 'reset' ? new LinkResetError('the other side has reset the link') : new LinkClosedError('the connection has ended inside a link')
  }

  /** Passes over what still comes for a link that was reset here. */
  async #drain (err: Error): Promise<void> {
    const timer = setTimeout(() => { this.#links.abort(err) }, RESET_TIMEOUT)
    try {
      await this.#reading // of whoever has read from it before
      while (this.#got === 'open') await this.#take()
    } catch (broken) {
      if (!(broken instanceof LinkResetError)) this.#links.abort(broken as Error)
    } finally {
      clearTimeout(timer)
    }
  }
}

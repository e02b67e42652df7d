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
import { LinkBusyError, LinkClosedError, TruncatedError } from '../errors.ts'
import { Interruptible } from '../interruptible.ts'
import type { Batch, Link, PacketPort } from '../types.ts'
import { FrameSizeError } from './length-codecs.ts'

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

/** Settles when whatever has arrived by now was read once, by a loop that is not behind. */
const twoTurns = (): Promise<undefined> => new Promise((resolve) => { setImmediate(() => { setImmediate(resolve, undefined) }) })

/** Copying so many bytes costs less than writing two pieces of memory at once. */
const SMALL = 2048

/** A batch as one chunk, behind the opening of its link, if that has still to go. Empty when there is nothing to send. */
function chunkOf (batch: Batch, [opening]: Batch = []): Batch {
  let length = 0
  for (const bytes of batch) length += bytes.length
  const parts = length === 0 ? [] : [headOf(length), ...batch]
  if (opening !== undefined) parts.unshift(opening)
  return length <= SMALL && parts.length > 1 ? [Buffer.concat(parts)] : parts
}

/** Where one direction of a link is. */
type Progress = 'open' | 'ended' | 'reset'

/** Some bytes of a link, or its end. */
type Taken = Batch | 'ended' | 'reset'

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
  /** What was read and not taken yet. */
  #rest: Uint8Array[] = []
  /** The read that is under way while nobody waits for it. */
  #ahead: Promise<IteratorResult<Batch>> | undefined
  /** Bytes of the chunk that are still to come, and of its length those that have come. */
  #left = 0
  #head = Buffer.alloc(HEAD)
  #headBytes = 0
  /** The length is whole, and that of an end which was not told yet. */
  #isMeasured = false
  #current: SerialLink | undefined
  readonly #outgoing: Array<Batch | Sending> = []
  /** The last one of this side. */
  #opening: Batch | undefined
  /** What is being sent. */
  #sending: Sending | undefined
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
    if (this.#current !== undefined) throw new LinkBusyError('a link is open on this connection')
    if (opening.length === 0 || opening.length > MAX_OPENING) throw new FrameSizeError(`an opening of ${opening.length} bytes, 1 to ${MAX_OPENING} are possible`)
    this.#put(this.#opening = [Buffer.concat([headOf(opening.length), opening])])
    return this.#open()
  }

  /** The next link that the other side begins; undefined when it has ended the connection. Rejects with what broke that. */
  async opened (): Promise<{ opening: Uint8Array, link: Link } | undefined> {
    if (this.#current !== undefined) await new Promise<void>((resolve) => { this.#onOver = resolve })
    while (this.#left === 0 && !(this.#rest.length > 0 && this.#measure())) {
      if (await this.#read()) continue
      if (this.#headBytes > 0) throw new TruncatedError('the connection ended inside an opening')
      this.close()
      return undefined
    }
    if (this.#left === 0) throw new LinkResetError('an end where a link should begin')
    if (this.#left > MAX_OPENING) throw new FrameSizeError(`an opening of ${this.#left} bytes, limit ${MAX_OPENING}`)
    const opening = Buffer.alloc(this.#left)
    while (this.#left > 0) {
      if (this.#rest.length === 0 && !await this.#read()) throw new TruncatedError('the connection ended inside an opening')
      const at = opening.length - this.#left
      opening.set(this.#cut(this.#left), at)
    }
    return { opening, link: this.#open() }
  }

  /** Looks out for the end of the connection while no link is open, which ends it here as well: the other side has nothing to say then. */
  watch (): void {
    const end = (): void => { if (this.isIdle) this.abort(new LinkClosedError('the other side has left')) }
    if (this.#rest.length > 0) {
      end()
      return
    }
    this.#ahead ??= this.#incoming.next()
    this.#ahead.then(end, end)
  }

  /** Ends the connection once what was sent on it is gone. */
  close (): void {
    this.#isClosed = true
    this.#wake?.()
  }

  abort (err: Error): void {
    this.#isClosed = true
    this.#lower.abort(err)
    this.#sending?.reject(err)
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

  /** For the links: see `Link.lend`. */
  lend (): void { this.#lower.lend?.() }

  /** For the links: a link is at its end in both directions. */
  over (link: SerialLink): void {
    if (this.#current !== link) return
    this.#current = undefined
    this.#onOver?.()
    if (!this.#isClosed) this.onIdle()
  }

  /** For the links: waits for what comes next; `cut` at the end of the connection. */
  async take (): Promise<Taken | 'cut'> {
    for (;;) {
      if (!await this.#read()) return 'cut'
      const taken = this.#decode()
      if (taken !== undefined) return taken
    }
  }

  /** For the links: the same of what has come already. Undefined when nothing has. */
  taken (): Taken | undefined { return this.#rest.length > 0 || this.#isMeasured ? this.#decode() : undefined }

  /** False at the end of the connection. */
  async #read (): Promise<boolean> {
    const reading = this.#ahead ?? this.#incoming.next()
    this.#ahead = undefined
    const { done, value } = await reading
    if (done !== true) this.#rest.push(...value)
    return done !== true
  }

  #open (): SerialLink {
    this.#current = new SerialLink(this)
    return this.#current
  }

  #put (what: Batch | Sending): void {
    this.#outgoing.push(what)
    this.#wake?.()
  }

  /** Payload up to the end of a link, or of what was read; or that end. Undefined when there is neither. */
  #decode (): Taken | undefined {
    const payload: Batch = []
    while (this.#left > 0 || this.#measure()) {
      if (this.#left === 0) { // an end
        if (payload.length > 0) break // after the payload
        this.#isMeasured = false
        return this.#head.readUInt32BE(0) === END ? 'ended' : 'reset'
      }
      if (this.#rest.length === 0) break
      payload.push(this.#cut(this.#left))
    }
    if (payload.length === 0) return undefined
    // Payload may be lent memory, which is used again behind our back: what stays here is copied.
    this.#rest = this.#rest.map((read) => Uint8Array.from(read))
    return payload
  }

  /** Reads the length of the next chunk. False while that is cut. */
  #measure (): boolean {
    while (!this.#isMeasured) {
      if (this.#rest.length === 0) return false
      const part = this.#cut(HEAD - this.#headBytes)
      this.#head.set(part, this.#headBytes)
      this.#headBytes += part.length
      if (this.#headBytes < HEAD) continue
      this.#headBytes = 0
      this.#isMeasured = true
    }
    const length = this.#head.readUInt32BE(0)
    if (length !== END && length !== RESET) {
      this.#left = length
      this.#isMeasured = false
    }
    return true
  }

  /** Takes up to so many bytes off what was read; there are some. */
  #cut (bytes: number): Uint8Array {
    const [read] = this.#rest
    const part = read.subarray(0, bytes)
    if (part.length < read.length) this.#rest[0] = read.subarray(part.length)
    else this.#rest.shift()
    if (this.#left > 0) this.#left -= part.length
    return part
  }

  /** @param opening goes with the first bytes when those come at once, since one write costs less than two */
  async * #stream (sending: Sending, opening?: Batch): AsyncGenerator<Batch> {
    const { source, resolve, reject } = this.#sending = sending
    try {
      let reading = source.next()
      if (opening !== undefined && await Promise.race([reading, twoTurns()]) === undefined) {
        yield opening
        opening = undefined
      }
      for (;;) {
        const { done, value: batch } = await reading
        if (done === true) break
        const chunk = chunkOf(batch, opening)
        opening = undefined
        if (chunk.length > 0) yield chunk
        reading = source.next()
      }
      if (opening !== undefined) yield opening
      resolve()
    } catch (err) {
      if (opening !== undefined) yield opening // the other side is to know what was reset
      reject(err as Error)
    }
    this.#sending = undefined
  }

  async * #send (): AsyncGenerator<Batch> {
    for (;;) {
      const next = this.#outgoing.shift()
      if (next === undefined) {
        if (this.#isClosed) return
        await new Promise<void>((resolve) => { this.#wake = resolve })
      } else if (Array.isArray(next)) {
        const following = next === this.#opening ? this.#outgoing[0] : undefined
        if (following === undefined || Array.isArray(following)) yield next
        else yield * this.#stream(this.#outgoing.shift() as Sending, next)
      } else {
        yield * this.#stream(next)
      }
    }
  }
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

  lend (): void { this.#links.lend() }

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
    const there = this.#links.taken()
    const taken = Array.isArray(there) ? there : await this.#take(there)
    return Array.isArray(taken) ? { done: false, value: taken } : { done: true, value: undefined }
  }

  async #take (there: Taken | undefined = this.#links.taken()): Promise<Batch | 'ended'> {
    let taken: Taken | 'cut' | undefined
    try {
      taken = there ?? await this.#links.take()
      if (Array.isArray(taken)) return taken
    } finally {
      if (!Array.isArray(taken)) {
        this.#got = taken === 'ended' ? taken : 'reset'
        this.#settle()
      }
    }
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

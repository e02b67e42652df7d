/** What arrives on a connection of links that follow one another, taken apart. */
import { ACKNOWLEDGED, END, type Ending, HEAD, LinkResetError, MAX_STREAM_HEADER, RESET } from './chunks.ts'
import { LinkClosedError } from '../../errors.ts'
import { FrameSizeError } from '../length-codecs.ts'
import type { Batch } from '../../types.ts'

export class Incoming {
  readonly #reads: AsyncIterator<Batch>
  /** What was read and not taken yet. */
  #rest: Uint8Array[] = []
  /** The read that is under way while nobody waits for it. */
  #ahead: Promise<IteratorResult<Batch>> | undefined
  /** Bytes of the chunk that are still to come, and of its length those that have come. */
  #left = 0
  readonly #head = Buffer.alloc(HEAD)
  #headBytes = 0
  /** The length is whole, and that of an end which was not told yet. */
  #isEnding = false
  /** The connection has nothing more to say. */
  #isOver = false
  /** What has come of an opening. */
  #header: { bytes: Uint8Array, length: number } | undefined

  /** Called when something has come for a link that this side has begun: the other side is there. */
  #onAnswer: (() => void) | undefined

  constructor (reads: AsyncIterator<Batch>) { this.#reads = reads }

  /** Nothing has come that was not taken. */
  get isEmpty (): boolean { return this.#rest.length === 0 && this.#headBytes === 0 && this.#header === undefined && !this.#isEnding }

  /** Waits for more; false at the end of the connection. Rejects with what broke that. */
  read (): Promise<boolean> {
    const reading = this.#ahead ?? this.#reads.next()
    this.#ahead = undefined
    return reading.then(this.#keep, this.#broken)
  }

  /** Reads what `read` is to bring, so that an end is noticed by then. Settles when it has come: false at the end. */
  async readAhead (): Promise<boolean> {
    this.#ahead ??= this.#reads.next()
    return (await this.#ahead).done !== true
  }

  /** Passes over what comes until the end, however that comes. */
  async drain (): Promise<void> {
    try {
      while (!this.#isOver) {
        await this.read()
        this.#rest = []
      }
    } catch {
      // It has ended.
    }
  }

  /** From here on the other side is to acknowledge an opening, in front of whatever else it says. */
  expectAcknowledgement (onAnswer: () => void): void { this.#onAnswer = onAnswer }

  /** Settles when the other side has acknowledged an opening, or has said anything else behind it. Rejects with what broke the connection. */
  async acknowledged (): Promise<void> {
    while (this.#onAnswer !== undefined && !this.#measure()) {
      if (this.#onAnswer !== undefined && !await this.read()) throw new LinkClosedError('the connection has ended before an opening was acknowledged')
    }
  }

  /** Payload up to the end of a link, or of what was read; or that end. Undefined when there is neither. */
  take (): Batch | Ending | undefined {
    const payload: Batch = []
    while (this.#left > 0 || this.#measure()) {
      if (this.#isEnding) {
        if (payload.length > 0) break // after the payload
        this.#isEnding = false
        return this.#head.readUInt32BE(0) === END ? 'ended' : 'reset'
      }
      if (this.#rest.length === 0) break
      payload.push(this.#cut(this.#left))
    }
    if (payload.length === 0) return undefined
    // Payload may be lent memory, which is used again behind our back: what stays here is copied.
    if (this.#rest.length > 0) this.#rest = this.#rest.map((read) => Uint8Array.from(read))
    return payload
  }

  /**
   * The opening of the next link; undefined while it is cut.
   *
   * @throws {LinkResetError} for an end where an opening should be; `FrameSizeError` for one of more than 4096 bytes
   */
  takeHeader (): Uint8Array | undefined {
    if (this.#header === undefined) {
      if (!this.#measure()) return undefined
      if (this.#isEnding) throw new LinkResetError('an end where a link should begin')
      if (this.#left > MAX_STREAM_HEADER) throw new FrameSizeError(`an opening of ${this.#left} bytes, limit ${MAX_STREAM_HEADER}`)
      this.#header = { bytes: Buffer.alloc(this.#left), length: 0 }
    }
    const header = this.#header
    while (this.#left > 0 && this.#rest.length > 0) {
      const part = this.#cut(this.#left)
      header.bytes.set(part, header.length)
      header.length += part.length
    }
    if (this.#left > 0) return undefined
    this.#header = undefined
    return header.bytes
  }

  readonly #keep = ({ done, value }: IteratorResult<Batch>): boolean => {
    if (done === true) {
      this.#isOver = true
      return false
    }
    if (this.#rest.length === 0) this.#rest = value
    else this.#rest.push(...value)
    return true
  }

  readonly #broken = (err: Error): Promise<never> => {
    this.#isOver = true
    return Promise.reject(err)
  }

  /** Reads the length of the next chunk. False while that is cut. */
  #measure (): boolean {
    if (this.#isEnding || this.#left > 0) return true
    while (this.#headBytes < HEAD) {
      if (this.#rest.length === 0) return false
      const part = this.#cut(HEAD - this.#headBytes)
      this.#head.set(part, this.#headBytes)
      this.#headBytes += part.length
    }
    this.#headBytes = 0
    const length = this.#head.readUInt32BE(0)
    const onAnswer = this.#onAnswer
    if (onAnswer !== undefined) {
      this.#onAnswer = undefined
      onAnswer()
      if (length === ACKNOWLEDGED) return this.#measure()
    }
    if (length === END || length === RESET) this.#isEnding = true
    else this.#left = length
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
}

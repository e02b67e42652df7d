/** Decodes the incoming direction of a connection with sequential streams. */
import { ACKNOWLEDGED, END, type Ending, HEAD, MAX_STREAM_HEADER, RESET } from './chunks.ts'
import { LinkClosedError, LinkResetError } from '../../errors.ts'
import { FrameSizeError } from '../length-codecs.ts'
import type { Batch } from '../../types.ts'

export class Incoming {
  readonly #reads: AsyncIterator<Batch>
  /** Bytes that were read and not taken yet. */
  #rest: Uint8Array[] = []
  /** A read ahead that is not awaited yet. */
  #ahead: Promise<IteratorResult<Batch>> | undefined
  /** Bytes of the current chunk that are still to come; then the bytes of its length so far. */
  #left = 0
  readonly #head = Buffer.alloc(HEAD)
  #headBytes = 0
  /** The length is that of an end, which was not returned yet. */
  #isEnding = false
  /** The connection has ended. */
  #isOver = false
  /** The stream header so far. */
  #header: { bytes: Uint8Array, length: number } | undefined

  /** Called when the first bytes of a stream that this side has opened arrive. */
  #onAcknowledged: (() => void) | undefined

  constructor (reads: AsyncIterator<Batch>) { this.#reads = reads }

  /** All that was read is taken. */
  get isEmpty (): boolean { return this.#rest.length === 0 && this.#headBytes === 0 && this.#header === undefined && !this.#isEnding }

  /** Waits for more; false at the end of the connection. Rejects with the error that broke it. */
  read (): Promise<boolean> {
    const reading = this.#ahead ?? this.#reads.next()
    this.#ahead = undefined
    return reading.then(this.#keep, this.#broken)
  }

  /** Reads ahead of the next `read`, so that an end is noticed before. False at the end. */
  async readAhead (): Promise<boolean> {
    this.#ahead ??= this.#reads.next()
    return (await this.#ahead).done !== true
  }

  /** Discards everything until the end, or an error. */
  async drain (): Promise<void> {
    try {
      while (!this.#isOver) {
        await this.read()
        this.#rest = []
      }
    } catch {
      // The end is what was waited for.
    }
  }

  /** From now on the other side has to acknowledge the stream header before its data. */
  expectAcknowledgement (onAcknowledged: () => void): void { this.#onAcknowledged = onAcknowledged }

  /**
   * Settles when the other side has acknowledged the stream header, or has sent data after it. Rejects with the error that broke the
   * connection.
   */
  async acknowledged (): Promise<void> {
    while (this.#onAcknowledged !== undefined && !this.#measure()) {
      if (this.#onAcknowledged !== undefined && !await this.read()) throw new LinkClosedError('the connection has ended before an opening was acknowledged')
    }
  }

  /** Payload up to the end of the stream, or of what was read; or that end. Undefined when there is neither. */
  take (): Batch | Ending | undefined {
    const payload: Batch = []
    while (this.#left > 0 || this.#measure()) {
      if (this.#isEnding) {
        if (payload.length > 0) break // the payload first
        this.#isEnding = false
        return this.#head.readUInt32BE(0) === END ? 'ended' : 'reset'
      }
      if (this.#rest.length === 0) break
      payload.push(this.#cut(this.#left))
    }
    if (payload.length === 0) return undefined
    // Payload may be pooled memory, which is reused after this call: what is kept is copied.
    if (this.#rest.length > 0) this.#rest = this.#rest.map((read) => Uint8Array.from(read))
    return payload
  }

  /**
   * The header of the next stream; undefined while it is incomplete.
   *
   * @throws {LinkResetError} for an end in place of a header; `FrameSizeError` for one of more than 4096 bytes
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

  /** Reads the length of the next chunk. False while it is incomplete. */
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
    const onAcknowledged = this.#onAcknowledged
    if (onAcknowledged !== undefined) {
      this.#onAcknowledged = undefined
      onAcknowledged()
      if (length === ACKNOWLEDGED) return this.#measure()
    }
    if (length === END || length === RESET) this.#isEnding = true
    else this.#left = length
    return true
  }

  /** Takes up to `bytes` of the first read; there has to be one. */
  #cut (bytes: number): Uint8Array {
    const [read] = this.#rest
    const part = read.subarray(0, bytes)
    if (part.length < read.length) this.#rest[0] = read.subarray(part.length)
    else this.#rest.shift()
    if (this.#left > 0) this.#left -= part.length
    return part
  }
}

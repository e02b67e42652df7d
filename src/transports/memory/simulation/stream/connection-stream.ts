/** A connection as a Node stream. */
import { Duplex } from 'node:stream'
import type { Connection } from './connection.ts'

/** Bytes that a stream buffers on top of what the connection does. */
const HIGH_WATER_MARK = 64 << 10

type Done = (err?: Error | null) => void

interface Chunk {
  chunk: Uint8Array
}

export class ConnectionStream extends Duplex {
  readonly #connection: Connection
  /** What there was no room for. */
  #unwritten: { bytes: Uint8Array, done: Done } | undefined
  #wantsMore = false

  constructor (connection: Connection) {
    super({ allowHalfOpen: true, highWaterMark: HIGH_WATER_MARK })
    this.#connection = connection
  }

  /** There is more to read, or the end. Returns whether somebody waits for it. */
  hasMore (): boolean {
    if (!this.#wantsMore) return false
    this._read()
    return true
  }

  /** There is room to write. */
  hasRoom (): void {
    const unwritten = this.#unwritten
    if (unwritten === undefined) return
    this.#unwritten = undefined
    this.#write(unwritten.bytes, unwritten.done)
  }

  override _read (): void {
    this.#wantsMore = true
    while (this.#wantsMore) {
      const bytes = this.#connection.read()
      if (bytes === undefined) break
      this.#wantsMore = this.push(bytes)
    }
    if (this.#wantsMore && this.#connection.hasEnded) {
      this.#wantsMore = false
      this.push(null)
    }
  }

  override _write (bytes: Uint8Array, _encoding: string, done: Done): void { this.#write(bytes, done) }

  /** Small writes that come together share segments. */
  override _writev (chunks: Chunk[], done: Done): void { this.#write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done) }

  override _final (done: Done): void {
    this.#connection.end()
    done()
  }

  /** When both directions have finished, the connection goes on by itself until the other side knows. */
  override _destroy (err: Error | null, done: Done): void {
    if (!this.writableFinished || !this.readableEnded) this.#connection.abort()
    this.#unwritten = undefined
    done(err)
  }

  #write (bytes: Uint8Array, done: Done): void {
    const count = this.#connection.write(bytes)
    if (count === bytes.length) done()
    else this.#unwritten = { bytes: bytes.subarray(count), done }
  }
}

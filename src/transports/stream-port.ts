/** The packet port of a stream, by plain writes or in records. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { release } from '../buffers/buffer-pool.ts'
import { unsentOf } from '../net/native/unsent.ts'
import { RecordWriter } from './record-writer.ts'
import { writeBatch } from './stream-writing.ts'
import type { Batch, PacketPort, Records } from '../types.ts'

/** Bytes of overhead that a queued write counts for, so that many tiny writes are bounded too. */
const WRITE_OVERHEAD = 128

/** A class and not a literal with functions: a relay has one per connection. */
export class StreamPort implements PacketPort {
  readonly limit: number
  readonly #stream: Duplex
  #writes = 0
  #wantsRecords = false
  #recordWriter: RecordWriter | undefined
  /** Resolvers of `drained`. */
  readonly #waiting: Array<() => void> = []

  constructor (stream: Duplex, limit: number) {
    this.#stream = stream
    this.limit = limit
  }

  get queued (): number { return this.#stream.writableLength + (this.#recordWriter?.queued ?? 0) + this.#writes * WRITE_OVERHEAD }

  /** See `Link.records`. */
  get isInRecords (): boolean { return this.#recordWriter !== undefined }

  get bufferedAmount (): number | undefined {
    const unsent = unsentOf(this.#stream)
    return unsent === undefined ? undefined : this.queued + unsent
  }

  send (batch: Batch): number {
    const stream = this.#stream
    if (this.queued >= this.limit || !stream.writable) return 0
    this.#writes += batch.length
    if (this.#recordWriter !== undefined) {
      for (const bytes of batch) this.#writeRecords(this.#recordWriter, bytes)
      return batch.length
    }
    let left = batch.length
    let isInUse = true
    const releaseOnce = (): void => { // releases pooled memory of an encoder, only once, as it may have a new owner then
      if (isInUse) release(batch)
      isInUse = false
    }
    writeBatch(stream, batch, (err) => {
      this.#writes--
      left--
      if (err == null && left === 0) releaseOnce()
    })
    if (stream.writableLength === 0) releaseOnce()
    return batch.length
  }

  drained (): Promise<void> {
    const stream = this.#stream
    const isFull = this.#recordWriter === undefined ? stream.writableNeedDrain : !this.#recordWriter.isIdle
    if (!isFull || stream.destroyed) return Promise.resolve()
    return new Promise((resolve) => { this.#waiting.push(resolve) })
  }

  /** The kernel has taken everything, or the stream has closed. */
  wake (): void {
    if (this.#stream.destroyed) this.#discardRecords()
    else if (this.#recordWriter?.isIdle === false) return
    this.#leaveRecords()
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  writeInRecords (socket: Socket, records: Records | undefined): void {
    this.#wantsRecords = records !== undefined
    if (records === undefined) this.#leaveRecords()
    else this.#recordWriter ??= new RecordWriter(socket, records, () => { this.wake() })
  }

  /** Waits until all records are written. */
  #leaveRecords (): void {
    if (!this.#wantsRecords && this.#recordWriter?.isIdle === true) this.#recordWriter = undefined
  }

  #discardRecords (): void {
    if (this.#recordWriter === undefined) return
    this.#recordWriter.discard()
    this.#writes = 0
  }

  #writeRecords (writer: RecordWriter, bytes: Uint8Array): void {
    writer.write(bytes, () => {
      this.#writes--
      release([bytes])
    })
  }
}

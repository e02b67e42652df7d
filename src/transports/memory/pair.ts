/** Links inside one process: for tests, demos, and programs that hold both ends. */
import { Duplex } from 'node:stream'
import { streamLink, type StreamLinkInit } from '../stream-link.ts'
import { LinkClosedError } from '../../errors.ts'
import type { Link } from '../../types.ts'

/** Bytes that each direction buffers before its writer has to wait. */
const HIGH_WATER_MARK = 64 * 1024

type Done = (err?: Error | null) => void

/** One end of a pair. Bytes written here are read at the other end. */
class MemoryStream extends Duplex {
  #other: MemoryStream | undefined
  /** Callback of the writer at the other end, which waits until this end has read. */
  #onRead: Done | undefined

  constructor () { super({ allowHalfOpen: true, highWaterMark: HIGH_WATER_MARK }) }

  static pair (): [MemoryStream, MemoryStream] {
    const ends: [MemoryStream, MemoryStream] = [new MemoryStream(), new MemoryStream()]
    ends[0].#other = ends[1]
    ends[1].#other = ends[0]
    return ends
  }

  override _read (): void {
    const done = this.#onRead
    this.#onRead = undefined
    done?.()
  }

  override _write (bytes: Uint8Array, _encoding: string, done: Done): void {
    if (bytes.length === 0) { // an empty chunk would look like the end to the reader
      done()
      return
    }
    const other = this.#other as MemoryStream
    other.#onRead = done
    other.push(Buffer.from(bytes)) // copied: the reader may change it, and the writer may reuse its memory
  }

  override _final (done: Done): void {
    this.#other?.push(null)
    done()
  }

  override _destroy (err: Error | null, done: Done): void {
    const other = this.#other as MemoryStream
    const complete = this.writableFinished && this.readableEnded
    if (!complete) setImmediate(() => { other.destroy(new LinkClosedError('the other side has aborted')) })
    done(err)
  }
}

/** Two connected links, with the half-close, back-pressure and abort of a TCP connection. */
export function memoryPair (init: StreamLinkInit = {}): [Link, Link] {
  const [here, there] = MemoryStream.pair()
  return [streamLink(here, init), streamLink(there, init)]
}

/** Makes a link of any Node stream that reads and writes bytes: a TCP or TLS socket, one half of a `duplexPair`. */
import { finished, type Duplex } from 'node:stream'
import { Channel } from '../channel.ts'
import { LinkClosedError } from '../errors.ts'
import type { Batch, Link, PacketPort } from '../types.ts'

/** Bytes that wait in memory for one slow receiver of packets; beyond it they are dropped. */
export const DEFAULT_QUEUE_LIMIT = 1 << 20

/** Bytes kept for a reader that is busy; beyond it the stream is paused, and then the kernel tells the sender to wait. */
const READ_AHEAD = 256 * 1024

/** Batches of a `sink` up to this size are copied: a small copy costs less than to wait until the kernel has the bytes. */
const COPY_UP_TO = 16 * 1024

/** The port of a stream link; a layer that makes new bytes of every batch can save the copy. */
export interface StreamPort extends PacketPort {
  /** `send` for bytes that nobody will change any more: what the kernel does not take at once is kept as it is. */
  give (batch: Batch): number
}

export interface StreamLinkInit {
  /** Bound of the packet port in bytes. Default: 1 MiB. */
  queueLimit?: number
}

class StreamLink implements Link {
  readonly source: AsyncIterable<Batch>
  readonly port: StreamPort
  readonly #stream: Duplex
  /** Called once the stream is gone, with the reason; each running `sink` has one here. */
  readonly #onClose = new Set<(reason: Error) => void>()

  constructor (stream: Duplex, { queueLimit = DEFAULT_QUEUE_LIMIT }: StreamLinkInit) {
    this.#stream = stream
    this.source = this.#read()
    const isFull = (): boolean => stream.writableLength >= queueLimit || !stream.writable
    this.port = {
      send (batch) {
        if (isFull()) return 0
        stream.write(Buffer.concat(batch)) // one buffer: one write
        return batch.length
      },
      give (batch) {
        if (isFull()) return 0
        writeBatch(stream, batch)
        return batch.length
      },
      get queued () { return stream.writableLength },
      limit: queueLimit
    }
    stream.on('error', () => {}) // every error surfaces through `source` and `sink`
    stream.once('close', () => {
      if (stream.writableFinished) return // nothing was lost: a `sink` that has just ended settles by itself
      const reason = this.#reason()
      for (const close of this.#onClose) close(reason)
      this.#onClose.clear()
    })
  }

  async sink (source: AsyncIterable<Batch>): Promise<void> {
    const stream = this.#stream
    const iterator = source[Symbol.asyncIterator]()
    let fail: (reason: Error) => void = () => {}
    const broken = new Promise<never>((_resolve, reject) => {
      fail = reject
      this.#onClose.add(fail)
    })
    let unwritten = 0
    let resume: (() => void) | undefined
    const written = (): void => {
      if (--unwritten === 0) resume?.()
    }
    const write = async (): Promise<void> => {
      if (!stream.writable) throw this.#reason()
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
        if (!stream.writable) throw this.#reason()
        const batch = next.value
        let size = 0
        for (let i = 0; i < batch.length; i++) size += batch[i].length
        if (size === 0) continue
        unwritten++
        // The source may reuse its memory once it is asked for more, so none of it may be left waiting here then.
        const isCopied = size <= COPY_UP_TO
        if (isCopied) stream.write(Buffer.concat(batch, size), written)
        else writeBatch(stream, batch, written)
        const wait = isCopied ? stream.writableNeedDrain : stream.writableLength > 0
        if (wait) await new Promise<void>((resolve) => { resume = resolve })
      }
      await end(stream)
    }
    try {
      await Promise.race([write(), broken]) // one race a link: a race a batch would pile up on `broken`
    } catch (err) {
      // Not awaited: a source that idles answers `return` only after its next batch, which may never come.
      void iterator.return?.()?.then(undefined, () => {})
      throw err
    } finally {
      this.#onClose.delete(fail)
    }
  }

  abort (err: Error): void { this.#stream.destroy(err) }

  #reason (): Error { return this.#stream.errored ?? new LinkClosedError('the link is closed') }

  /** Listens from the first pull on, so that a link that nobody reads takes no bytes from the kernel. */
  #read (): AsyncIterable<Batch> {
    const stream = this.#stream
    let channel: Channel | undefined
    const start = (): Channel => {
      const started = new Channel({
        weigh: (bytes) => bytes.length,
        onPull: () => { if (stream.isPaused()) stream.resume() },
        onReturn: () => { stream.pause() }
      })
      if (stream.readableEnded) {
        started.end()
      } else if (stream.destroyed) {
        started.fail(this.#reason())
      } else {
        stream.on('data', (bytes: Uint8Array) => {
          started.push(bytes)
          if (started.size >= READ_AHEAD) stream.pause()
        })
        stream.once('end', () => { started.end() })
        stream.once('close', () => { started.fail(this.#reason()) }) // after `end` it changes nothing
      }
      return started
    }
    return { [Symbol.asyncIterator]: () => (channel ??= start()) }
  }
}

function writeBatch (stream: Duplex, batch: Batch, onWritten?: () => void): void {
  const last = batch.length - 1
  if (last < 0) return
  if (last > 0) stream.cork()
  for (let i = 0; i < last; i++) stream.write(batch[i])
  stream.write(batch[last], onWritten)
  if (last > 0) stream.uncork()
}

/** Ends the writing side; settles when the last byte is with the kernel. */
function end (stream: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    const cleanup = finished(stream, { readable: false }, (err) => {
      cleanup()
      if (err == null) resolve()
      else reject(stream.errored ?? new LinkClosedError('the link closed before everything was written'))
    })
    stream.end()
  })
}

/**
 * A link over a stream of bytes.
 *
 * For half-close the stream has to be made with `allowHalfOpen: true`.
 */
export const streamLink = (stream: Duplex, init: StreamLinkInit = {}): Link => new StreamLink(stream, init)

/** Makes a link of any Node stream that reads and writes bytes: a TCP or TLS socket, one half of a `duplexPair`. */
import { finished, type Duplex } from 'node:stream'
import { Channel } from '../channel.ts'
import { LinkClosedError } from '../errors.ts'
import type { Batch, Link, PacketPort } from '../types.ts'

/** Bytes that wait in memory for one slow receiver of packets; beyond it they are dropped. */
export const DEFAULT_QUEUE_LIMIT = 1 << 20

/** Bytes kept for a reader that is busy; beyond it the stream is paused, and then the kernel tells the sender to wait. */
const READ_AHEAD = 256 * 1024

export interface StreamLinkInit {
  /** Bound of the packet port in bytes. Default: 1 MiB. */
  queueLimit?: number
}

/** Classes and not literals with functions: a relay has one of each for every connection. */
class StreamPort implements PacketPort {
  readonly limit: number
  readonly #stream: Duplex

  constructor (stream: Duplex, limit: number) {
    this.#stream = stream
    this.limit = limit
  }

  get queued (): number { return this.#stream.writableLength }

  send (batch: Batch): number {
    const stream = this.#stream
    if (stream.writableLength >= this.limit || !stream.writable) return 0
    writeBatch(stream, batch)
    return batch.length
  }
}

class StreamLink implements Link {
  readonly source: AsyncIterable<Batch>
  readonly port: PacketPort
  readonly #stream: Duplex
  /** Called once the stream is gone, with the reason; each running `sink` has one here. */
  #onClose: Array<(reason: Error) => void> = []

  constructor (stream: Duplex, { queueLimit = DEFAULT_QUEUE_LIMIT }: StreamLinkInit) {
    this.#stream = stream
    this.source = this.#read()
    this.port = new StreamPort(stream, queueLimit)
    stream.on('error', () => {}) // every error surfaces through `source` and `sink`
    stream.once('close', () => {
      if (stream.writableFinished) return // nothing was lost: a `sink` that has just ended settles by itself
      const reason = this.#reason()
      for (const close of this.#onClose.splice(0)) close(reason)
    })
  }

  async sink (source: AsyncIterable<Batch>): Promise<void> {
    const stream = this.#stream
    const iterator = source[Symbol.asyncIterator]()
    let fail: (reason: Error) => void = () => {}
    const broken = new Promise<never>((_resolve, reject) => {
      fail = reject
      this.#onClose.push(fail)
    })
    const write = async (): Promise<void> => {
      if (!stream.writable) throw this.#reason()
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
        if (!stream.writable) throw this.#reason()
        writeBatch(stream, next.value)
        if (stream.writableNeedDrain) await new Promise<void>((resolve) => { stream.once('drain', resolve) })
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
      this.#onClose = this.#onClose.filter((other) => other !== fail)
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

function writeBatch (stream: Duplex, batch: Batch): void {
  if (batch.length === 1) {
    stream.write(batch[0])
    return
  }
  stream.cork()
  for (const bytes of batch) stream.write(bytes)
  stream.uncork()
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

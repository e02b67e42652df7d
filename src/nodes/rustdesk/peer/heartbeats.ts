/** Signs of life on a link of frames: empty frames, as relays end pairs that are silent for 30 seconds (RustDesk protocol, section 5). */
import { LinkClosedError } from '../../../errors.ts'
import { every } from '../../../streams/clock.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'
import type { Batch, Clock, Link } from '../../../types.ts'

/** Milliseconds between looks, and without anything sent until an empty frame is. */
const TICK = 5000
const QUIET = 10_000

/** Milliseconds without a frame after which the other peer counts as gone. */
const PATIENCE = 35_000

const EMPTY = new Uint8Array(0)

/** What is sent, and empty frames where that takes long. */
class Beating implements AsyncIterableIterator<Batch> {
  readonly #iterator: AsyncIterator<Batch>
  readonly #clock: Clock
  #pending: Promise<IteratorResult<Batch>> | undefined
  #beat: (() => void) | undefined
  #sentAt: number

  constructor (source: AsyncIterable<Batch>, clock: Clock) {
    this.#iterator = source[Symbol.asyncIterator]()
    this.#clock = clock
    this.#sentAt = clock.now()
  }

  next (): Promise<IteratorResult<Batch>> {
    const pending = this.#pending ??= this.#iterator.next()
    return new Promise((resolve, reject) => {
      let isDone = false
      this.#beat = () => {
        isDone = true
        this.#beat = undefined
        this.#sentAt = this.#clock.now()
        resolve({ done: false, value: [EMPTY] })
      }
      pending.then((result) => {
        if (isDone) return // it is there for the next call
        this.#pending = undefined
        this.#beat = undefined
        this.#sentAt = this.#clock.now()
        resolve(result)
      }, (err) => {
        this.#beat = undefined
        reject(err)
      })
    })
  }

  async return (): Promise<IteratorResult<Batch>> {
    await this.#iterator.return?.()
    return { done: true, value: undefined }
  }

  /** Time goes on. */
  tick (now: number): void { if (now - this.#sentAt >= QUIET) this.#beat?.() }

  [Symbol.asyncIterator] (): this { return this }
}

/** Layer: empty frames are sent while nothing else is, and those that come are not passed up. The link is aborted when nothing comes any more. */
export const heartbeats = (clock: Clock) => (lower: Link): Link => {
  let waitsSince: number | undefined // for the next frame; a reader that is busy hears nothing, and tells nothing
  let outgoing: Beating | undefined
  const timer = every(clock, TICK, () => {
    const now = clock.now()
    outgoing?.tick(now)
    if (waitsSince === undefined || now - waitsSince < PATIENCE) return
    timer.stop()
    lower.abort(new LinkClosedError(`nothing has come of the other peer for ${PATIENCE / 1000} s`))
  }).unref()
  async function * heard (): AsyncGenerator<Batch> {
    try {
      waitsSince = clock.now()
      for await (const batch of lower.source) {
        waitsSince = clock.now()
        const filled = batch.every(({ length }) => length > 0) ? batch : batch.filter(({ length }) => length > 0)
        if (filled.length === 0) continue
        waitsSince = undefined
        yield filled
        waitsSince = clock.now()
      }
    } finally {
      timer.stop()
    }
  }
  return wrapLink(lower, {
    source: heard(),
    flow: undefined,
    sink: async (source) => {
      outgoing = new Beating(source, clock)
      await lower.sink(outgoing)
    }
  })
}

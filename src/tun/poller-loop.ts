/** Looks at descriptors from the event loop itself: no thread, so neither the pool nor the end of the process waits for it. */
import type { Libc, LoopHandle } from './libc.ts'
import type { Poller, Watch } from './poller.ts'

class LoopWatch implements Watch {
  readonly #handle: LoopHandle
  readonly #onReady = (): void => {
    this.#handle.stop() // it would call again and again until somebody reads
    const resolve = this.#resolve
    this.#resolve = undefined
    // from within the callback a promise would wait for the next task, whenever that is
    if (resolve !== undefined) setImmediate(resolve)
  }

  #resolve: (() => void) | undefined
  #closed = false

  constructor (open: NonNullable<Libc['onReadable']>, fd: number) {
    this.#handle = open(fd, this.#onReady)
    this.#handle.stop()
  }

  ready (): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      this.#resolve = resolve
      this.#handle.start(this.#onReady)
    })
  }

  close (): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      this.#handle.close()
      this.#resolve?.()
      this.#resolve = undefined
    }
    return Promise.resolve()
  }
}

/** The poller for this C library binding, or undefined when it has no part in the event loop. */
export function loopPoller ({ onReadable }: Libc): Poller | undefined {
  return onReadable === undefined ? undefined : { watch: (fd) => new LoopWatch(onReadable, fd) }
}

/** Looks at descriptors from the event loop itself: no thread, so neither the pool nor the end of the process waits for it. */
import type { Libc, LoopHandle } from './libc.ts'
import type { Poller, PollHandle } from './poller.ts'

const nothing = (): void => {}

class LoopPollHandle implements PollHandle {
  readonly #handle: LoopHandle
  readonly #onReady: () => void
  #isWanted = false
  #isRunning = true
  #isClosed = false

  readonly #ready = (): void => {
    if (!this.#isWanted) {
      this.#handle.stop() // it would call again and again until somebody reads
      this.#isRunning = false
      return
    }
    this.#onReady()
    // Promises and ticks would wait for the next task, whenever that is. There is one at the end of this turn now.
    setImmediate(nothing)
  }

  constructor (open: NonNullable<Libc['onReadable']>, fd: number, onReady: () => void) {
    this.#onReady = onReady
    this.#handle = open(fd, this.#ready)
  }

  start (): void {
    if (this.#isClosed) return
    this.#isWanted = true
    if (this.#isRunning) return
    this.#isRunning = true
    this.#handle.start(this.#ready)
  }

  /** The handle goes on until it has something to tell: mostly it is wanted again before that, and two system calls are saved. */
  stop (): void { this.#isWanted = false }

  close (): Promise<void> {
    this.#isWanted = false
    if (!this.#isClosed) {
      this.#isClosed = true
      this.#handle.close()
    }
    return Promise.resolve()
  }
}

/** The poller for this C library binding, or undefined when it has no part in the event loop. */
export function loopPoller ({ onReadable }: Libc): Poller | undefined {
  return onReadable === undefined ? undefined : { watch: (fd, onReady) => new LoopPollHandle(onReadable, fd, onReady) }
}

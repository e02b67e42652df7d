/** Polls descriptors on the event loop itself: it takes no thread of the pool, and the end of the process does not wait for it. */
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
      this.#handle.stop() // level-triggered: it would call again until the descriptor is read
      this.#isRunning = false
      return
    }
    this.#onReady()
    // Microtasks would wait for the next task, which may be far off: this makes one at the end of this turn.
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

  /** The handle stays active until its next event: mostly it is started again before, which saves two system calls. */
  stop (): void { this.#isWanted = false }

  check (): void {
    if (this.#isWanted) this.#ready()
  }

  close (): Promise<void> {
    this.#isWanted = false
    if (!this.#isClosed) {
      this.#isClosed = true
      this.#handle.close()
    }
    return Promise.resolve()
  }
}

/** The poller for this C library binding; undefined when the binding cannot watch descriptors on the event loop. */
export function loopPoller ({ onReadable }: Libc): Poller | undefined {
  return onReadable === undefined ? undefined : { watch: (fd, onReady) => new LoopPollHandle(onReadable, fd, onReady) }
}

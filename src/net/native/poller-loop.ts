/** Polls descriptors on the event loop itself: it takes no thread of the pool, and the end of the process does not wait for it. */
import type { Libc, LoopHandle, Wanted } from './libc.ts'
import type { Poller, PollHandle } from './poller.ts'

const nothing = (): void => {}

class LoopPollHandle implements PollHandle {
  readonly #handle: LoopHandle
  readonly #onReady: () => void
  #onWritable: (() => void) | undefined
  #isWanted = false
  /** Whether the handle waits for something to read. */
  #isReading = true
  #isClosed = false

  readonly #ready = (events: Wanted | number): void => {
    // An error stops the handle for good, although it may pass: that of a datagram, say.
    const isError = typeof events === 'number'
    if (isError) this.#isReading = false
    const onWritable = this.#onWritable
    if (onWritable !== undefined && (isError || events.writable === true)) {
      this.#onWritable = undefined
      try {
        onWritable()
      } finally {
        if (!isError) this.#run()
      }
    } else if (!this.#isWanted) {
      this.#run() // level-triggered: it would call again until the descriptor is read
      return
    }
    if (this.#isWanted && (isError || events.readable === true)) this.#onReady()
    if (isError) this.#run()
    // Microtasks would wait for the next task, which may be far off: this makes one at the end of this turn.
    setImmediate(nothing)
  }

  constructor (open: NonNullable<Libc['onEvents']>, fd: number, onReady: () => void) {
    this.#onReady = onReady
    this.#handle = open(fd, { readable: true }, this.#ready)
  }

  start (): void {
    if (this.#isClosed) return
    this.#isWanted = true
    if (!this.#isReading) this.#run()
  }

  /** The handle stays active until its next event: mostly it is started again before, which saves two system calls. */
  stop (): void { this.#isWanted = false }

  whenWritable (onWritable: () => void): void {
    if (this.#isClosed) return
    this.#onWritable = onWritable
    this.#run()
  }

  check (): void {
    if (this.#isWanted) this.#ready({ readable: true })
  }

  close (): undefined {
    this.#isWanted = false
    this.#onWritable = undefined
    if (!this.#isClosed) {
      this.#isClosed = true
      this.#handle.close()
    }
  }

  /** Waits for what is wanted now, and for nothing else. */
  #run (): void {
    if (this.#isClosed) return
    const isWriting = this.#onWritable !== undefined
    this.#isReading = this.#isWanted
    if (isWriting || this.#isReading) this.#handle.start({ readable: this.#isReading, writable: isWriting })
    else this.#handle.stop()
  }
}

/** The poller for this C library binding; undefined when the binding cannot watch descriptors on the event loop. */
export function loopPoller ({ onEvents }: Libc): Poller | undefined {
  return onEvents === undefined ? undefined : { watch: (fd, onReady) => new LoopPollHandle(onEvents, fd, onReady) }
}

/**
 * Polls all descriptors with poll(2) on one thread of libuv's pool: four waiting threads would block files, DNS and cryptography of the
 * whole process. An eventfd wakes the thread when the set of descriptors changes, and when the process ends, which would wait for the
 * thread otherwise.
 */
import { closeSync } from 'node:fs'
import { endianness } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import type { Libc } from './libc.ts'
import { NativeError } from './native-error.ts'
import type { Poller, PollHandle } from './poller.ts'

// struct pollfd: descriptor (4 bytes), wanted events (2), events that came (2)
const ENTRY = 8
const POLLIN = 1
const POLLOUT = 4
const EFD_CLOEXEC = 0o2000000
const EFD_NONBLOCK = 0o4000

/** Failures in a row that are retried: poll(2) fails for a signal or short memory, which pass. */
const MAX_FAILURES = 100

/** Milliseconds of one call. The end of a worker waits for it, and nothing is called there that could wake it. */
const LONGEST = isMainThread ? -1 : 1000

const LITTLE = endianness() === 'LE'
const ONE = new BigUint64Array([1n])
const one = new Uint8Array(ONE.buffer)

class ThreadPollHandle implements PollHandle {
  isWanted = false
  readonly fd: number
  readonly onReady: (err?: Error) => void
  readonly #poller: ThreadPoller
  #onWritable: (() => void) | undefined
  #isClosed = false

  constructor (poller: ThreadPoller, fd: number, onReady: (err?: Error) => void) {
    this.#poller = poller
    this.fd = fd
    this.onReady = onReady
  }

  start (): void {
    if (this.#isClosed || this.isWanted) return
    this.isWanted = true
    this.#poller.armed()
  }

  stop (): void { this.isWanted = false }

  whenWritable (onWritable: () => void): void {
    if (this.#isClosed) return
    this.#onWritable = onWritable
    this.#poller.armed()
  }

  /** The events that are wanted, as poll(2) has them. */
  get wanted (): number { return (this.isWanted ? POLLIN : 0) | (this.#onWritable === undefined ? 0 : POLLOUT) }

  /** Events have come. */
  came (events: number): void {
    if (this.#onWritable !== undefined && (events & ~POLLIN) !== 0) {
      const onWritable = this.#onWritable
      this.#onWritable = undefined
      onWritable()
    }
    if (this.isWanted && (events & ~POLLOUT) !== 0) this.onReady()
  }

  check (): void {
    if (this.isWanted) this.onReady()
  }

  close (): Promise<void> {
    this.isWanted = false
    this.#onWritable = undefined
    this.#isClosed = true
    return this.#poller.remove(this)
  }
}

class ThreadPoller implements Poller {
  readonly #libc: Libc
  readonly #handles = new Set<ThreadPollHandle>()
  #wakeFd = -1
  #fds = new DataView(new ArrayBuffer(ENTRY * 8))
  /** The handles that the thread polls now, in the order of the entries after that of the eventfd. */
  #flight: ThreadPollHandle[] | undefined
  #landings: Array<() => void> = []
  #next: NodeJS.Immediate | undefined
  #failures = 0
  readonly #wake = (): void => {
    this.#libc.write(this.#wakeFd, one, one.length)
  }

  readonly #landed = (err: Error | null, ready: number): void => {
    const flight = this.#flight ?? []
    this.#flight = undefined
    this.#failures = err === null && ready >= 0 ? 0 : this.#failures + 1
    // Those that were ready have read by then and mostly want more: one poll serves all. One that began at once would overwrite events below.
    this.#next ??= setImmediate(this.#start)
    if (this.#failures > MAX_FAILURES) {
      const failure = new NativeError('ERR_NATIVE_CALL', 'poll failed', { syscall: 'poll', cause: err })
      for (const handle of flight) if (handle.isWanted) handle.onReady(failure)
    } else if (this.#failures === 0) {
      if (this.#events(0) !== 0) this.#libc.read(this.#wakeFd, new Uint8Array(8), 8)
      for (const [i, handle] of flight.entries()) {
        const events = this.#events(i + 1)
        if (events !== 0) handle.came(events)
      }
    }
    for (const land of this.#landings.splice(0)) land()
  }

  readonly #start = (): void => {
    clearImmediate(this.#next)
    this.#next = undefined
    const flight = [...this.#handles].filter(({ wanted }) => wanted !== 0)
    if (this.#flight !== undefined || flight.length === 0) return
    this.#flight = flight
    const size = (flight.length + 1) * ENTRY
    if (this.#fds.byteLength < size) this.#fds = new DataView(new ArrayBuffer(size * 2))
    for (const [i, { fd, wanted }] of [{ fd: this.#wakeFd, wanted: POLLIN }, ...flight].entries()) {
      this.#fds.setInt32(i * ENTRY, fd, LITTLE)
      this.#fds.setInt16(i * ENTRY + 4, wanted, LITTLE)
      this.#fds.setInt16(i * ENTRY + 6, 0, LITTLE)
    }
    this.#libc.poll(new Uint8Array(this.#fds.buffer), flight.length + 1, LONGEST, this.#landed)
  }

  constructor (libc: Libc) {
    this.#libc = libc
  }

  watch (fd: number, onReady: (err?: Error) => void): PollHandle {
    if (this.#handles.size === 0) this.#open()
    const handle = new ThreadPollHandle(this, fd, onReady)
    this.#handles.add(handle)
    return handle
  }

  /** A handle was started. */
  armed (): void {
    if (this.#flight !== undefined) this.#wake()
    else if (this.#next === undefined) this.#start()
  }

  async remove (handle: ThreadPollHandle): Promise<void> {
    this.#handles.delete(handle)
    if (this.#flight !== undefined && (this.#flight.includes(handle) || this.#handles.size === 0)) {
      this.#wake()
      await new Promise<void>((resolve) => { this.#landings.push(resolve) })
    }
    if (this.#handles.size === 0) this.#close()
  }

  #events (entry: number): number {
    return this.#fds.getInt16(entry * ENTRY + 6, LITTLE)
  }

  #open (): void {
    if (this.#wakeFd >= 0) return // the last handle is being closed
    this.#wakeFd = this.#libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    if (this.#wakeFd < 0) throw NativeError.ofCall('eventfd', this.#libc.errno())
    process.on('exit', this.#wake)
  }

  #close (): void {
    if (this.#wakeFd < 0 || this.#flight !== undefined) return
    process.off('exit', this.#wake)
    closeSync(this.#wakeFd)
    this.#wakeFd = -1
    clearImmediate(this.#next)
    this.#next = undefined
  }
}

let shared: ThreadPoller | undefined

/** The poller of the process. */
export function threadPoller (libc: Libc): Poller {
  shared ??= new ThreadPoller(libc)
  return shared
}

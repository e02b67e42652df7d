/** The other end of a terminal as a stream of bytes. */
import { readSync, writeSync } from 'node:fs'
import { Duplex } from 'node:stream'
import { ReadStream } from 'node:tty'
import type { Clock, Timer } from '../../../../types.ts'

/** Bytes of output that wait for the reader; beyond it the program has to wait. */
const READ_AHEAD = 64 * 1024

/** Milliseconds until input that the program has not read is tried again: the first time, and at most. The system tells no other way. */
const RETRY = 1
const MAX_RETRY = 16

/**
 * Milliseconds of silence after the program has ended until its output is over, although another process holds the terminal; and bytes
 * after which it is over in any case: more than the system keeps of a terminal.
 */
const SILENCE = 100
const MAX_REST = 1 << 20

/** Bytes of one read of what is left at the end. */
const REST_READ = 4096

/** The end of input, as a terminal has it (VEOF of termios(3)). */
const END_OF_INPUT = Uint8Array.of(4)

type Done = (err?: Error | null) => void

/**
 * Reads without a loss up to the end, also when the program ends while the reader is busy. Ends when the last process has left the
 * terminal, or soon after `exited`.
 */
export class PtyStream extends Duplex {
  readonly #fd: number
  readonly #clock: Clock
  readonly #socket: ReadStream
  readonly #onClose: (isAborted: boolean) => void
  /** Called with the first output, or at the end. */
  #onFirst: ((bytes?: Uint8Array) => void) | undefined
  #retry: Timer | undefined
  /** The write that waits for room. */
  #waiting: Done | undefined
  /** Bytes that may still come; set once the program has ended. */
  #rest = Infinity
  #silence: Timer | undefined

  /** @param onClose - the terminal is closed, because the stream was destroyed or by itself; called once */
  constructor (fd: number, clock: Clock, onClose: (isAborted: boolean) => void) {
    super({ allowHalfOpen: true, readableHighWaterMark: READ_AHEAD })
    this.#fd = fd
    this.#clock = clock
    this.#onClose = onClose
    const socket = this.#socket = new ReadStream(fd)
    socket.pause()
    socket.on('data', (bytes) => { this.#take(bytes) })
    socket.once('end', () => { this.#takeRest() })
    socket.on('error', () => {}) // EIO: nobody has the terminal open any more
    socket.once('close', () => { this.#end(false) })
  }

  /** Whether the descriptor is open; it must not be used otherwise, as it may belong to somebody else. */
  get isOpen (): boolean { return !this.#socket.destroyed }

  /** The first output, which the reader gets as well; empty when there is none within `ms` milliseconds, or at all. */
  first (ms: number): Promise<string> {
    return new Promise((resolve) => {
      const timer = this.#clock.set(ms, () => { this.#onFirst?.() })
      this.#onFirst = (bytes = new Uint8Array()) => {
        this.#onFirst = undefined
        this.#clock.clear(timer)
        resolve(Buffer.from(bytes).toString())
      }
      this.#socket.resume()
    })
  }

  /** The program has ended. What it has written is still delivered. */
  exited (): void {
    if (!this.isOpen) return
    this.#rest = MAX_REST
    this.#awaitSilence()
  }

  override _read (): void {
    this.#socket.resume()
    this.#awaitSilence()
  }

  override _write (bytes: Uint8Array, _encoding: string, done: Done): void { this.#write(bytes, RETRY, done) }

  override _final (done: Done): void { this.#write(END_OF_INPUT, RETRY, done) }

  override _destroy (err: Error | null, done: Done): void {
    this.#socket.destroy()
    this.#end(true)
    done(err)
  }

  #take (bytes: Uint8Array): void {
    this.#onFirst?.(bytes)
    this.#rest -= bytes.length
    const takesMore = this.push(bytes)
    if (this.#rest <= 0) this.#socket.destroy()
    else if (takesMore) this.#awaitSilence()
    else this.#pause()
  }

  /**
   * What libuv has left behind: reads of a terminal are short, and a short read when all other ends are closed counts as the last one
   * there. Bounded by what the system keeps of a terminal.
   */
  #takeRest (): void {
    try {
      for (let length = 1; length > 0 && this.isOpen;) {
        const bytes = Buffer.allocUnsafeSlow(REST_READ)
        length = readSync(this.#fd, bytes)
        if (length > 0) this.#take(bytes.subarray(0, length))
      }
    } catch {
      // EIO: this was all
    }
  }

  #pause (): void {
    this.#socket.pause()
    this.#clock.clear(this.#silence)
  }

  #awaitSilence (): void {
    if (this.#rest === Infinity || this.#socket.isPaused() || !this.isOpen) return
    this.#clock.clear(this.#silence)
    this.#silence = this.#clock.set(SILENCE, () => { this.#socket.destroy() })
  }

  /** Not by the socket, which blocks the process while the program does not read. */
  #write (bytes: Uint8Array, delay: number, done: Done): void {
    this.#waiting = undefined
    let rest = bytes
    try {
      while (this.isOpen && rest.length > 0) rest = rest.subarray(writeSync(this.#fd, rest))
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code === 'EAGAIN') {
        const next = rest === bytes ? Math.min(delay * 2, MAX_RETRY) : RETRY
        this.#waiting = done
        this.#retry = this.#clock.set(delay, () => { this.#write(rest, next, done) })
        return
      }
    }
    done() // also of a program that has ended: its output tells so
  }

  #end (isAborted: boolean): void {
    if (this.#rest === -Infinity) return
    this.#rest = -Infinity
    this.#clock.clear(this.#silence)
    this.#clock.clear(this.#retry)
    if (!this.destroyed) this.push(null)
    this.#waiting?.()
    this.#waiting = undefined
    this.#onFirst?.()
    this.#onClose(isAborted)
  }
}

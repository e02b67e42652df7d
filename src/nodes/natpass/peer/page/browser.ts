/** A WebSocket of a page, with back-pressure in both directions and a bound of silence. */
import type { WebSocket } from 'ws'
import { pingEach } from './pings.ts'
import { utf8Chunks } from '../shell/utf8-chunks.ts'
import type { Interval } from '../../../../streams/clock.ts'
import type { Clock } from '../../../../types.ts'

/** Bytes of a message to the browser. */
const MAX_MESSAGE = 64 * 1024

/** Bytes that wait for the browser; beyond it the shell has to wait. */
const QUEUE = 256 * 1024

/** Milliseconds between two pings. */
const PING = 15_000

export class Browser {
  readonly #socket: WebSocket
  readonly #pings: Interval
  #isOver = false
  /** Resolves the promise of `send`. */
  #wake: (() => void) | undefined

  /** @param onInput - called with each message; @param onEnd - called once, with the close code */
  constructor (socket: WebSocket, clock: Clock, onInput: (bytes: Uint8Array) => void, onEnd: (code: number) => void) {
    this.#socket = socket
    this.#pings = pingEach(PING, socket, clock)
    socket.on('message', (bytes) => { onInput(bytes as Buffer) })
    socket.on('error', () => {}) // `close` follows
    socket.on('close', (code) => {
      this.#over()
      onEnd(code)
    })
  }

  /** Output; the memory may not change any more. Returns a promise when the browser is slow: it settles once it takes more, or is gone. */
  send (bytes: Uint8Array): Promise<void> | undefined {
    for (const chunk of utf8Chunks(bytes, MAX_MESSAGE)) this.#socket.send(chunk, this.#sent)
    return this.#whenReady()
  }

  /** The same for one message, of any content. */
  sendWhole (bytes: Uint8Array): Promise<void> | undefined {
    this.#socket.send(bytes, this.#sent)
    return this.#whenReady()
  }

  /** As much waits for it as may. */
  get isSlow (): boolean { return !this.#isOver && this.#socket.bufferedAmount >= QUEUE }

  /** What is no output, as JSON in a text message. */
  tell (what: object): void { this.#socket.send(JSON.stringify(what), this.#sent) }

  pause (): void { this.#socket.pause() }

  resume (): void { this.#socket.resume() }

  /** What was sent arrives before. */
  close (code: number, reason: string): void {
    this.#over()
    this.#socket.resume() // otherwise its end would not be read
    this.#socket.close(code, reason)
  }

  #whenReady (): Promise<void> | undefined { return this.isSlow ? new Promise((resolve) => { this.#wake = resolve }) : undefined }

  #over (): void {
    this.#isOver = true
    this.#pings.stop()
    this.#wake?.()
    this.#wake = undefined
  }

  readonly #sent = (): void => {
    if (this.#wake === undefined || this.#socket.bufferedAmount >= QUEUE / 2) return
    this.#wake()
    this.#wake = undefined
  }
}

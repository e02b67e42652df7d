/**
 * The process that captures the screen and moves pointer and keys for a client (natpass protocol, section 4.3). It serves the one WebSocket
 * that it has connected to the client, and ends with that.
 */
import { WebSocket, type RawData } from 'ws'
import { DisplayError } from './display-error.ts'
import { openDisplay, type Display, type Environment } from './display.ts'
import { Inputs } from './inputs.ts'
import { Screen } from './screen.ts'
import { decodeWorkerMessage, encodeWorkerMessage, failure, unchanged, WorkerMessageType, type WorkerMessage } from './worker-messages.ts'
import { TEXT } from '../../../protocol/desktop.ts'
import { systemClock } from '../../../../../streams/clock.ts'
import type { Clock } from '../../../../../types.ts'

/** Bytes of a message of the client; the longest is a text for the clipboard. */
const MAX_MESSAGE = 256 * 1024

/** Milliseconds to connect to the client, which has started this process and waits. */
const CONNECT_TIMEOUT = 5000

/** Milliseconds for the X server to take what waits for it; meanwhile nobody would see that the connection has ended. */
const STUCK = 10_000

/** Nobody can look into a connection of this machine with itself, so nothing is masked: that takes longer than to copy a picture. */
const NO_MASK = { generateMask (mask: Buffer) { mask.fill(0) } }

export interface WorkerInit {
  /** Of 127.0.0.1, where the client listens. */
  readonly port: number
  /** What the client has given to this process alone, by which it knows it. */
  readonly token: string
  /** Ends the worker, as the end of the connection does. */
  readonly signal?: AbortSignal
  readonly environment?: Environment
  readonly clock?: Clock
}

/**
 * Serves until the connection ends, and leaves no key or button pressed.
 *
 * @throws when the client cannot be connected to
 */
export async function runWorker ({ port, token, signal, environment = process.env, clock = systemClock }: WorkerInit): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, {
    headers: { authorization: `Bearer ${token}` }, perMessageDeflate: false, maxPayload: MAX_MESSAGE, handshakeTimeout: CONNECT_TIMEOUT, ...NO_MASK
  })
  const worker = new Worker(socket, environment, clock)
  const end = (): void => { socket.terminate() }
  signal?.addEventListener('abort', end)
  try {
    await new Promise<void>((resolve, reject) => {
      let isOpen = false
      socket.on('open', () => { isOpen = true })
      socket.on('error', (err) => { if (isOpen) resolve(); else reject(err) })
      socket.on('close', () => { resolve() })
      if (signal?.aborted === true) end()
    })
  } finally {
    signal?.removeEventListener('abort', end)
    await worker.close()
  }
}

/** What the worker has of one X server. */
interface Desktop {
  readonly display: Display
  readonly screen: Screen
  readonly inputs: Inputs
}

class Worker {
  readonly #socket: WebSocket
  readonly #clock: Clock
  readonly #opening: Promise<Desktop>
  /** There once it has been opened. */
  #desktop: Desktop | undefined
  #isCapturing = false
  #showsCursor = false
  #isWaiting = false
  #isTelling = false
  #isAskedAgain = false

  constructor (socket: WebSocket, environment: Environment, clock: Clock) {
    this.#socket = socket
    this.#clock = clock
    this.#opening = open(environment, clock)
    this.#opening.then((desktop) => { this.#desktop = desktop }, () => {}) // told as the answer to the first request
    socket.on('message', (data, isBinary) => { if (isBinary) this.#take(data) })
  }

  async close (): Promise<void> {
    if (this.#desktop === undefined) {
      this.#opening.then(({ display }) => { void display.close() }, () => {})
      return
    }
    const { inputs, display } = this.#desktop
    inputs.releaseAll()
    await display.close()
  }

  #take (data: RawData): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return // what is left of a connection that was ended: keys have been released by then
    let message: WorkerMessage
    try {
      message = decodeWorkerMessage(data as Buffer)
    } catch {
      this.#socket.terminate() // what speaks there is no client
      return
    }
    switch (message._type) {
      case WorkerMessageType.captureReq:
        void this.#capture()
        return
      case WorkerMessageType.setCursor:
        this.#showsCursor = message.show_cursor === true
        return
      case WorkerMessageType.clipboard:
        this.#clipboard(message)
        break
      default:
        this.#desktop?.inputs.take(message, this.#desktop.screen)
    }
    if (!this.#isWaiting) void this.#keepPace()
  }

  /** Takes nothing more while the X server is behind: a client may send more than that does. */
  async #keepPace (): Promise<void> {
    let ready = this.#desktop?.display.ready()
    if (ready === undefined) return
    this.#isWaiting = true
    this.#socket.pause()
    const timer = this.#clock.set(STUCK, () => { this.#socket.terminate() })
    for (; ready !== undefined; ready = this.#desktop?.display.ready()) await ready
    this.#clock.clear(timer)
    this.#socket.resume()
    this.#isWaiting = false
  }

  /** One at a time: the memory of a picture is used again for the next one. */
  async #capture (): Promise<void> {
    if (this.#isCapturing) return
    this.#isCapturing = true
    let answer: Uint8Array
    try {
      const { screen } = await this.#opening
      const picture = await screen.capture(this.#showsCursor)
      answer = picture === undefined ? unchanged(screen.width, screen.height) : picture.message()
    } catch (err) {
      answer = failure(err instanceof DisplayError ? err.message : `the screen cannot be captured: ${(err as Error).message}`)
    }
    this.#send(answer, () => { this.#isCapturing = false })
  }

  #clipboard ({ clipboard }: WorkerMessage): void {
    if (clipboard == null || clipboard._type !== TEXT) return
    if (clipboard.set === true) void this.#desktop?.inputs.clipboard.write(clipboard.data ?? '')
    else if (this.#isTelling) this.#isAskedAgain = true
    else void this.#tellClipboard()
  }

  /** One answer is on its way at a time: all who ask meanwhile get the next one. */
  async #tellClipboard (): Promise<void> {
    this.#isTelling = true
    do {
      this.#isAskedAgain = false
      const data = await this.#desktop?.inputs.clipboard.read() ?? ''
      await new Promise<void>((resolve) => { this.#send(encodeWorkerMessage({ _type: WorkerMessageType.clipboard, clipboard: { set: true, _type: TEXT, data } }), resolve) })
    } while (this.#isAskedAgain)
    this.#isTelling = false
  }

  #send (message: Uint8Array, done: () => void): void {
    this.#socket.send(message, done)
  }
}

/** @throws {DisplayError} */
async function open (environment: Environment, clock: Clock): Promise<Desktop> {
  const display = await openDisplay(environment, clock)
  try {
    return { display, screen: await Screen.open(display), inputs: await Inputs.open(display, clock) }
  } catch (err) {
    void display.close()
    throw err
  }
}

/** The process that captures the screen for one link, and moves its pointer and keys (natpass protocol, section 4.3). */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RawData, WebSocket } from 'ws'
import type { Picture } from './blocks.ts'
import { readCaptured } from './captured.ts'
import { DesktopError } from './desktop-error.ts'
import { listenForWorker } from './worker-listener.ts'
import { decodeWorkerMessage, encodeWorkerMessage, WorkerMessageType, type WorkerMessage, type WorkerMessageInit } from './worker/worker-messages.ts'
import { withoutSecrets } from '../own-environment.ts'
import { TEXT } from '../../protocol/desktop.ts'
import { oneLine, printable } from '../../../../text/printable.ts'
import type { Clock, Timer } from '../../../../types.ts'

/** Milliseconds for the process to connect, to answer a request for a picture, and to end once it was told to. */
const CONNECT_TIMEOUT = 8000
const CAPTURE_TIMEOUT = 10_000
const KILL_AFTER = 500

/** Bytes that wait for the process; beyond it the viewer has to wait. */
const QUEUE = 64 * 1024

/** Bytes of its standard error that are kept, and of what is told of them. */
const MAX_STDERR = 2048
const MAX_COMPLAINT = 200

/** Bytes of the name of a rule among its arguments: it comes from the other end. */
const MAX_NAME = 64

const TOKEN_BYTES = 32

/** The program `peer` of this package. */
export const PEER_PROGRAM = fileURLToPath(new URL(`../../../../../bin/peer${extname(import.meta.url)}`, import.meta.url))

export interface WorkerProcessInit {
  /** The file of the program `peer`. */
  readonly program: string
  /** The rule that it serves. */
  readonly rule: string
  readonly clock: Clock
  /** Gives up while it is being started. */
  readonly signal: AbortSignal
}

/** A request for a picture that was not answered yet. */
interface Capturing {
  readonly resolve: (picture: Picture | undefined) => void
  readonly reject: (err: Error) => void
  readonly timer: Timer
}

export class WorkerProcess {
  /** Settles with why it serves no more. */
  readonly failed: Promise<Error>
  /** Called with the text of the clipboard. */
  onClipboard: (text: string) => void = () => {}
  readonly #child: ChildProcess
  readonly #clock: Clock
  /** Settles when the process is gone. */
  readonly #gone: Promise<void>
  #socket: WebSocket | undefined
  #fail: (err: Error) => void = () => {}
  #failure: Error | undefined
  #last: Pick<Picture, 'width' | 'height'> | undefined
  #capturing: Capturing | undefined
  #stderr = Buffer.alloc(0)

  private constructor (child: ChildProcess, clock: Clock) {
    this.#child = child
    this.#clock = clock
    this.failed = new Promise((resolve) => { this.#fail = resolve })
    child.stderr?.on('data', (bytes: Buffer) => { this.#stderr = Buffer.concat([this.#stderr, bytes]).subarray(-MAX_STDERR) })
    this.#gone = new Promise((resolve) => {
      child.on('error', (cause) => {
        this.#over(new DesktopError('ERR_DESKTOP_START', `the process that captures the screen cannot be started: ${cause.message}`, { cause }))
        if (child.pid === undefined) resolve()
      })
      child.once('exit', () => { resolve() })
      child.once('close', (code, signal) => { this.#over(this.#ended(signal ?? `code ${String(code)}`)) }) // all that it has written was read
    })
  }

  /**
   * Starts one, and waits until it has connected. Nothing is left behind when this fails.
   *
   * @throws {DesktopError}
   */
  static async start ({ program, rule, clock, signal }: WorkerProcessInit): Promise<WorkerProcess> {
    const token = randomBytes(TOKEN_BYTES).toString('hex')
    const listener = await listenForWorker(token)
    try {
      const args = [program, 'natpass', 'vnc.worker', `--name=${printable(rule, MAX_NAME)}`, `--port=${listener.port}`]
      const worker = new WorkerProcess(spawn(process.execPath, [...loaderOf(program), ...args], { env: { ...withoutSecrets(process.env), TUNPIPE_WORKER_TOKEN: token }, stdio: ['ignore', 'ignore', 'pipe'] }), clock)
      await worker.#connect(listener.connected, signal)
      return worker
    } finally {
      listener.close()
    }
  }

  /**
   * Asks for a picture. Not to be called again before it has settled.
   *
   * @returns undefined when nothing has changed since the last one
   * @throws {DesktopError}
   */
  capture (): Promise<Picture | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure)
      const timer = this.#clock.set(CAPTURE_TIMEOUT, () => { this.#over(new DesktopError('ERR_DESKTOP_TIMEOUT', `no picture of the screen in ${CAPTURE_TIMEOUT / 1000} seconds`)) })
      this.#capturing = { resolve, reject, timer }
      this.#socket?.send(CAPTURE_REQUEST)
    })
  }

  /** Returns a promise when the process is slow: it settles once it has taken all. */
  send (message: WorkerMessageInit): Promise<void> | undefined {
    const socket = this.#socket
    if (socket === undefined || this.#failure !== undefined) return undefined
    const sent = new Promise<void>((resolve) => { socket.send(encodeWorkerMessage(message), () => { resolve() }) })
    return socket.bufferedAmount < QUEUE ? undefined : sent
  }

  /** Ends it. Settles when the process is gone. */
  async close (reason: Error): Promise<void> {
    this.#over(reason)
    await this.#gone
  }

  /** @throws {DesktopError} when it does not; it is gone then */
  async #connect (connected: Promise<WebSocket>, signal: AbortSignal): Promise<void> {
    const timer = this.#clock.set(CONNECT_TIMEOUT, () => { this.#over(new DesktopError('ERR_DESKTOP_TIMEOUT', `the process that captures the screen has not connected in ${CONNECT_TIMEOUT / 1000} seconds`)) })
    const giveUp = (): void => { this.#over(signal.reason) }
    signal.addEventListener('abort', giveUp, { once: true })
    if (signal.aborted) giveUp()
    const socket = await Promise.race([connected, this.failed])
    this.#clock.clear(timer)
    signal.removeEventListener('abort', giveUp)
    if (socket instanceof Error) {
      await this.close(socket)
      throw socket
    }
    this.#serve(socket)
  }

  #serve (socket: WebSocket): void {
    this.#socket = socket
    socket.on('message', (data, isBinary) => { this.#take(data, isBinary) })
    socket.on('error', () => {}) // `close` follows
    socket.on('close', () => { this.#clock.set(KILL_AFTER, () => { this.#over(this.#ended('its connection')) }).unref() }) // the end of the process tells more
  }

  #take (data: RawData, isBinary: boolean): void {
    if (this.#failure !== undefined) return
    try {
      const message = isBinary ? decodeWorkerMessage(data as Buffer) : undefined
      if (message?._type === WorkerMessageType.captureData && this.#capturing !== undefined) this.#captured(message, this.#capturing)
      else if (message?._type === WorkerMessageType.clipboard && message.clipboard?._type === TEXT) this.onClipboard(message.clipboard.data ?? '')
      else throw new Error('a message that nobody has asked for')
    } catch (err) {
      this.#over(err instanceof DesktopError ? err : new DesktopError('ERR_DESKTOP_WORKER', 'the process that captures the screen has sent a message that makes no sense', { cause: err }))
    }
  }

  /** @throws {DesktopError} */
  #captured ({ data }: WorkerMessage, { resolve, timer }: Capturing): void {
    const picture = readCaptured(data ?? {} as NonNullable<typeof data>, this.#last)
    this.#last = picture === undefined ? this.#last : { width: picture.width, height: picture.height }
    this.#capturing = undefined
    this.#clock.clear(timer)
    resolve(picture)
  }

  #over (reason: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = reason
    const capturing = this.#capturing
    this.#capturing = undefined
    this.#clock.clear(capturing?.timer)
    capturing?.reject(reason)
    this.#fail(reason)
    this.#socket?.terminate() // which lets it release what is pressed
    this.#child.kill('SIGTERM')
    const timer = this.#clock.set(KILL_AFTER, () => { this.#child.kill('SIGKILL') })
    void this.#gone.then(() => { this.#clock.clear(timer) })
  }

  #ended (how: string): DesktopError {
    const complaint = printable(oneLine(this.#stderr.toString().trim()), MAX_COMPLAINT)
    return new DesktopError('ERR_DESKTOP_WORKER', `the process that captures the screen has ended: ${how}${complaint === '' ? '' : `, ${complaint}`}`)
  }
}

const CAPTURE_REQUEST = Buffer.alloc(0)

/** Sources need what this process has loaded them by. */
const loaderOf = (program: string): string[] => program.endsWith('.ts') ? process.execArgv : []

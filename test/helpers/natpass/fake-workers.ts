/** Processes that a peer takes for those that capture the screen. */
import { EventEmitter, once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { WebSocketServer, type WebSocket } from 'ws'
import { decodeWorkerMessage, encodeWorkerMessage, WorkerMessageType, type WorkerMessage, type WorkerMessageInit } from '../../../src/nodes/natpass/peer/desktop/worker/worker-messages.ts'

/** What a peer starts in place of its own program. */
export const FAKE_PROGRAM = fileURLToPath(new URL('fake-worker.js', import.meta.url))

export interface Image {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/** A picture of one colour. */
export const plain = (width: number, height: number, value = 0): Image => ({ width, height, data: Buffer.alloc(width * height * 4, value) })

export const isPicture = ({ _type }: WorkerMessage): boolean => _type === WorkerMessageType.captureReq

export const isKind = (name: keyof typeof WorkerMessageType) => ({ _type }: WorkerMessage): boolean => _type === WorkerMessageType[name]

interface Started {
  readonly pid: number
  readonly port: number
  readonly args: readonly string[]
  readonly variables: readonly string[]
  readonly token: string
}

export class FakeWorker {
  readonly started: Started
  readonly inbox: WorkerMessage[] = []
  /** Requests for a picture so far. */
  captures = 0
  /** Names of what has happened to it. */
  readonly events: string[] = []
  readonly #socket: WebSocket
  readonly #news = new EventEmitter()
  #answers: (() => WorkerMessageInit) | undefined

  constructor (socket: WebSocket, started: Started) {
    this.#socket = socket
    this.started = started
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#take(decodeWorkerMessage(data))
      else this.events.push((JSON.parse(data.toString()) as { event: string }).event)
      this.#news.emit('news')
    })
  }

  /** Connects to the peer, as far as that lets it. @param authorization null: none. Default: by its token */
  async connect (authorization: string | null = `Bearer ${this.started.token}`): Promise<string> {
    this.#act('connect', { authorization })
    return await this.happens('open', 'refused')
  }

  /** Waits for the first of some events, and takes it. */
  async happens (...names: string[]): Promise<string> {
    for (;;) {
      const at = this.events.findIndex((event) => names.includes(event))
      if (at >= 0) return this.events.splice(at, 1)[0]
      await once(this.#news, 'news')
    }
  }

  /** Takes the next message of the peer that fits. */
  async next (fits: (message: WorkerMessage) => boolean = isPicture): Promise<WorkerMessage> {
    for (;;) {
      const at = this.inbox.findIndex(fits)
      if (at >= 0) return this.inbox.splice(at, 1)[0]
      await once(this.#news, 'news')
    }
  }

  send (message: WorkerMessageInit | Uint8Array): void { this.#socket.send(message instanceof Uint8Array ? message : encodeWorkerMessage(message)) }

  answer (data: WorkerMessageInit['data']): void { this.send({ _type: WorkerMessageType.captureData, data: { ok: true, bits: 32, ...data } }) }

  /** From now on each request for a picture is answered with this. */
  shows (image: () => Image): void {
    this.#answers = () => ({ _type: WorkerMessageType.captureData, data: { ok: true, bits: 32, ...image() } })
    while (this.inbox.some(isPicture)) {
      this.inbox.splice(this.inbox.findIndex(isPicture), 1)
      this.send(this.#answers())
    }
  }

  text (text: string): void { this.#act('text', { text }) }

  exit (code: number, complaint = ''): void { this.#act('exit', { code, complaint }) }

  /** Goes on when it is told to end. */
  async stay (): Promise<void> {
    this.#act('stay')
    await this.happens('stays')
  }

  /** Reads nothing more of the peer. */
  deaf (): void { this.#act('deaf') }

  #act (act: string, more: object = {}): void { this.#socket.send(JSON.stringify({ act, ...more })) }

  #take (message: WorkerMessage): void {
    if (isPicture(message)) {
      this.captures++
      if (this.#answers !== undefined) return this.send(this.#answers())
    }
    this.inbox.push(message)
  }
}

export class FakeWorkers {
  /** The rule that those of this test have to be started for. */
  readonly rule: string
  readonly #started: FakeWorker[] = []
  readonly #news = new EventEmitter()

  constructor (server: WebSocketServer) {
    this.rule = String((server.address() as AddressInfo).port)
    server.on('connection', (socket) => {
      socket.once('message', (data: Buffer) => {
        this.#started.push(new FakeWorker(socket, JSON.parse(data.toString()) as Started))
        this.#news.emit('started')
      })
    })
  }

  static async listen (t: Test): Promise<FakeWorkers> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
    t.teardown(() => {
      for (const client of server.clients) client.terminate()
      server.close()
    })
    await once(server, 'listening')
    return new FakeWorkers(server)
  }

  /** The next one that was started. */
  async next (): Promise<FakeWorker> {
    while (this.#started.length === 0) await once(this.#news, 'started')
    return this.#started.shift() as FakeWorker
  }

  /** The next one, connected, that always shows a picture. */
  async showing (image: () => Image): Promise<FakeWorker> {
    const worker = await this.next()
    worker.shows(image)
    await worker.connect()
    return worker
  }
}

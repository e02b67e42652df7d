/** What starts a worker, as its process sees it: a server that asks for pictures. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { WebSocketServer, type WebSocket } from 'ws'
import { runWorker } from '../../../src/nodes/natpass/peer/desktop/worker/worker.ts'
import { Status, TEXT } from '../../../src/nodes/natpass/protocol/desktop.ts'
import { decodeWorkerMessage, encodeWorkerMessage, WorkerMessageType, type WorkerMessage, type WorkerMessageInit } from '../../../src/nodes/natpass/peer/desktop/worker/worker-messages.ts'
import type { Clock } from '../../../src/types.ts'

export interface WorkerImage {
  readonly ok: boolean
  readonly msg: string
  readonly bits: number
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

export class WorkerServer {
  readonly #server: WebSocketServer
  readonly #messages: WorkerMessage[] = []
  #socket: WebSocket | undefined
  #wake = (): void => {}
  authorization: string | undefined

  constructor (server: WebSocketServer) {
    this.#server = server
    server.on('connection', (socket: WebSocket, request: IncomingMessage) => {
      this.#socket = socket
      this.authorization = request.headers.authorization
      socket.on('message', (data: Buffer) => {
        this.#messages.push(decodeWorkerMessage(data))
        this.#wake()
      })
    })
  }

  get port (): number { return (this.#server.address() as AddressInfo).port }

  /** Waits for the worker. */
  async connected (): Promise<WebSocket> {
    if (this.#socket === undefined) await once(this.#server, 'connection')
    return this.#socket as WebSocket
  }

  send (message: WorkerMessageInit): void { this.#socket?.send(encodeWorkerMessage(message)) }

  async next (): Promise<WorkerMessage> {
    while (this.#messages.length === 0) await new Promise<void>((resolve) => { this.#wake = resolve })
    return this.#messages.shift() as WorkerMessage
  }

  press (key: string): void { this.send({ _type: WorkerMessageType.keyboard, keyboard: { type: Status.down, key } }) }
  release (key: string): void { this.send({ _type: WorkerMessageType.keyboard, keyboard: { type: Status.up, key } }) }

  type (...keys: string[]): void {
    for (const key of keys) {
      this.press(key)
      this.release(key)
    }
  }

  move (x: number, y: number): void { this.send({ _type: WorkerMessageType.mouse, mouse: { x, y } }) }

  async readClipboard (): Promise<string> {
    this.send({ _type: WorkerMessageType.clipboard, clipboard: { set: false, _type: TEXT, data: '' } })
    return (await this.next()).clipboard?.data as string
  }

  /** Asks for one picture. */
  async capture (): Promise<WorkerImage> {
    this.#socket?.send(Buffer.alloc(0))
    return (await this.next()).data as WorkerImage
  }

  /** Asks until a picture is as wanted; one without pixels is the one before. */
  async captureUntil (isWanted: (image: WorkerImage) => boolean): Promise<WorkerImage> {
    for (;;) {
      const image = await this.capture()
      if (!image.ok) throw new Error(image.msg)
      if (image.data.length > 0 && isWanted(image)) return image
    }
  }
}

export async function startWorkerServer (t: Test): Promise<WorkerServer> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  t.teardown(() => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  await once(server, 'listening')
  return new WorkerServer(server)
}

export const TOKEN = 'the token'

/** A worker of this process, for the X server with this number, that is ready. It ends with the test, or by `stop`; `over` tells when. */
export async function startWorker (t: Test, env: Readonly<Record<string, string>>, clock?: Clock): Promise<{ server: WorkerServer, stop: () => Promise<void>, over: Promise<void> }> {
  const server = await startWorkerServer(t)
  const stopped = new AbortController()
  const over = runWorker({ port: server.port, token: TOKEN, environment: env, signal: stopped.signal, clock })
  const stop = async (): Promise<void> => {
    stopped.abort()
    await over
  }
  t.teardown(stop)
  await server.connected()
  return { server, stop, over }
}

/** Red, green, blue and alpha of a pixel. */
export const pixelOf = ({ data, width }: WorkerImage, x: number, y: number): number[] => [...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 4)]

/** A relay with several workers, and clients of which a test knows by which worker each is served. */
import type { Worker } from 'node:worker_threads'
import type { Test } from 'tap'
import { encodeAuth } from '../../../src/nodes/candy/protocol/handshake.ts'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { serveCandy, type CandyServer, type CandyServerInit } from '../../../src/nodes/candy/index.ts'
import type { CandyNetworkStats } from '../../../src/nodes/candy/relay/stats.ts'
import type { WorkerEvent } from '../../../src/nodes/candy/relay/workers/messages.ts'
import type { WebSocketLink } from '../../../src/transforms/websocket-frames/index.ts'
import { dialWebSocket, type DialWebSocketInit } from '../../../src/transports/websocket.ts'
import { addr, CandyClient, forward, PASSWORD, seconds, secret } from './client.ts'
import { until } from '../ends.ts'

/** Where the payload of the packet in a FORWARD begins. */
const PAYLOAD_AT = 21

/** A FORWARD that can be told from others of its sender. */
export function numbered (source: string, destination: string, number: number, size = 8): Uint8Array {
  const message = forward(source, destination, size)
  new DataView(message.buffer, message.byteOffset).setUint32(PAYLOAD_AT, number)
  return message
}

export const numberOf = (message: Uint8Array): number => new DataView(message.buffer, message.byteOffset).getUint32(PAYLOAD_AT)

/** The last part of the address of whoever has sent a FORWARD. */
export const senderOf = (message: Uint8Array): number => message[16]

export interface Located {
  client: CandyClient
  address: string
  /** Index of the worker that has the connection. */
  worker: number
}

export class Crew {
  readonly server: CandyServer
  readonly workers: readonly Worker[]
  readonly #t: Test
  readonly #opened: number[]

  constructor (t: Test, server: CandyServer, workers: readonly Worker[], opened: number[]) {
    this.#t = t
    this.server = server
    this.workers = workers
    this.#opened = opened
  }

  /** What one of its networks has counted. */
  stats (path = ''): CandyNetworkStats {
    for (const { settings, stats } of this.server.relay.networks) if ((settings.path ?? '') === path) return stats
    throw new Error(`no network ${path}`)
  }

  /** A bare client over a real socket. */
  async connect (path = '', init: DialWebSocketInit = {}, password = PASSWORD): Promise<CandyClient> {
    const link = await dialWebSocket(`${this.server.url}${path}`, init)
    this.#t.teardown(() => { link.abort(new Error('the test is over')) })
    return new CandyClient(link, new Secret(password))
  }

  /** One that has an address. Not for calls at the same time. */
  async join (address: string, path = ''): Promise<Located> {
    const before = this.#opened.length
    const client = await this.connect(path)
    await client.login(address)
    return { client, address, worker: this.#opened[before] ?? 0 }
  }

  /** A member that reads nothing until it is made a client. */
  async deaf (address: string, path = ''): Promise<{ link: WebSocketLink, worker: number, address: string }> {
    const [before, { peers }] = [this.#opened.length, this.stats(path)]
    const link = await dialWebSocket(`${this.server.url}${path}`)
    this.#t.teardown(() => { link.abort(new Error('the test is over')) })
    link.port.send([encodeAuth({ secret, address: addr(address), timestamp: seconds() })])
    await until(() => this.stats(path).peers > peers)
    return { link, worker: this.#opened[before], address }
  }

  /** Members of `10.77.0.0/24` until each worker has so many; in order of their addresses. */
  async populate (each: number, path = ''): Promise<Located[]> {
    const members: Located[] = []
    const count = (worker: number): number => members.filter((member) => member.worker === worker).length
    for (let i = 1; this.workers.some((_worker, index) => count(index) < each); i++) members.push(await this.join(`10.77.0.${i}`, path))
    return members
  }

  /** Two members that different workers have, and one more that the first one's worker has. */
  async spread (path = ''): Promise<[here: Located, there: Located, beside: Located]> {
    const members = await this.populate(2, path)
    const here = members[0]
    const there = members.find(({ worker }) => worker !== here.worker) as Located
    const beside = members.find((member) => member !== here && member.worker === here.worker) as Located
    return [here, there, beside]
  }
}

/** Takes a network of 10.77.0.0/24 unless it is told otherwise. */
export async function serve (t: Test, init: Partial<CandyServerInit> = {}): Promise<Crew> {
  const workers: Worker[] = []
  const opened: number[] = []
  const meet = (worker: Worker): void => {
    workers.push(worker)
    worker.on('message', (event: WorkerEvent) => { if (event.type === 'open') opened.push(event.id % workers.length) })
  }
  process.on('worker', meet)
  const network = 'networks' in init ? {} : { password: PASSWORD, dhcp: '10.77.0.0/24' }
  const server = await serveCandy({ listen: 'ws://127.0.0.1:0', workers: 2, ...network, ...init } as CandyServerInit).finally(() => { process.off('worker', meet) })
  t.teardown(() => server.close())
  return new Crew(t, server, workers, opened)
}

/** Takes so many messages. */
export async function take (client: CandyClient, count: number): Promise<Uint8Array[]> {
  const messages: Uint8Array[] = []
  while (messages.length < count) messages.push(await client.next())
  return messages
}

/** What has come for a member from another one, up to a message that this one sends now. */
export async function heard (from: Located, to: Located): Promise<Uint8Array[]> {
  const last = 0xffff_ffff
  from.client.send(numbered(from.address, to.address, last))
  const messages: Uint8Array[] = []
  for (;;) {
    const message = await to.client.next()
    if (message.length > PAYLOAD_AT + 4 && numberOf(message) === last) return messages
    messages.push(message)
  }
}

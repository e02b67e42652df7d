/** A bare candy client for tests of the relay: it sends what it is told and keeps what comes. */
import { once, EventEmitter } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { encodeAuth, encodeDhcp, encodeVmac, decodeDhcp } from '../../../src/nodes/candy/protocol/handshake.ts'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { wrapForward } from '../../../src/nodes/candy/protocol/forward.ts'
import type { CandyRelay } from '../../../src/nodes/candy/relay/relay.ts'
import { RELAY_FRAMES } from '../../../src/nodes/candy/relay/settings.ts'
import { websocketFrames, type WebSocketClosedError, type WebSocketLink } from '../../../src/transforms/websocket-frames/index.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import { formatCidr, parseAddress, parseCidr, writeHeader } from '../../../src/net/ipv4.ts'
import type { Link } from '../../../src/types.ts'
import { toHex } from '../bytes.ts'

export const PASSWORD = 'this is the password'
export const secret = new Secret(PASSWORD)
export const seconds = (): number => Math.floor(Date.now() / 1000)

export const addr = (text: string): number => {
  const address = parseAddress(text)
  if (address === undefined) throw new Error(`not an address: ${text}`)
  return address
}

/** An IPv4 packet with that many bytes of payload. */
export function packet (source: string, destination: string, size = 8): Uint8Array {
  const bytes = new Uint8Array(20 + size).fill(0x61)
  writeHeader(bytes, { protocol: 17, source: addr(source), destination: addr(destination), totalLength: bytes.length })
  return bytes
}

export const forward = (source: string, destination: string, size = 8): Uint8Array => wrapForward(packet(source, destination, size))

/** What each client has got, as hex, once everything that was sent has been handled. */
export async function received (sender: CandyClient, ...clients: CandyClient[]): Promise<string[][]> {
  await sender.settled()
  return await Promise.all(clients.map(async (client) => {
    await client.settled()
    return client.inbox.splice(0).map(toHex)
  }))
}

export interface Closed {
  code: number
  reason: string
}

export class CandyClient {
  readonly link: WebSocketLink
  readonly inbox: Uint8Array[] = []
  readonly closed: Promise<Closed>
  readonly #events = new EventEmitter()
  readonly #secret: Secret

  constructor (link: WebSocketLink, known = secret) {
    this.link = link
    this.#secret = known
    link.onPong = () => { this.#events.emit('pong') }
    this.closed = this.#read()
  }

  async #read (): Promise<Closed> {
    try {
      for await (const batch of this.link.source) {
        for (const message of batch) this.inbox.push(Uint8Array.from(message))
        this.#events.emit('message')
      }
      return { code: 1000, reason: '' }
    } catch (err) {
      const { closeCode = 1006, reason = (err as Error).message } = err as WebSocketClosedError
      return { code: closeCode, reason }
    } finally {
      this.#events.emit('pong')
      this.#events.emit('message')
    }
  }

  send (...messages: Uint8Array[]): void { this.link.port.send(messages) }

  /** Everything sent so far was handled by the relay, and everything that it has written to this client has come. */
  async settled (): Promise<this> {
    const pong = once(this.#events, 'pong')
    if (this.link.ping()) await pong
    await turn() // messages of the same read are handed over after its pongs
    return this
  }

  /** The next message; they are taken in order. */
  async next (): Promise<Uint8Array> {
    while (this.inbox.length === 0) await once(this.#events, 'message')
    return this.inbox.shift() as Uint8Array
  }

  vmac (vmac: string): void { this.send(encodeVmac({ secret: this.#secret, vmac, timestamp: seconds() })) }

  async login (address: string): Promise<this> {
    this.send(encodeAuth({ secret: this.#secret, address: addr(address), timestamp: seconds() }))
    return await this.settled()
  }

  /** Asks for an address; undefined when refused. */
  async dhcp (wanted = '0.0.0.0/0'): Promise<string | undefined> {
    const cidr = parseCidr(wanted)
    if (cidr === undefined) throw new Error(wanted)
    this.send(encodeDhcp({ secret: this.#secret, cidr, timestamp: seconds() }))
    await this.settled()
    const reply = this.inbox.shift()
    return reply && formatCidr(decodeDhcp(reply).cidr)
  }

  /** As a real client with a dynamic address does it. */
  async join (vmac: string, wanted?: string): Promise<string | undefined> {
    this.vmac(vmac)
    const given = await this.dhcp(wanted)
    if (given !== undefined) await this.login(given.split('/')[0])
    return given
  }
}

/** A connection to a relay inside this process: also the client's end of the bytes below the frames, and the relay's end of the frames. */
export interface Connected extends CandyClient {
  served: Promise<void>
  lower: Link
  server: WebSocketLink
}

export interface ConnectInit {
  /** Where it comes from. */
  host?: string
  path?: string
  /** The secret that it knows. */
  secret?: Secret
}

export function connect (relay: CandyRelay, { host = '192.0.2.1', path, secret: known }: ConnectInit = {}): Connected {
  const [here, there] = memoryPair()
  const server = websocketFrames({ ...RELAY_FRAMES, role: 'server' })(there)
  const served = relay.accept(Object.assign(server, { remote: { host, port: 1 }, path }))
  const client = new CandyClient(websocketFrames({ role: 'client' })(here), known)
  return Object.assign(client, { served, server, lower: here })
}

/**
 * A member of a candy network inside of a network namespace, which says what the test at the other end of the IPC channel tells it, over
 * WebSocket and UDP. It has no states of its own. Started by `Agent` of traffic.ts.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { encodeAuth, encodeVmac } from '../../../src/nodes/candy/protocol/handshake.ts'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { dialWebSocket, type WebSocketWireLink } from '../../../src/transports/websocket.ts'
import { hex, toHex } from '../bytes.ts'
import { serve } from '../network/serve.ts'
import { echoReply, echoRequest, Kind, keyOf, open, seal } from './direct.ts'
import { address as numberOf } from './vectors.ts'

/** Things in the order in which they came, for readers that look for a certain one. */
class Inbox<T> {
  #waiting: T[] = []
  #wake: () => void = () => {}

  put (thing: T): void {
    this.#waiting.push(thing)
    this.#wake()
  }

  /** Takes the first that fits; waits so many milliseconds for it. */
  async take (fits: (thing: T) => boolean, patience: number): Promise<T | undefined> {
    const over = AbortSignal.timeout(patience)
    const end = once(over, 'abort')
    for (;;) {
      const at = this.#waiting.findIndex(fits)
      if (at >= 0) return this.#waiting.splice(at, 1)[0]
      if (over.aborted) return undefined
      await Promise.race([end, new Promise<void>((resolve) => { this.#wake = resolve })])
    }
  }

  takeAll (): T[] { return this.#waiting.splice(0) }
}

export interface JoinInit {
  url: string
  password: string
  /** Its virtual address. */
  address: string
  vmac: string
}

export interface Endpoint {
  host: string
  port: number
}

export interface Heard extends Endpoint {
  /** Opened, as hex. */
  plaintext: string
}

const messages = new Inbox<string>()
const datagrams = new Inbox<Heard>()
const stunResponses = new Inbox<Buffer>()
const socket = createSocket('udp4')
let server: WebSocketWireLink | undefined
let own: JoinInit | undefined
let beating: NodeJS.Timeout | undefined
let answersPings = false

/** Set by the first two bits of a datagram and the magic cookie. */
const isStun = (datagram: Buffer): boolean => datagram.length >= 20 && datagram[0] < 0x40 && datagram.readUInt32BE(4) === 0x2112a442

const send = (receiver: string, plaintext: Uint8Array, { host, port }: Endpoint): void => {
  socket.send(seal(keyOf(own?.password ?? '', receiver), plaintext), port, host)
}

socket.on('message', (datagram, { address: host, port }) => {
  if (isStun(datagram)) {
    stunResponses.put(datagram)
    return
  }
  const plaintext = own && open(keyOf(own.password, own.address), datagram)
  if (plaintext === undefined) return
  const reply = answersPings ? echoReply(plaintext) : undefined
  if (reply !== undefined) send(reply.subarray(17, 21).join('.'), reply, { host, port })
  else datagrams.put({ plaintext: toHex(plaintext), host, port })
})

async function read (link: WebSocketWireLink): Promise<void> {
  try {
    for await (const batch of link.source) for (const message of batch) messages.put(toHex(message))
  } catch {} // whoever waits for a message will miss it
}

const commands = {
  /** Enters the network, and waits until the server sends to it. */
  async join (init: JoinInit): Promise<void> {
    own = init
    const secret = new Secret(init.password)
    const timestamp = Math.floor(Date.now() / 1000)
    server = await dialWebSocket(init.url, { frames: { tolerate: { longControl: true, rawClose: true } } })
    void read(server)
    const toItself = echoRequest(init.address, init.address)
    server.port.send([encodeVmac({ secret, vmac: init.vmac, timestamp }), encodeAuth({ secret, address: numberOf(init.address), timestamp }), toItself])
    if (await messages.take((message) => message === toHex(toItself), 5000) === undefined) throw new Error('the server has not let it in')
  },

  /** Sends a message to the server. */
  async say (message: string): Promise<void> { server?.port.send([hex(message)]) },

  /** The next message of this type; undefined when none comes within so many milliseconds. */
  async hear (type: number, patience: number): Promise<string | undefined> { return await messages.take((message) => hex(message)[0] === type, patience) },

  /** All that have come and were not taken. */
  async heardSoFar (): Promise<string[]> { return messages.takeAll() },

  async bind (host: string): Promise<number> {
    socket.bind(0, host)
    await once(socket, 'listening')
    return socket.address().port
  },

  /** Its endpoint as a STUN server sees it. */
  async endpoint ({ host, port }: Endpoint): Promise<Endpoint> {
    socket.send(hex('00010000 2112a442 000102030405060708090a0b'), port, host)
    const response = await stunResponses.take(() => true, 5000)
    if (response?.readUInt16BE(20) !== 0x0020) throw new Error('no mapped address')
    const mapped = Buffer.alloc(4)
    mapped.writeUInt32BE((response.readUInt32BE(28) ^ 0x2112a442) >>> 0)
    return { host: mapped.join('.'), port: response.readUInt16BE(26) ^ 0x2112 }
  },

  /** Seals and sends a datagram. */
  async tell (receiver: string, plaintext: string, to: Endpoint): Promise<void> { send(receiver, hex(plaintext), to) },

  /** The next datagram of this kind. */
  async told (kind: number, patience: number): Promise<Heard | undefined> { return await datagrams.take(({ plaintext }) => hex(plaintext)[0] === kind, patience) },

  /** Sends this now and then once a second, instead of what it has repeated so far; nothing more without one. */
  async repeat (receiver?: string, plaintext = '', to: Endpoint = { host: '', port: 0 }): Promise<void> {
    clearInterval(beating)
    if (receiver === undefined) return
    const beat = (): void => { send(receiver, hex(plaintext), to) }
    beat()
    beating = setInterval(beat, 1000)
  },

  /** From now on it answers pings that come over UDP. */
  async answerPings (): Promise<void> { answersPings = true }
}

export type MemberCommands = typeof commands
export { Kind }

serve(commands)

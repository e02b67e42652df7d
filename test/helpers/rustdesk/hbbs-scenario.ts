/**
 * Says the same to the real hbbs and to our server, one after the other on the same addresses of this network namespace, and prints what each
 * has answered. Run in a namespace of its own: `unshare -n node hbbs-scenario.ts`, with HBBS_BIN.
 */
import { execFileSync, spawn } from 'node:child_process'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { MemoryStore } from './rendezvous.ts'
import { newHome } from '../programs/homes.ts'
import { loadNacl, type KeyPair } from '../../../src/crypto/nacl/index.ts'
import { PeerSigner, serverKey } from '../../../src/nodes/rustdesk/keys/index.ts'
import { mangleAddress, unmangleAddress } from '../../../src/nodes/rustdesk/protocol/mangled-address.ts'
import { rendezvous, type RendezvousInit } from '../../../src/nodes/rustdesk/protocol/messages.ts'
import { serveRendezvous } from '../../../src/nodes/rustdesk/rendezvous/server.ts'
import { rustdeskLength } from '../../../src/transforms/length-codecs.ts'
import { LengthPrefixDecoder, LengthPrefixEncoder } from '../../../src/transforms/length-prefix.ts'

const SERVER = '10.9.0.1'
const PORT = 21_116

/** One key of both, so that they sign the same bytes. */
const { privateKey } = generateKeyPairSync('ed25519')
const { d = '', x = '' } = privateKey.export({ format: 'jwk' })
const SECRET_KEY = Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]).toString('base64')
const KEY = Buffer.from(x, 'base64url').toString('base64')

/** Milliseconds after which no answer comes. */
const PATIENCE = 250

const host = (n: number): string => `10.9.0.${n}`

const framed = (bytes: Uint8Array): Uint8Array => new LengthPrefixEncoder(rustdeskLength).push([bytes])[0]

/** A message without what differs from run to run: ports, and the form of addresses. */
function shown (bytes: Uint8Array, ports: Readonly<Record<number, string>> = {}): unknown {
  const { union, ...message } = rendezvous.decode(bytes)
  const clean = (key: string, value: unknown): unknown => {
    if (value instanceof Uint8Array) {
      if (key === 'socket_addr' && value.length > 0) {
        const { host, port } = unmangleAddress(value)
        return `${host}:${ports[port] ?? port}`
      }
      return Buffer.from(value).toString('hex')
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return Object.fromEntries(Object.entries(value).map(([key, value]) => [key, clean(key, value)]))
    return value
  }
  return clean('', message)
}

class Udp {
  readonly socket: UdpSocket = createSocket('udp4')
  readonly host: string
  heard: Buffer[] = []
  #wake: () => void = () => {}

  constructor (host: string) {
    this.host = host
    this.socket.on('message', (data) => {
      this.heard.push(data)
      this.#wake()
    })
  }

  static async bind (address: string, port = 0): Promise<Udp> {
    const udp = new Udp(address)
    udp.socket.bind(port, address)
    await once(udp.socket, 'listening')
    return udp
  }

  /** Sends bytes; the answer in hex, `none` without one. */
  async ask (bytes: Uint8Array): Promise<string> {
    this.socket.send(bytes, PORT, SERVER)
    return (await this.next())?.toString('hex') ?? 'none'
  }

  async next (): Promise<Buffer | undefined> {
    if (this.heard.length === 0) await Promise.race([wait(PATIENCE), new Promise<void>((resolve) => { this.#wake = resolve })])
    return this.heard.shift()
  }
}

class Tcp {
  readonly socket: Socket
  readonly #decoder = new LengthPrefixDecoder(rustdeskLength)
  readonly heard: Uint8Array[] = []
  readonly port: number
  isClosed = false

  constructor (socket: Socket) {
    this.socket = socket
    this.port = socket.localPort ?? 0
    socket.on('error', () => {})
    socket.on('data', (data) => { this.heard.push(...this.#decoder.push([data])) })
    socket.on('close', () => { this.isClosed = true })
  }

  static async dial (from: string, port = PORT): Promise<Tcp> {
    const socket = connect({ host: SERVER, port, localAddress: from, noDelay: true })
    await once(socket, 'connect')
    return new Tcp(socket)
  }

  send (message: RendezvousInit | Uint8Array): void { this.socket.write(framed(message instanceof Uint8Array ? message : rendezvous.encode(message))) }

  /** What has come within the patience, and whether the server has closed. */
  async state (ports: Readonly<Record<number, string>> = {}): Promise<unknown> {
    for (let waited = 0; waited < PATIENCE && !this.isClosed; waited += 10) await wait(10)
    return { messages: this.heard.splice(0).map((bytes) => shown(bytes, ports)), isClosed: this.isClosed }
  }
}

const registerPk = (id: string, uuid = 'machine', pk = 7): Uint8Array => rendezvous.encode({ register_pk: { id, uuid: Buffer.from(uuid), pk: Buffer.alloc(uuid === '' ? 0 : 32, pk) } })
const registerPeer = (id: string): Uint8Array => rendezvous.encode({ register_peer: { id, serial: 3 } })

/** All that is said; the answers by name. */
async function talk (): Promise<Record<string, unknown>> {
  const seen: Record<string, unknown> = {}
  const sockets: Udp[] = []
  const udp = async (n: number): Promise<Udp> => {
    const socket = await Udp.bind(host(n))
    sockets.push(socket)
    return socket
  }
  const b = await udp(2)
  seen['register_peer of nobody'] = await b.ask(registerPeer('123456789'))
  seen['register_pk'] = await b.ask(registerPk('123456789'))
  seen['register_peer'] = await b.ask(registerPeer('123456789'))
  const rebound = await udp(2)
  seen['register_peer from another port'] = await rebound.ask(registerPeer('123456789'))
  const elsewhere = await udp(3)
  seen['register_peer from another address'] = await elsewhere.ask(registerPeer('123456789'))
  seen['register_pk without a uuid'] = await elsewhere.ask(registerPk('123456789', ''))
  seen['register_pk of a short id'] = await elsewhere.ask(registerPk('12345'))
  seen['register_pk of another machine'] = await elsewhere.ask(registerPk('123456789', 'another'))
  seen['register_pk with another key and address'] = await elsewhere.ask(registerPk('123456789', 'machine', 8))
  seen['register_pk with another address'] = await elsewhere.ask(registerPk('123456789'))
  seen['register_peer from there'] = await elsewhere.ask(registerPeer('123456789'))
  seen['register_peer from the old one'] = await rebound.ask(registerPeer('123456789'))
  seen['register_pk with another key'] = await elsewhere.ask(registerPk('123456789', 'machine', 8))
  seen['register_pk, the fourth'] = await elsewhere.ask(registerPk('123456789', 'machine', 8))
  const flooder = await udp(4)
  const results: string[] = []
  for (let i = 0; i < 34; i++) results.push(await flooder.ask(registerPk(`flooder-${i}`)))
  seen['34 ids of one address'] = results.join()
  const junk: string[] = []
  for (const hex of ['', 'ff', '00', '3205', '32030a01ff', '3a00', 'fa0700', '420a0a06313233343536', '0b0c', '0b']) junk.push(await flooder.ask(Buffer.from(hex, 'hex')))
  seen['datagrams without an answer'] = junk.join()
  seen['punch_hole_request by UDP'] = await flooder.ask(rendezvous.encode({ punch_hole_request: { id: '123456789', licence_key: KEY } }))
  seen['test_nat_request by UDP'] = await flooder.ask(rendezvous.encode({ test_nat_request: {} }))

  for (const [name, message] of Object.entries({
    'a wrong key': { punch_hole_request: { id: '123456789', licence_key: 'wrong' } },
    'an id that nobody has': { punch_hole_request: { id: 'nobody-1', licence_key: KEY } },
    'register_pk by TCP': { register_pk: { id: '123456789', uuid: Buffer.from('machine'), pk: Buffer.alloc(32, 7) } },
    'online_request on P': { online_request: { id: 'me', peers: ['123456789'] } },
    key_exchange: { key_exchange: { keys: [Buffer.alloc(32)] } },
    hc: { hc: { token: 'x' } },
    'register_peer by TCP': { register_peer: { id: '123456789' } },
    'an empty message': Buffer.alloc(0),
    'an unknown member': Buffer.from('fa0700', 'hex'),
    garbage: Buffer.from('ffffff', 'hex')
  })) {
    const tcp = await Tcp.dial(host(5))
    tcp.send(message)
    seen[name] = await tcp.state()
    tcp.socket.destroy()
  }
  for (const port of [PORT, PORT - 1]) {
    const tcp = await Tcp.dial(host(5), port)
    tcp.send({ test_nat_request: { serial: 0 } })
    const { messages: [message], isClosed } = await tcp.state() as { messages: Array<{ test_nat_response: { port: number } }>, isClosed: boolean }
    seen[`test_nat_request on ${port}`] = { isOwn: message.test_nat_response.port === tcp.port, isClosed }
  }
  const online = await Tcp.dial(host(5), PORT - 1)
  online.send({ online_request: { id: 'me', peers: ['nobody', '123456789', ...Array.from({ length: 8 }, (_, i) => `flooder-${i}`)] } })
  seen['online_request'] = await online.state()

  for (const [name, from] of [['punch', 6], ['punch behind one address', 3]] as const) {
    const a = await Tcp.dial(host(from))
    a.send({ punch_hole_request: { id: '123456789', nat_type: 1, licence_key: KEY, token: 'token', udp_port: 9, force_relay: true, version: '1.4.9' } })
    const push = await elsewhere.next()
    seen[`${name}: the peer is sent`] = push === undefined ? 'none' : shown(push, { [a.port]: 'A' })
    seen[`${name}: the client`] = await a.state()
    const { punch_hole: hole, fetch_local_addr: fetch } = rendezvous.decode(push ?? Buffer.alloc(0))
    const back = await Tcp.dial(host(3))
    back.send(fetch == null
      ? { punch_hole_sent: { socket_addr: hole?.socket_addr, id: '123456789', relay_server: 'relay.example', nat_type: 2, version: '1.4.9' } }
      : { local_addr: { socket_addr: mangleAddress({ host: host(from), port: a.port }, 7), local_addr: Buffer.from('local'), id: '123456789', relay_server: 'relay.example', version: '1.4.9' } })
    seen[`${name}: the peer`] = await back.state()
    seen[`${name}: the client gets`] = await a.state({ [back.port]: 'B' })
    a.send({ punch_hole_request: { id: 'nobody-1', licence_key: KEY } })
    seen[`${name}: the client asks again`] = await a.state()
    a.socket.destroy()
  }
  for (const [name, id] of [['relay', ''], ['relay with an id', '123456789']] as const) {
    const a = await Tcp.dial(host(6))
    a.send({ request_relay: { id: '123456789', uuid: 'a-uuid', relay_server: 'relay.example', secure: true, token: 'token', licence_key: KEY } })
    const push = await elsewhere.next()
    seen[`${name}: the peer is sent`] = push === undefined ? 'none' : shown(push, { [a.port]: 'A' })
    const back = await Tcp.dial(host(3))
    back.send({ relay_response: { socket_addr: rendezvous.decode(push ?? Buffer.alloc(0)).request_relay?.socket_addr, uuid: 'a-uuid', relay_server: 'relay.example', version: '1.4.9', ...(id === '' ? {} : { id }) } })
    seen[`${name}: the peer`] = await back.state()
    seen[`${name}: the client gets`] = await a.state()
    a.socket.destroy()
  }
  const forgedFor = await Tcp.dial(host(6))
  forgedFor.send({ punch_hole_request: { id: '123456789', licence_key: KEY } })
  await elsewhere.next()
  const forger = await Tcp.dial(host(7))
  forger.send({ punch_hole_sent: { socket_addr: mangleAddress({ host: host(6), port: forgedFor.port }, 7), id: '123456789' } })
  seen['a forged answer: the forger'] = await forger.state()
  seen['a forged answer: the client gets'] = await forgedFor.state({ [forger.port]: 'B' })
  const nowhere = await Tcp.dial(host(6))
  nowhere.send({ request_relay: { id: 'nobody-1', uuid: 'a-uuid' } })
  seen['a relay to nobody'] = await nowhere.state()
  for (const { socket } of sockets) socket.close()
  return seen
}

async function hbbs (): Promise<Record<string, unknown>> {
  const home = newHome()
  const child = spawn(String(process.env.HBBS_BIN), ['-p', String(PORT), '-k', SECRET_KEY], { cwd: home, env: { PATH: process.env.PATH, HOME: home, TEST_HBBS: 'no', DB_URL: join(home, 'db.sqlite3') }, stdio: 'ignore' })
  try {
    for (let i = 0; i < 100; i++) {
      const socket = connect(PORT, SERVER)
      const isOpen = await new Promise((resolve) => { socket.once('connect', () => { resolve(true) }).once('error', () => { resolve(false) }) })
      socket.destroy()
      if (isOpen === true) break
      await wait(100)
    }
    return await talk()
  } finally {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
}

async function ours (): Promise<Record<string, unknown>> {
  const nacl = await loadNacl()
  const { licence, pair } = await serverKey({ nacl, key: SECRET_KEY, folder: newHome(), signs: true })
  const server = await serveRendezvous({ port: PORT, strictOss: true, store: new MemoryStore(), licence, signer: new PeerSigner({ nacl, pair: pair as KeyPair }) })
  try {
    return await talk()
  } finally {
    await server.close()
  }
}

for (const args of [['link', 'set', 'lo', 'up'], ...Array.from({ length: 8 }, (_, i) => ['addr', 'add', `${host(i + 1)}/24`, 'dev', 'lo'])]) execFileSync('ip', args)
const answers = { hbbs: await hbbs(), ours: await ours() }
process.stdout.write(`${JSON.stringify(answers)}\n`)
process.exit()

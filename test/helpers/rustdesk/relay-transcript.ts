/**
 * What a relay does, as JSON on the standard output: `hbbr`, named by `HBBR_BIN`, or ours. In a network namespace of its own, since the
 * original takes connections of the loopback for its console.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { dialRelay, dialWebSocket, framed, requestOf, type RelayClient, type TcpClient } from './relay.ts'
import { rendezvous } from '../../../src/nodes/rustdesk/protocol/messages.ts'
import { serveRustdeskRelay } from '../../../src/nodes/rustdesk/relay/server.ts'

const HOST = '10.9.9.1'
const FROM = '10.9.9.2'
const PORT = 21117
const KEY = 'the key of this relay'

/** Milliseconds: the original says nothing when a connection waits. */
const SETTLE = 100

execFileSync('ip', ['link', 'set', 'lo', 'up'])
for (const address of [HOST, FROM]) execFileSync('ip', ['address', 'add', `${address}/32`, 'dev', 'lo'])

const ends: Array<() => unknown> = []
const t = { teardown: (end: () => unknown) => { ends.push(end) } }
const tcp = (isRaw = false): Promise<TcpClient> => dialRelay(t, PORT, { host: HOST, from: FROM, isRaw })
const websocket = (): Promise<RelayClient> => dialWebSocket(t, PORT + 2, {}, HOST)
const said: Record<string, unknown> = {}

async function start (): Promise<void> {
  if (process.argv[2] === 'ours') {
    const server = await serveRustdeskRelay({ host: '0.0.0.0', port: PORT, key: KEY })
    ends.push(() => server.close())
    return
  }
  const child = spawn(process.argv[2], ['-p', String(PORT), '-k', KEY], { stdio: 'ignore', env: { PATH: process.env.PATH, HOME: process.cwd() } })
  ends.push(() => child.kill())
  for (let i = 0; i < 100; i++) {
    const isThere = await tcp().then(({ socket }) => { socket.destroy(); return true }, () => false)
    if (isThere) return
    await delay(50)
  }
  throw new Error('hbbr does not listen')
}

async function pair (first: RelayClient, second: RelayClient, uuid: string): Promise<void> {
  first.send(requestOf(uuid, KEY))
  await delay(SETTLE)
  second.send(requestOf(uuid, KEY))
  await delay(SETTLE)
}

const messages = [1, 0, 63, 64, 16_383, 16_384, 0, 1_000_000, 2].map((size) => Buffer.alloc(size, 'message '))

async function exchange (name: string, first: RelayClient, second: RelayClient): Promise<void> {
  await pair(first, second, name)
  for (const [way, from, to] of [['there', first, second], ['back', second, first]] as const) {
    from.send(...messages)
    const sizes: number[] = []
    while (sizes.at(-1) !== 2) sizes.push((await to.next()).length)
    said[`${name} ${way}`] = sizes
  }
  first.close()
  await Promise.all([first.closed, second.closed])
}

async function refused (name: string, message: Uint8Array): Promise<void> {
  const client = await tcp()
  client.send(message)
  said[`${name} over TCP`] = (await client.heard).length
  const other = await websocket()
  other.send(message)
  await other.closed
  said[`${name} over WebSocket`] = other.inbox.length
}

await start()
await exchange('TCP and TCP', await tcp(), await tcp())
await exchange('TCP and WebSocket', await tcp(), await websocket())
await exchange('WebSocket and TCP', await websocket(), await tcp())
await exchange('WebSocket and WebSocket', await websocket(), await websocket())
await refused('a wrong key', requestOf('u', 'another'))
await refused('no uuid', requestOf('', KEY))
await refused('another message', rendezvous.encode({ register_peer: { id: 'x' } }))
await refused('no message', Buffer.from('92ffff', 'hex'))
await refused('an empty one', new Uint8Array(0))

const early = await tcp()
early.socket.write(Buffer.concat([framed(requestOf('early', KEY)), Buffer.from('with the request, ')]))
await delay(SETTLE)
early.socket.write('before the partner, ')
const late = await tcp(true)
let heard = ''
late.socket.setEncoding('latin1').on('data', (text: string) => { heard += text })
late.socket.write(framed(requestOf('early', KEY)))
await delay(SETTLE)
early.socket.end('and the end')
await Promise.all([late.closed, early.closed])
said['early bytes'] = heard

const [a, b, c, d] = [await tcp(), await tcp(), await tcp(), await tcp()]
await pair(a, b, 'same')
await pair(c, d, 'same')
a.send(Buffer.from('first pair'))
c.send(Buffer.from('second pair'))
said['two pairs of one uuid'] = [String(await b.next()), String(await d.next())]

const half = await tcp()
const whole = await tcp()
await pair(half, whole, 'half')
half.socket.end()
await once(half.socket, 'close')
await whole.closed
said['half-close ends both'] = true

process.stdout.write(JSON.stringify(said))
for (const end of ends) await end()
process.exit()

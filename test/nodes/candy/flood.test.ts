/** Thousands of strangers, and a member with thousands of faces: what is there already does not notice. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { dialWebSocket } from '../../../src/transports/websocket.ts'
import { writeU32 } from '../../../src/net/ipv4.ts'
import { startProgram, type Program } from '../../helpers/programs/program.ts'
import { addr, CandyClient, forward, PASSWORD, seconds, secret } from '../../helpers/candy/client.ts'
import { askControl } from '../../helpers/cli/control.ts'
import { eventually } from '../../helpers/network/traffic.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { upgradeRequest } from '../../helpers/raw-sockets.ts'
import { sample } from '../../helpers/sample.ts'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'
import { spawnGroup } from '../../helpers/programs/reaper.ts'
import type { CandyRelayStats } from '../../../src/nodes/candy/index.ts'
import { FORWARD_SOURCE } from '../../../src/nodes/candy/protocol/forward.ts'
import { encodeAuth, encodeVmac } from '../../../src/nodes/candy/protocol/handshake.ts'
import { FrameEncoder } from '../../../src/transforms/websocket-frames/index.ts'

const encoder = new FrameEncoder('client')

const STRANGERS = sample('strangers', { short: 2000, long: 10_000 })
/** Connections that are begun at a time, so that none is lost in the kernel's queue. */
const TOGETHER = 250
/** What one stranger may cost the relay: in memory that is resident, everything included. */
const BYTES_PER_STRANGER = 40 * 1024

interface Running {
  relay: Program
  port: number
  status (): Promise<any>
  /** Bytes of resident memory. */
  memory (): number
  join (address: string): Promise<CandyClient>
}

async function start (t: Test, ...args: string[]): Promise<Running> {
  const env = homeEnv()
  const relay = startProgram(t, 'relay', ['candy', '--listen', 'ws://127.0.0.1:0', '--password', PASSWORD, '--dhcp', '10.77.0.0/24', '--json', '--log-level', 'error', ...args], { env })
  const [, url, port] = await relay.find(/"url":"(ws:\/\/127\.0\.0\.1:(\d+))"/)
  return {
    relay,
    port: Number(port),
    status: async () => (await askControl(env, 'relay', 'status')).services[0],
    memory: () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${relay.child.pid}/status`, 'utf8'))?.[1]) * 1024,
    join: (address) => joined(t, url, address)
  }
}

async function joined (t: Test, url: string, address: string): Promise<CandyClient> {
  const link = await dialWebSocket(url)
  t.teardown(() => { link.abort(new Error('the test is over')) })
  return await new CandyClient(link).login(address)
}

/** Packets from one to the other and back, one after the other. */
async function talk (a: CandyClient, b: CandyClient, count: number): Promise<number> {
  let arrived = 0
  for (let i = 0; i < count; i++) {
    a.send(forward('10.77.0.1', '10.77.0.2', 20 + i % 100))
    if ((await b.next()).length !== 41 + i % 100) break
    b.send(forward('10.77.0.2', '10.77.0.1'))
    await a.next()
    arrived++
  }
  return arrived
}

/** A connection that goes no further than this: TCP, half a request, or a WebSocket that says nothing. */
async function stranger (port: number, kind: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => {})
  await new Promise((resolve, reject) => { socket.once('connect', resolve).once('close', () => { reject(new Error('a stranger was not let in')) }) })
  if (kind === 1) socket.write('GET / HTTP/1.1\r\nHost: x\r\n')
  if (kind === 2) {
    socket.write(upgradeRequest())
    await new Promise((resolve) => { socket.once('data', resolve) })
  }
  return socket
}

interface Patient {
  port: number
  ask (): Promise<{ stats: CandyRelayStats, memory: number }>
  join (address: string): Promise<CandyClient>
}

/** A relay that gives strangers minutes, so that however slow this machine is they are all there at once. */
async function patientRelay (t: Test): Promise<Patient> {
  const child = spawnGroup(process.execPath, [...STRIP_TYPES, fileURLToPath(new URL('../../helpers/candy/relay-process.ts', import.meta.url)), PASSWORD], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const [{ url }] = await once(child, 'message') as [{ url: string }]
  return {
    port: Number(new URL(url).port),
    async ask () {
      const answer = once(child, 'message')
      child.send('')
      return (await answer)[0]
    },
    join: (address) => joined(t, url, address)
  }
}

t.test('thousands of half-open connections', { timeout: 110_000 }, async (t) => {
  const { port, ask, join } = await patientRelay(t)
  const [a, b] = [await join('10.77.0.1'), await join('10.77.0.2')]
  await talk(a, b, 500)
  const before = (await ask()).memory
  const flood = { isOver: false }
  let rounds = 0
  const talking = (async () => {
    for (; !flood.isOver; rounds++) if (await talk(a, b, 10) !== 10) throw new Error('a packet is missing')
  })()
  const strangers: Socket[] = []
  t.teardown(() => { for (const socket of strangers) socket.destroy() })
  let newcomers = 0
  while (strangers.length < STRANGERS) {
    strangers.push(...await Promise.all(Array.from({ length: TOGETHER }, (_, i) => stranger(port, i % 3))))
    if (strangers.length % (STRANGERS / 4) === 0) await join(`10.77.0.${100 + newcomers++}`) // who knows the password gets in meanwhile
  }
  flood.isOver = true
  await talking
  t.ok(rounds > 2, `${rounds * 10} packets each way meanwhile, none missing`)
  const { memory, stats } = await ask()
  t.match(stats, { halfOpen: STRANGERS, peers: 6 }, 'all of them are there')
  t.ok(memory - before < STRANGERS * BYTES_PER_STRANGER, `${Math.round((memory - before) / STRANGERS / 1024)} KiB each`)
  t.equal(await talk(a, b, 100), 100)
  for (const socket of strangers) socket.destroy()
  while ((await ask()).stats.halfOpen > 0);
  t.match((await ask()).stats, { connections: 6, peers: 6 }, 'nothing of them is left')
})

t.test('the oldest half-open connection makes room', { timeout: 60_000 }, async (t) => {
  const { port, status, join } = await start(t, '--max-half-open', '500')
  const [a, b] = [await join('10.77.0.1'), await join('10.77.0.2')]
  const strangers: Socket[] = []
  t.teardown(() => { for (const socket of strangers) socket.destroy() })
  for (let i = 0; i < 2000; i += 100) strangers.push(...await Promise.all(Array.from({ length: 100 }, () => stranger(port, 0))))
  const ended = strangers.slice(0, 1500).map((socket) => new Promise((resolve) => { socket.destroyed ? resolve(undefined) : socket.once('close', resolve).resume() }))
  await Promise.all(ended)
  t.equal(await talk(a, b, 100), 100)
  t.match(await join('10.77.0.3'), { link: {} }, 'and a newcomer gets in')
  const { halfOpen, refused } = await status()
  t.ok(halfOpen <= 500, `${halfOpen}`)
  t.ok(refused.limit >= 1500, `${refused.limit}`)
})

t.test('thousands of spoofed sources', { timeout: 60_000 }, async (t) => {
  for (const [mode, delivered] of [['routes', 0], ['off', STRANGERS]] as const) {
    const { status, memory, join } = await start(t, '--source-check', mode)
    const [a, b, liar] = [await join('10.77.0.1'), await join('10.77.0.2'), await join('10.77.0.3')]
    await talk(a, b, 500)
    const before = memory()
    const talking = talk(a, b, 200)
    for (let i = 0; i < STRANGERS;) {
      liar.send(...Array.from({ length: 100 }, () => {
        const message = forward('10.77.0.3', '10.77.0.3')
        writeU32(message, FORWARD_SOURCE, 0x2000_0000 + i++)
        return message
      }))
      await liar.settled()
    }
    t.equal(await talking, 200, `${mode}: the others talk on`)
    t.equal(liar.inbox.length, delivered)
    const { peers, drops, networks } = await status()
    t.same([peers, drops.source, networks[0].members.length], [3, STRANGERS - delivered, 3], 'no table has grown')
    t.ok(memory() - before < 64 * 1024 * 1024)
  }
})

const authFrame = (): Uint8Array => encoder.push([encodeAuth({ secret, address: addr('10.77.0.66'), timestamp: seconds() })])[0]

/** Each is sent again and again by one connection, in blocks; some by a member. */
const TINY: Array<[name: string, frame: () => Uint8Array, first?: () => Uint8Array]> = [
  ['pings', () => encoder.ping(new Uint8Array(0))],
  ['pongs', () => encoder.pong(new Uint8Array(0))],
  ['texts', () => encoder.text('')],
  ['empty messages', () => encoder.push([new Uint8Array(0)])[0]],
  ['unknown messages', () => encoder.push([new Uint8Array([9])])[0]],
  ['VMAC', () => encoder.push([encodeVmac({ secret, vmac: 'f'.repeat(16), timestamp: seconds() })])[0]],
  ['AUTH', authFrame],
  ['packets to nobody', () => encoder.push([forward('10.77.0.66', '10.77.0.99')])[0], authFrame],
  ['packets to itself', () => encoder.push([forward('10.77.0.66', '10.77.0.66')])[0], authFrame],
  ['packets of somebody else', () => encoder.push([forward('10.77.0.67', '10.77.0.1')])[0], authFrame]
]

for (const args of [[], ['--workers', '2']]) {
  t.test(`floods of tiny frames, ${args.length === 0 ? 'one thread' : 'two workers'}`, { timeout: 100_000 }, async (t) => {
    const { port, status, join } = await start(t, ...args)
    const [a, b] = [await join('10.77.0.1'), await join('10.77.0.2')]
    await talk(a, b, 100)
    for (const [name, make, first] of TINY) {
      const { throttled } = await status()
      const frame = make()
      const block = Buffer.alloc(Math.floor(64 * 1024 / frame.length) * frame.length, frame)
      const socket = await stranger(port, 2)
      socket.resume()
      if (first !== undefined) socket.write(first())
      let written = 0
      const write = (): void => {
        while (written < 64 * 1024 * 1024 && socket.writable && socket.write(block)) written += block.length
      }
      socket.on('drain', write)
      write()
      t.equal(await talk(a, b, 100), 100, `${name}: nothing of the others is lost`)
      t.ok(await eventually(async () => (await status()).throttled > throttled), `${name}: who sends too many is read more slowly, and that is counted`)
      socket.destroy()
    }
  })

  t.test(`connections that are reset while they wait for their turn leave nothing, ${args.length === 0 ? 'one thread' : 'two workers'}`, { timeout: 100_000 }, async (t) => {
    const { port, status, join } = await start(t, ...args)
    const [a, b] = [await join('10.77.0.1'), await join('10.77.0.2')]
    const block = Buffer.alloc(6 * 8192, encoder.ping(new Uint8Array(0))) // seconds of a stranger's frames
    for (let i = 0; i < 100; i++) {
      const socket = await stranger(port, 2)
      await new Promise((resolve) => { socket.write(block, resolve) })
      socket.resetAndDestroy()
    }
    let last: any
    await eventually(async () => { // the worker of a connection and the listener each count it off in their own time
      last = await status()
      return last.halfOpen === 0 && last.connections === 2
    })
    t.equal(last.halfOpen, 0, 'no connection waits to be let in')
    t.equal(last.connections, 2, 'and none is kept that is counted nowhere')
    t.equal(await talk(a, b, 10), 10)
  })
}

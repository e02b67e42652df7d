/**
 * All protocols in one relay process: what a flood of forged datagrams on SHOW CHAIN does to the others, one exchange at a time. The relay has a core;
 * clients and flood share another one, and what they cost each other there is in the figures too: most in that of gotunnel, whose peer and service are there.
 */
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once, type EventEmitter } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { rendezvous } from '../src/nodes/rustdesk/protocol/messages.ts'
import { pinApart, unpin } from './lib/pin.ts'
import { BenchProcess } from './lib/process.ts'
import { linkEcho } from './natpass-relay/echo.ts'
import { Probe } from './relay/load.ts'
import type { Run } from './lib/run.ts'

const NONE = 'no flood'

/** Datagrams a second, 600 bytes each. */
const RATE = 10_000

/** Milliseconds before the first exchange, for the flood to fill what it can, and between two. */
const RISE = 300
const INTERVAL = 3
const PATIENCE = 2000

const FLOODS = [
  { name: NONE },
  { name: `${RATE} datagrams/s, forged, without a cookie`, cookie: 'off' },
  { name: `${RATE} datagrams/s, forged, with a valid cookie`, cookie: 'on' }
]

interface Client {
  name: string
  /** Milliseconds of one exchange. */
  once (): Promise<number>
  close (): void
}

const password = randomBytes(8).toString('hex')
const host = '127.0.0.1'

/** @param port of the relay, that leads to the service */
async function gotunnelClient (port: number): Promise<Client> {
  const user = connect({ host, port, noDelay: true })
  const data = (): Promise<void> => answer(user, 'data')
  await once(user, 'connect')
  user.write('e!')
  await data()
  return {
    name: 'gotunnel, a byte to a service and back',
    async once () {
      const begin = performance.now()
      user.write('!')
      await data()
      return performance.now() - begin
    },
    close: () => { user.destroy() }
  }
}

async function natpassClient (port: number): Promise<Client> {
  const echo = await linkEcho(port, password)
  return { name: 'natpass, a keystroke and its echo', once: async () => (await echo.exchanges(0))[0], close: () => { echo.close() } }
}

function rustdeskClient (port: number): Client {
  const socket = createSocket('udp4')
  const message = rendezvous.encode({ register_peer: { id: '123456789' } })
  return {
    name: 'rustdesk, a registration',
    async once () {
      const begin = performance.now()
      const answered = answer(socket, 'message')
      socket.send(message, port, host)
      await answered
      return performance.now() - begin
    },
    close: () => { socket.close() }
  }
}

async function candyClient (port: number): Promise<Client> {
  const probe = await Probe.open({ port, password, tls: false }, 0x0a00_0005)
  return { name: 'candy, a packet to another peer', once: () => probe.once(), close: () => { probe.close() } }
}

/** An answer to what is sent now. @throws when none comes */
async function answer (from: EventEmitter, event: string): Promise<void> {
  const late = new AbortController()
  const timer = setTimeout(() => { late.abort() }, PATIENCE)
  await once(from, event, { signal: late.signal })
  clearTimeout(timer)
}

async function p50 (client: Client, count: number): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    times.push(await client.once())
    await delay(INTERVAL)
  }
  return times.sort((a, b) => a - b)[times.length >> 1]
}

export async function fiveBench (run: Run): Promise<void> {
  const relay = await BenchProcess.start('five/relay.js', { BENCH_PASSWORD: password })
  const service = await BenchProcess.start('gotunnel/service.js')
  const ports = await relay.ask<Record<'candy' | 'gotunnel' | 'natpass' | 'rustdesk', number>>({ ports: true })
  const peer = await BenchProcess.start('gotunnel/tunpipe-peer.js', { BENCH_SERVER: String(ports.gotunnel), BENCH_PASSWORD: password, BENCH_TARGET: String(service.port) })
  const clients = [await candyClient(ports.candy), await gotunnelClient(peer.port), await natpassClient(ports.natpass), rustdeskClient(ports.rustdesk)]
  pinApart(run, [relay.pid], [service.pid, peer.pid])
  try {
    const figures = await run.inTurn('one exchange of each', { rounds: run.rounds(3, 7), warmUps: 1 }, FLOODS, async ({ cookie }) => {
      const attacker = cookie === undefined ? undefined : await BenchProcess.start('five/attacker.js', { BENCH_PORT: String(relay.port), BENCH_RATE: String(RATE), BENCH_COOKIE: cookie })
      await delay(RISE)
      const [before, since] = [(await relay.usage()).count, performance.now()]
      const medians: number[] = []
      for (const client of clients) medians.push(await p50(client, run.full ? 200 : 100))
      const refused = ((await relay.usage()).count - before) / (performance.now() - since) * 1000
      await attacker?.stop()
      if (attacker !== undefined && refused < RATE / 10) throw new Error(`the relay has refused ${Math.round(refused)} messages a second: that was no flood`)
      return { medians, refused }
    })
    for (const [i, { name }] of clients.entries()) {
      run.add({ name: `${name}, p50`, unit: 'ms', lessIsBetter: true }, FLOODS.map((flood, k) => ({
        of: flood.name, ours: true, encrypted: false, values: figures[k].map(({ medians }) => medians[i]), against: k > 0 ? [NONE] : []
      })))
    }
    run.add({ name: 'what of the flood is refused, or answered by a challenge', unit: 'messages/s' }, FLOODS.slice(1).map(({ name }, k) => ({
      of: name, ours: true, encrypted: false, values: figures[k + 1].map(({ refused }) => refused)
    })))
  } finally {
    unpin()
    for (const client of clients) client.close()
    for (const each of [peer, relay, service]) await each.stop()
  }
}

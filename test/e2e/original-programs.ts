/**
 * Our programs with the real ones, where those are: `CANDY_BIN` names candy, `CACAO_BIN` cacao. They are no part of the suite; run
 * `CANDY_BIN=/usr/bin/candy CACAO_BIN=/usr/bin/cacao npx tap --timeout=600 test/e2e/original-programs.ts`, as root. `SECONDS_OF_LOAD` is
 * how long each load lasts, 20 when it is not set.
 */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CACAO_BIN, CANDY_BIN, startCacao, startCandy, startCandyServer as startServer } from '../helpers/candy/original.ts'
import { newHome } from '../helpers/programs/homes.ts'
import { Lab, type Namespace } from '../helpers/network/namespaces.ts'
import { DEVICE, joined, PASSWORD, RANGE, startPeer, startRelay, type Program } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent, eventually, ping, reaches } from '../helpers/network/traffic.ts'

const { SECONDS_OF_LOAD = '20' } = process.env

const SERVER = '192.0.2.1'
const PORT = 8080
const URL = `ws://${SERVER}:${PORT}`
const LOAD = Number(SECONDS_OF_LOAD) * 1000
const TIMEOUT = 110_000 + 8 * LOAD

/** Bits a second of a slow way, and the part of them that one stream of TCP reaches at least. */
const WAY = 20_000_000
const PART = 0.7

const startCandyServer = (t: Test, host: Namespace): Promise<unknown> => startServer(t, host, { url: URL, password: PASSWORD, dhcp: RANGE })

/** The address of the interface of a real client, once it has one. */
async function addressOf (host: Namespace, device: string): Promise<string> {
  let found: string | undefined
  await eventually(async () => {
    found = (await host.interface(device))?.addresses[0]
    return found !== undefined
  })
  if (found === undefined) throw new Error(`${device} of ${host.name} has no address`)
  return found.split('/')[0]
}

interface Site {
  host: Namespace
  address: string
}

async function bothWays (t: Test, a: Site, b: Site): Promise<void> {
  t.ok(await reaches(a.host, b.address), `${a.address} to ${b.address}`)
  t.equal(await ping(a.host, b.address), 3)
  t.equal(await ping(b.host, a.address), 3)
}

/** One stream of TCP each way, then both at once; tells Mbit/s, and gives the least of the first two. */
async function load (t: Test, name: string, a: Site, b: Site): Promise<number> {
  const [agentA, agentB] = [new Agent(a.host), new Agent(b.host)]
  const [sinkA, sinkB] = await Promise.all([agentA.call('serveSink'), agentB.call('serveSink')])
  const there = (): Promise<number> => agentA.call('rate', b.address, sinkB, LOAD)
  const back = (): Promise<number> => agentB.call('rate', a.address, sinkA, LOAD)
  const rates = [await there(), await back(), ...await Promise.all([there(), back()])].map((rate) => rate * 8)
  t.comment(`${name}: ${rates.map((rate) => (rate / 1e6).toFixed(1)).join(', ')} Mbit/s there, back, and both at once`)
  return Math.min(rates[0], rates[1])
}

const joins = (relay: Program): number => relay.log.filter(({ msg }) => msg === 'peer joined').length
const losses = (peer: Program): number => peer.events.filter(({ event }) => event === 'offline').length

async function hosts (t: Test): Promise<{ lab: Lab, server: Namespace, a: Namespace, b: Namespace }> {
  const lab = new Lab(t)
  const [server, a, b] = [await lab.host('server', `${SERVER}/24`), await lab.host('a', '192.0.2.11/24'), await lab.host('b', '192.0.2.12/24')]
  return { lab, server, a, b }
}

const WAYS = [{ name: 'a fast way', isSlow: false }, { name: 'a way of 20 Mbit/s', isSlow: true }]

async function slow (lab: Lab, ...namespaces: Namespace[]): Promise<void> {
  for (const host of namespaces) await lab.slow(host, WAY, 'both')
}

/** Two members under load, of which nobody loses its connection. */
async function steady (t: Test, name: string, a: Site, b: Site, isSlow: boolean, count: () => number): Promise<void> {
  t.ok(await reaches(a.host, b.address))
  const before = count()
  const least = await load(t, name, a, b)
  t.equal(count(), before, 'no connection is lost')
  if (isSlow) t.ok(least >= WAY * PART, `${Math.round(least / 1e6)} Mbit/s`)
}

const wanted = [CANDY_BIN, CACAO_BIN].some((path) => path !== undefined)
if (!wanted) {
  t.plan(0, 'only when asked for: set CANDY_BIN or CACAO_BIN')
} else if (await canRun(t, ['tc', 'ethtool'])) {
  const client = { mode: 'client', websocket: URL, password: PASSWORD }

  if (CANDY_BIN !== undefined) {
    await t.test('real candy clients at our relay', { timeout: TIMEOUT }, async (t) => {
      const { lab, server, a, b } = await hosts(t)
      const c = await lab.host('c', '192.0.2.13/24')
      let relay = await startRelay(server, URL)
      startCandy(t, a, { ...client, name: 'one' })
      const one = { host: a, address: await addressOf(a, 'candy-one') }
      startCandy(t, b, { ...client, name: 'two', tun: '10.77.0.200/24' })
      const two = { host: b, address: '10.77.0.200' }
      const ours = { host: c, address: await joined(startPeer(c, { url: `${URL}/`, stateDir: newHome() })) }
      await bothWays(t, one, two)
      await bothWays(t, one, ours)
      await relay.stop('SIGKILL')
      relay = await startRelay(server, URL)
      t.ok(await reaches(c, one.address), 'after a restart of the relay')
    })

    for (const { name, isSlow } of WAYS) {
      for (const workers of [1, 2]) {
        await t.test(`real candy clients at our relay with ${workers} workers, ${name}`, { timeout: TIMEOUT }, async (t) => {
          const { lab, server, a, b } = await hosts(t)
          if (isSlow) await slow(lab, server, a, b)
          const relay = await startRelay(server, URL, '--workers', String(workers))
          const [one, two] = [{ host: a, address: '10.77.0.201' }, { host: b, address: '10.77.0.202' }]
          for (const { host, address } of [one, two]) startCandy(t, host, { ...client, tun: `${address}/24` })
          await steady(t, 'two real clients', one, two, isSlow, () => joins(relay))
        })
      }

      await t.test(`a real candy client and our peer at our relay, ${name}`, { timeout: TIMEOUT }, async (t) => {
        const { lab, server, a, b } = await hosts(t)
        if (isSlow) await slow(lab, server, a, b)
        const relay = await startRelay(server, URL)
        const one = { host: a, address: '10.77.0.201' }
        startCandy(t, a, { ...client, tun: `${one.address}/24` })
        const ours = { host: b, address: await joined(startPeer(b, { url: `${URL}/`, stateDir: newHome() })) }
        await steady(t, 'a real client and our peer', one, ours, isSlow, () => joins(relay))
      })
    }

    await t.test('our peer at a real candy server', { timeout: TIMEOUT }, async (t) => {
      const { server, a, b } = await hosts(t)
      await startCandyServer(t, server)
      const states = newHome()
      const peers = [a, b].map((host, i): Program => startPeer(host, { url: `${URL}/`, stateDir: join(states, String(i)) }))
      const [addressOfA, addressOfB] = await Promise.all(peers.map(joined))
      await bothWays(t, { host: a, address: addressOfA }, { host: b, address: addressOfB })
      t.equal(await peers[0].stop(), 0)
      t.equal(await a.interface(DEVICE), undefined)
      t.equal(await joined(startPeer(a, { url: `${URL}/`, stateDir: join(states, '0') })), addressOfA, 'the same address again')
    })
  }

  const servers = [
    ...CANDY_BIN === undefined
      ? []
      : [{
          server: 'candy',
          async start (t: Test, host: Namespace) {
            await startCandyServer(t, host)
            return `${URL}/`
          }
        }],
    ...CACAO_BIN === undefined ? [] : [{ server: 'cacao', start: (t: Test, host: Namespace): Promise<string> => startCacao(t, host, { address: SERVER, port: PORT, password: PASSWORD, dhcp: RANGE }) }]
  ]
  for (const { server: program, start } of servers) {
    for (const { name, isSlow } of WAYS) {
      await t.test(`our peers at a real ${program} server, ${name}`, { timeout: TIMEOUT }, async (t) => {
        const { lab, server, a, b } = await hosts(t)
        if (isSlow) await slow(lab, server, a, b)
        const url = await start(t, server)
        const peers = [a, b].map((host): Program => startPeer(host, { url, stateDir: newHome() }))
        const [one, two] = (await Promise.all(peers.map(joined))).map((address, i) => ({ host: [a, b][i], address }))
        await bothWays(t, one, two)
        await steady(t, 'our peers', one, two, isSlow, () => losses(peers[0]) + losses(peers[1]))
      })
    }
  }
}

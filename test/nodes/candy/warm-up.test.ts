import t from 'tap'
import { joinCandy, LeaseStore, serveCandy } from '../../../src/nodes/candy/index.ts'
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { socketEnds, userspaceEnds } from '../../../src/nodes/candy/warm-up/ends.ts'
import { openNetwork } from '../../../src/nodes/candy/warm-up/network.ts'
import { prepareCandy, warmUpCandy } from '../../../src/nodes/candy/warm-up/warm-up.ts'
import { userspaceTun } from '../../../src/tun/index.ts'
import { nextTurn } from '../../../src/streams/turns.ts'
import { loopPoller } from '../../../src/net/native/poller-loop.ts'
import { loadLibc } from '../../../src/net/native/libc.ts'

const koffi = await loadLibc().then((libc) => loopPoller(libc) !== undefined, () => false)

/** Ends after so many slices. */
function some (slices: number): { signal: AbortSignal, packets: () => number } {
  const stop = new AbortController()
  let calls = 0
  return {
    signal: stop.signal,
    packets () {
      if (calls++ === slices) stop.abort()
      return 0
    }
  }
}

for (const role of ['relay', 'peer'] as const) {
  t.test(`a ${role} that is there does not notice`, { skip: role === 'peer' && !koffi ? 'needs koffi' : false }, async (t) => {
    const lines: object[] = []
    const line = (fields: object): void => { lines.push(fields) }
    const log = { debug: line, info: line, warn: line, error: line }
    const leases = new LeaseStore()
    const server = await serveCandy({ listen: 'ws://127.0.0.1:0', password: 'secret', dhcp: '10.77.0.0/24', leases, log })
    t.teardown(() => server.close())
    const tun = userspaceTun()
    const peer = await joinCandy({ url: server.url, password: 'secret', tun, log })
    t.teardown(() => peer.close())
    let tapped = 0
    server.relay.tap({ network: '' }, () => { tapped++ })
    peer.tap(() => { tapped++ })
    leases.onChange = () => { t.fail('a lease has changed') }
    const known = (): string => {
      const { connected: _, roundTrip: __, ...status } = peer.status()
      return JSON.stringify([server.relay.stats, server.relay.networkStats, status, tun.counters, leases.toJSON(), lines])
    }
    const before = known()
    const rounds = await warmUpCandy({ role, ...some(5) })
    t.ok(rounds[0] > 0, `${rounds[0]} packets there and back`)
    t.equal(known(), before)
    t.equal(tapped, 0)
  })

  t.test(`a ${role} leaves nothing`, { skip: role === 'peer' && !koffi ? 'needs koffi' : false }, async (t) => {
    const held = (): string[] => process.getActiveResourcesInfo().filter((name) => !/^(?:Immediate|SimpleShutdownWrap)$/.test(name)).sort()
    const files = (): number => readdirSync('/proc/self/fd').length
    await prepareCandy({ role }) // what is loaded and kept for all
    await settled(() => !held().includes('TCPSocketWrap'))
    const [before, filesBefore] = [held(), files()]
    await prepareCandy({ role })
    await warmUpCandy({ role, ...some(2) })
    await settled(() => held().length <= before.length && files() <= filesBefore) // until the system has closed them
    t.same(held(), before)
    t.equal(files(), filesBefore)
  })

  t.test(`a ${role} that is stopped in the middle of it`, { skip: role === 'peer' && !koffi ? 'needs koffi' : false }, async (t) => {
    const stop = new AbortController()
    let slices = 0
    await warmUpCandy({
      role,
      signal: stop.signal,
      packets () {
        if (++slices === 3) queueMicrotask(() => { stop.abort() }) // while a packet is on its way
        return 0
      }
    })
    t.equal(slices, 3)
  })

  t.test(`a ${role} that stops first`, async (t) => {
    t.same(await warmUpCandy({ role, packets: () => 0, signal: AbortSignal.abort() }), [])
  })
}

t.test('while others send, nothing is done', async (t) => {
  const stop = new AbortController()
  let packets = 0
  const rounds = await warmUpCandy({
    role: 'relay',
    signal: stop.signal,
    packets () {
      if (packets === 3) stop.abort()
      return packets++
    }
  })
  t.same(rounds, [0])
})

t.test('a direct path is found, on the loopback alone', { skip: koffi ? false : 'needs koffi' }, async (t) => {
  const ends = await socketEnds()
  t.teardown(() => ends.close())
  const network = await openNetwork(ends, [true, true], new AbortController())
  t.teardown(() => network.close())
  const hosts = new Set<string | undefined>()
  for (const peer of network.peers) peer.on('path', (_member, endpoint) => { hosts.add(endpoint?.host) })
  while (network.peers.some(({ stats }) => stats.directPacketsIn === 0)) await ends.round().then(nextTurn)
  t.same([...hosts], ['127.0.0.1'])
})

t.test('nobody else can connect once it is there', async (t) => {
  const ends = userspaceEnds()
  t.teardown(() => ends.close())
  const network = await openNetwork(ends, [false, false], new AbortController())
  t.teardown(() => network.close())
  const socket = connect(Number(new URL(network.peers[0].status().url).port), '127.0.0.1')
  t.equal(await new Promise((resolve) => {
    socket.once('connect', () => { resolve('connected') })
    socket.once('error', ({ code }: NodeJS.ErrnoException) => { resolve(code) })
  }), 'ECONNREFUSED')
})

/** Gives the system some turns to get there. */
async function settled (isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !isSo(); turn++) await nextTurn()
}

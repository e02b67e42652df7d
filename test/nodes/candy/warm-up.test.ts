import t from 'tap'
import { joinCandy, LeaseStore, serveCandy } from '../../../src/nodes/candy/index.ts'
import { warmUpCandy } from '../../../src/nodes/candy/warm-up/warm-up.ts'
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
    const sockets = (): number => process.getActiveResourcesInfo().filter((name) => /^TCP/.test(name)).length
    const before = sockets()
    await warmUpCandy({ role, ...some(2) })
    for (let turn = 0; turn < 100 && sockets() > before; turn++) await nextTurn() // until the system has closed them
    t.ok(sockets() <= before)
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

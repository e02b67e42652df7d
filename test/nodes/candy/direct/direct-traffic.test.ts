/** When the socket of direct paths is opened, and opened again. */
import t, { type Test } from 'tap'
import { DirectTraffic } from '../../../../src/nodes/candy/peer/direct/direct-traffic.ts'
import { readPeer } from '../../../../src/nodes/candy/peer/settings.ts'
import { newPeerStats } from '../../../../src/nodes/candy/peer/stats.ts'
import { Secret } from '../../../../src/nodes/candy/protocol/hashes.ts'
import { silent } from '../../../../src/log.ts'
import { nextTurn } from '../../../../src/streams/turns.ts'
import { VirtualClock } from '../../../../src/streams/virtual-clock.ts'
import { SimulatedNetwork, type SimulatedHost } from '../../../../src/transports/memory/index.ts'
import { userspaceTun } from '../../../../src/tun/index.ts'
import type { DatagramSocket } from '../../../../src/types.ts'

const PORT = 4000

interface Scene {
  clock: VirtualClock
  host: SimulatedHost
  traffic: DirectTraffic
  /** All that were opened. */
  sockets: DatagramSocket[]
  binds: number
}

function scene (t: Test): Scene {
  const clock = new VirtualClock()
  const network = new SimulatedNetwork({ seed: 1, clock, trace: 0 })
  const host = network.host({ on: network.subnet('0.0.0.0/0'), address: '203.0.113.1' })
  const tun = userspaceTun({ clock })
  const scene: Scene = {
    clock,
    host,
    sockets: [],
    binds: 0,
    traffic: new DirectTraffic({
      settings: readPeer({ url: 'ws://192.0.2.1/', password: 'x', tun, port: PORT, stun: ['none'], localhost: '203.0.113.1' }),
      secret: new Secret('x'),
      tun,
      routes: { size: 0, nexthopOf: () => 0, accepts: () => true },
      stats: newPeerStats(),
      tap: { isOn: false, show () {} },
      clock,
      log: silent,
      backoff: { random: () => 0.5 },
      bindUdp: async ({ port }) => {
        scene.binds++
        const socket = await host.bindUdp({ port })
        scene.sockets.push(socket)
        return socket
      },
      toServer: () => true,
      isOnline: () => true,
      deliver () {},
      onPath () {}
    })
  }
  t.teardown(async () => {
    await clock.until(scene.traffic.close())
    tun.abort(new Error('the test is over'))
  })
  return scene
}

/** Real time may pass meanwhile, as modules are loaded. */
async function opened ({ traffic, clock }: Scene): Promise<void> {
  while (traffic.paths === undefined) {
    await nextTurn()
    await clock.pass(10)
  }
}

t.test('one address after another, with the same port', async (t) => {
  const one = scene(t)
  one.traffic.addressed('10.77.0.2/24')
  one.traffic.addressed('10.77.0.3/24')
  await opened(one)
  t.equal(one.binds, 1, 'the first is not needed')
  for (const last of [4, 5, 6]) {
    one.traffic.addressed(`10.77.0.${last}/24`)
    t.equal(one.traffic.paths, undefined)
    await opened(one)
    one.traffic.addressed(`10.77.0.${last}/24`)
    t.ok(one.traffic.paths, 'the same one changes nothing')
  }
  t.equal(one.traffic.status.reason, undefined)
  t.equal(one.traffic.status.port, PORT)
})

t.test('another address while the socket of the first is being opened', async (t) => {
  const one = scene(t)
  one.traffic.addressed('10.77.0.2/24')
  while (one.binds === 0) await nextTurn()
  one.traffic.addressed('10.77.0.3/24')
  await opened(one)
  t.equal(one.traffic.status.reason, undefined)
})

t.test('a port that is in use is tried again, less and less often', async (t) => {
  const one = scene(t)
  const busy = await one.host.bindUdp({ port: PORT })
  one.traffic.addressed('10.77.0.2/24')
  while (one.traffic.status.reason === undefined) await nextTurn()
  t.match(one.traffic.status.reason, /./)
  t.equal(one.traffic.status.isOpen, false)
  await one.clock.pass(60_000)
  t.ok(one.binds > 4 && one.binds < 12, `${one.binds} times in a minute`)
  busy.close()
  await opened(one)
  t.equal(one.traffic.status.reason, undefined)
})

t.test('another address ends the wait', async (t) => {
  const one = scene(t)
  const busy = await one.host.bindUdp({ port: PORT })
  one.traffic.addressed('10.77.0.2/24')
  while (one.traffic.status.reason === undefined) await nextTurn()
  await one.clock.pass(60_000)
  busy.close()
  const { binds } = one
  one.traffic.addressed('10.77.0.3/24')
  while (one.binds === binds) await nextTurn()
  await opened(one)
})

t.test('a socket that ends is opened again', async (t) => {
  const one = scene(t)
  one.traffic.addressed('10.77.0.2/24')
  await opened(one)
  one.sockets[0].abort(new Error('the network is gone'))
  while (one.traffic.paths !== undefined) await nextTurn()
  t.match(one.traffic.status, { isOpen: false, reason: 'the network is gone' })
  await opened(one)
  t.equal(one.binds, 2)
})

t.test('nothing is open after close', async (t) => {
  const one = scene(t)
  one.traffic.addressed('10.77.0.2/24')
  while (one.binds === 0) await nextTurn()
  await one.clock.until(one.traffic.close())
  t.equal(one.traffic.paths, undefined)
  one.traffic.addressed('10.77.0.3/24')
  await one.clock.pass(60_000)
  t.equal(one.binds, 1)
  ;(await one.host.bindUdp({ port: PORT })).close()
})

/** What a server gives is checked against what the machine uses itself: its address, its routes, and what is kept from the connection before. */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { CandyPeerInit } from '../../../src/nodes/candy/index.ts'
import { RoutePolicy } from '../../../src/nodes/candy/peer/route-policy.ts'
import { encodeRoutes } from '../../../src/nodes/candy/protocol/routes.ts'
import { OccupiedNetworkCache } from '../../../src/nodes/candy/peer/occupied-network-cache.ts'
import { TunError, type OccupiedNetwork, type TunWatcher } from '../../../src/tun/device.ts'
import { userspaceTun } from '../../../src/tun/userspace.ts'
import { PASSWORD } from '../../helpers/candy/client.ts'
import { until } from '../../helpers/ends.ts'
import { actAsCandy, scriptedServer, startPeer, type ScriptedServer, type Started } from '../../helpers/candy/scripted-server.ts'
import { address, cidr } from '../../helpers/candy/vectors.ts'
import { ManualClock } from '../../helpers/clock.ts'

const LAN: OccupiedNetwork[] = [
  { network: '127.0.0.0/8', owner: 'lo' },
  { network: '192.168.1.0/24', owner: 'eth0' },
  { network: '192.168.1.5/32', owner: 'eth0' },
  { network: '172.31.1.1/32', owner: 'eth0' },
  { network: '10.255.255.53/32', owner: '/etc/resolv.conf' }
]

interface Machine extends Started {
  server: ScriptedServer
  /** What the interface was told: an address, `none`, or routes. */
  told: string[]
  /** What the machine uses; a test may change it. */
  occupied: OccupiedNetwork[]
  warnings: Array<{ fields: any, message: string }>
  errors: unknown[]
  /** Another interface has got an address or a route. */
  grown (): void
}

interface MachineInit extends Partial<CandyPeerInit> {
  offer?: string
  pushed?: string[]
  occupied?: () => OccupiedNetwork[]
}

/** A peer of a machine in a network, at a server like candy. */
async function machine (t: Test, { offer, pushed = [], occupied: read, ...init }: MachineInit): Promise<Machine> {
  const told: string[] = []
  const warnings: Machine['warnings'] = []
  const errors: unknown[] = []
  const occupied = [...LAN]
  const tun = userspaceTun()
  const { setAddress, clearAddress, setRoutes } = tun
  let watcher: TunWatcher | undefined
  Object.assign(tun, {
    watch (given: TunWatcher) {
      watcher = given
      return () => {}
    },
    occupied: read ?? (() => occupied),
    async setAddress (text: string) {
      told.push(text)
      await setAddress.call(tun, text)
    },
    async clearAddress () {
      told.push('none')
      await clearAddress.call(tun)
    },
    async setRoutes (routes: any[]) {
      told.push(`routes ${routes.map(({ destination }) => destination).join()}`)
      return await setRoutes.call(tun, routes)
    }
  })
  const routes = encodeRoutes(pushed.map((destination) => ({ destination: cidr(destination), nexthop: address('10.77.0.2') }))).map((message) => Buffer.from(message))
  const server = await scriptedServer(t, { serve: (visitor) => actAsCandy(visitor, { password: PASSWORD, offer, onAuth: () => { visitor.send(...routes) } }) })
  const log = { debug () {}, info () {}, error (fields: object) { errors.push(fields) }, warn: (fields: object, message: string) => { warnings.push({ fields, message }) } }
  return { ...startPeer(t, server, { log, ...init, tun }), server, told, occupied, warnings, errors, grown: () => { watcher?.onOthers?.() } }
}

t.test('an address in the network of an interface is refused, and the peer stays up', async (t) => {
  for (const [offer, network, owner] of [
    ['192.168.1.1/24', '192.168.1.0/24', 'eth0'], // the router's
    ['192.168.1.200/25', '192.168.1.0/24', 'eth0'], // half of it
    ['192.168.1.1/32', '192.168.1.0/24', 'eth0'],
    ['192.168.7.1/16', '192.168.1.0/24', 'eth0'], // around it
    ['172.31.1.9/24', '172.31.1.1/32', 'eth0'], // a next hop that is in no network here
    ['10.255.255.1/24', '10.255.255.53/32', '/etc/resolv.conf']
  ]) {
    const all = await machine(t, { offer })
    const [{ message: reason }, wait] = await once(all.peer, 'offline') as [Error, number]
    t.match(reason, `the server gives the address ${offer}, which is not taken: its network overlaps ${network} of ${owner} (taken with routes: private,`, offer)
    t.equal(wait, 20, 'the longest wait, also for the first time')
    t.match(all.peer.status(), { state: 'waiting', reason, overlaps: [{ refused: `address ${offer}`, network, owner }] })
    await once(all.peer, 'offline')
    t.ok(all.server.visitors.length >= 2, 'it tries again')
    t.same(all.told, [], 'the interface was never told')
    t.same(all.errors, [])
  }
})

t.test('by default the next attempt after that is 30 seconds later', async (t) => {
  const all = await machine(t, { offer: '192.168.1.1/24', backoff: undefined })
  const [, wait] = await once(all.peer, 'offline')
  t.equal(wait, 30_000)
})

t.test('the machine leaves that network: the next attempt takes the address', async (t) => {
  const all = await machine(t, { offer: '192.168.1.9/24' })
  await once(all.peer, 'offline')
  all.occupied.length = 0
  await once(all.peer, 'online')
  t.same([all.peer.address, all.peer.status().overlaps], ['192.168.1.9/24', []])
})

t.test('an address that the user has named is taken, or one of the user\'s own', async (t) => {
  for (const init of [{ offer: '192.168.1.9/24', routes: 'private,192.168.1.0/24' }, { offer: '192.168.1.9/24', routes: '192.168.0.0/16' }, { offer: '192.168.1.9/24', routes: 'all,192.168.1.0/24' }, { address: '192.168.1.9/24' }]) {
    const all = await machine(t, init)
    await once(all.peer, 'online')
    t.equal(all.told[0], '192.168.1.9/24')
  }
  for (const routes of ['all', 'none', 'private,192.168.1.0/25']) {
    const all = await machine(t, { offer: '192.168.1.9/24', routes })
    t.match(await once(all.peer, 'offline'), [{ message: /overlaps 192\.168\.1\.0\/24 of eth0/ }], routes)
  }
})

t.test('routes that take what the machine uses itself are refused one by one, with any --routes that does not name them', async (t) => {
  const bad = ['192.168.1.0/25', '192.168.1.1/32', '192.168.1.0/24', '172.31.1.1/32', '10.255.255.53/32', '10.255.0.0/16']
  for (const routes of ['private', 'all', 'private,172.16.0.0/24']) {
    const all = await machine(t, { address: '10.77.0.3/24', routes, pushed: [...bad, '172.16.0.0/16', '192.168.2.0/24'] })
    await once(all.peer, 'online')
    t.same(all.told, ['10.77.0.3/24', 'routes 172.16.0.0/16,192.168.2.0/24'])
    const refused = all.warnings.filter(({ message }) => message === 'route not taken').map(({ fields }) => fields)
    t.same(refused.map(({ route }) => route), bad.map((network) => `${network} via 10.77.0.2`))
    t.match(refused[0], { reason: 'it overlaps 192.168.1.0/24 of eth0', takenBy: `routes: ${routes},192.168.1.0/25` })
    t.same(all.peer.overlaps.map(({ refused, network, owner }) => `${refused} ${network} ${owner}`).slice(2, 5), [
      'route 192.168.1.0/24 via 10.77.0.2 192.168.1.0/24 eth0', 'route 172.31.1.1/32 via 10.77.0.2 172.31.1.1/32 eth0', 'route 10.255.255.53/32 via 10.77.0.2 10.255.255.53/32 /etc/resolv.conf'
    ])
    t.doesNotThrow(() => new RoutePolicy(refused[0].takenBy.replace('routes: ', '')), 'the option that is told is one')
  }
  const all = await machine(t, { address: '10.77.0.3/24', routes: 'private,192.168.1.0/25', pushed: bad })
  await once(all.peer, 'online')
  t.same(all.told, ['10.77.0.3/24', 'routes 192.168.1.0/25,192.168.1.1/32'], 'what is in a network that was named')
})

t.test('a machine that comes into the network of an interface that is offline gets that network back before it dials', async (t) => {
  const all = await machine(t, { offer: '10.88.0.9/24', pushed: ['172.16.0.0/16'] })
  await once(all.peer, 'online')
  all.occupied.push({ network: '10.88.0.0/16', owner: 'wlan0' })
  all.server.visitors[0].socket.destroy()
  await until(() => all.peer.overlaps.length > 0)
  await until(() => all.told.includes('routes '))
  t.same(all.told, ['10.88.0.9/24', 'routes 172.16.0.0/16', 'none', 'routes '])
  t.match(all.warnings.find(({ message }) => message === 'address removed from the interface'), { fields: { address: '10.88.0.9/24', reason: 'overlaps 10.88.0.0/16 of wlan0' } })
  t.match(await once(all.peer, 'offline'), [{ message: /overlaps 10\.88\.0\.0\/16 of wlan0/ }])
  all.occupied.pop()
  await once(all.peer, 'online')
  t.same(all.told.slice(4), ['10.88.0.9/24', 'routes 172.16.0.0/16'], 'and all is as before when that is over')
})

t.test('an interface that appears while online: the address that overlaps is given back at once, and the peer is offline with the reason', async (t) => {
  const clock = new ManualClock({ date: Date.now() })
  const all = await machine(t, { offer: '10.88.0.9/24', pushed: ['172.16.0.0/16'], clock })
  await once(all.peer, 'online')
  all.grown()
  all.occupied.push({ network: '10.88.0.0/16', owner: 'docker0' })
  const offline = once(all.peer, 'offline')
  await clock.pass(999)
  t.equal(all.peer.state, 'online', 'a second later, as mostly several come together')
  clock.advance(1)
  const [{ message: reason }, wait] = await offline as [Error, number]
  t.match(reason, 'the server gives the address 10.88.0.9/24, which is not taken: its network overlaps 10.88.0.0/16 of docker0 (taken with routes: private,10.88.0.0/24)')
  t.equal(wait, 20, 'the longest wait')
  t.same(all.told, ['10.88.0.9/24', 'routes 172.16.0.0/16', 'none', 'routes '])
  t.match(all.peer.status(), { state: 'waiting', reason, overlaps: [{ refused: 'address 10.88.0.9/24', network: '10.88.0.0/16', owner: 'docker0' }] })
  t.match(all.warnings.find(({ message }) => message === 'address removed from the interface'), { fields: { address: '10.88.0.9/24', reason: 'overlaps 10.88.0.0/16 of docker0' } })
  all.occupied.pop()
  const online = once(all.peer, 'online')
  await clock.whenSet(20)
  clock.advance(20)
  await online
  t.same(all.errors, [])
})

t.test('routes that an interface which appears while online overlaps are given back, for good in this connection; the rest and the connection stay', async (t) => {
  const clock = new ManualClock({ date: Date.now() })
  const all = await machine(t, { offer: '10.88.0.9/24', routes: 'private,172.18.0.0/16', pushed: ['172.16.0.0/16', '172.17.0.0/16', '172.18.0.0/16'], clock })
  await once(all.peer, 'online')
  all.occupied.push({ network: '172.17.0.0/24', owner: 'docker0' }, { network: '172.18.0.0/24', owner: 'docker1' })
  all.grown()
  all.grown()
  clock.advance(1000)
  await until(() => all.told.length === 3)
  all.server.visitors[0].send(...encodeRoutes([{ destination: cidr('172.19.0.0/16'), nexthop: address('10.77.0.2') }]).map((message) => Buffer.from(message)))
  await until(() => all.told.length === 4)
  t.same(all.told.slice(2), ['routes 172.16.0.0/16,172.18.0.0/16', 'routes 172.16.0.0/16,172.18.0.0/16,172.19.0.0/16'], 'not that which overlaps, but that which was named')
  t.match(all.warnings.filter(({ message }) => message === 'route not taken'), [{ fields: { route: '172.17.0.0/16 via 10.77.0.2', reason: 'it overlaps 172.17.0.0/24 of docker0' } }])
  t.match(all.peer.status(), { state: 'online', overlaps: [{ refused: 'route 172.17.0.0/16 via 10.77.0.2', network: '172.17.0.0/24', owner: 'docker0' }] })
  t.equal(all.server.visitors.length, 1, 'over the same connection')
})

t.test('of its routes only those that the machine needs are given back; an address of the user\'s own never is', async (t) => {
  const all = await machine(t, { address: '10.88.0.9/24', pushed: ['172.16.0.0/16', '172.17.0.0/16'] })
  await once(all.peer, 'online')
  all.occupied.push({ network: '10.88.0.0/16', owner: 'wlan0' }, { network: '172.17.0.1/32', owner: 'docker0' })
  await all.server.stop()
  await until(() => all.told.length === 3)
  t.same(all.told.slice(1), ['routes 172.16.0.0/16,172.17.0.0/16', 'routes 172.16.0.0/16'])
  t.match(all.warnings.find(({ message }) => message === 'routes removed that this machine uses itself'), { fields: { count: 1 } })
})

t.test('a system that does not tell its networks: nothing is taken, and the peer tries again', async (t) => {
  let broken = true
  const all = await machine(t, { offer: '10.88.0.9/24', occupied: () => { if (broken) throw new TunError('ERR_TUN_SYSTEM', 'rtnetlink: no'); return [] } })
  t.match(await once(all.peer, 'offline'), [{ message: 'the networks of this machine cannot be read: rtnetlink: no' }])
  t.same([all.told, all.errors], [[], []])
  broken = false
  await once(all.peer, 'online')
})

t.test('the system is asked once a second at the most, and at once by a new connection', async (t) => {
  const clock = new ManualClock()
  let asked = 0
  const surroundings = new OccupiedNetworkCache({ occupied: () => { asked++; return LAN } }, clock)
  for (let i = 0; i < 1000; i++) surroundings.overlap(cidr('10.0.0.0/24'))
  clock.advance(999)
  surroundings.overlap(cidr('10.0.0.0/24'))
  t.equal(asked, 1)
  clock.advance(1)
  surroundings.overlap(cidr('10.0.0.0/24'))
  t.equal(asked, 2)
  surroundings.forget()
  t.same(surroundings.overlap(cidr('192.168.1.128/25')), { network: '192.168.1.0/24', owner: 'eth0' })
  t.equal(asked, 3)
  t.equal(new OccupiedNetworkCache({}).overlap(cidr('0.0.0.0/0')), undefined, 'no interface of the system')
})

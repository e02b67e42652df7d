/** What a peer tells of direct paths, and why there are none, in a simulated network. */
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { parseAddress } from '../../../../src/net/ipv4.ts'
import { explainPath } from '../../../../src/nodes/candy/peer/direct/explain.ts'
import { OriginalPath, type OriginalPathInit } from '../../../../src/nodes/candy/peer/direct/original-path.ts'
import type { RemotePeer } from '../../../../src/nodes/candy/peer/direct/remote-peer.ts'
import type { DirectStatus } from '../../../../src/nodes/candy/peer/direct/status.ts'
import { World } from '../../../helpers/candy/simulated-direct.ts'

const SEARCH = 30_000

t.test('a direct path: status and explanation', async (t) => {
  const world = new World(t)
  await world.stun()
  const alice = await world.join({ name: 'alice', nat: { kind: 'full-cone' } })
  const bob = await world.join({ name: 'bob', nat: { kind: 'port-restricted-cone' } })
  t.match(alice.peer.explain(bob.address), { path: 'relay', reason: 'not wanted', state: 'init', hints: [/^ping 10\.77\.0\.\d/], history: [], member: { isIntroduced: undefined } })
  await world.ping(alice, bob)
  await world.clock.pass(3000)
  await world.ping(alice, bob)
  const { direct, members } = alice.peer.status()
  t.match(direct, { isOpen: true, port: Number, endpoint: /^203\.0\.113\.1:\d+$/, stun: [{ server: '198.51.100.1:3478', status: 'answered', endpoint: /^203\.0\.113\.1:/, roundTrip: 42 }], mapping: { state: 'off' } })
  t.match(members, [{ address: bob.address, path: 'direct', via: undefined, endpoint: /^203\.0\.113\.2:/, packetsIn: 1, packetsOut: 1, state: 'connected', isIntroduced: true }])
  t.ok((members[0].roundTrip ?? 0) >= 40)
  const { history, ...explained } = alice.peer.explain(bob.address)
  t.match(explained, { path: 'direct', reason: undefined, hints: [], text: /^packets go to 203\.0\.113\.2:/, member: { isIntroduced: true, endpoint: /^203\.0\.113\.2:/ } })
  t.match(history.map(({ text }) => text), [/^a packet has come through the server|^the member is at/, /./])
  t.ok(history.some(({ text }) => /^packets go to /.test(text)))
  t.ok(history.every(({ at }) => at >= Date.UTC(2026, 0, 1)))
})

t.test('members in one home have a path in the LAN', async (t) => {
  const world = new World(t)
  await world.stun()
  const alice = await world.join({ name: 'alice', nat: { kind: 'port-restricted-cone' } })
  const bob = await world.join({ name: 'bob', beside: alice })
  await world.ping(alice, bob)
  await world.clock.pass(5000)
  t.match(alice.peer.explain(bob.address), { path: 'lan', endpoint: /^192\.168\./, reason: undefined })
})

t.test('why there is no direct path', async (t) => {
  const explain = async (a: object, b: object, { hasStun = true, detection = 0 } = {}): Promise<unknown> => {
    const world = new World(t)
    if (hasStun) await world.stun()
    const alice = await world.join({ name: 'alice', ...a })
    const bob = await world.join({ name: 'bob', ...b })
    await world.clock.pass(detection)
    await world.ping(bob, alice)
    await world.clock.pass(SEARCH)
    return alice.peer.explain(bob.address)
  }
  const home = { nat: { kind: 'port-restricted-cone' } }
  t.match(await explain(home, { ...home, peer: { direct: false } }), { path: 'relay', state: 'failed', reason: 'not told', hints: [/--direct on/], retry: Number })
  t.match(await explain(home, home, { hasStun: false }), { path: 'relay', state: 'waiting', reason: /^(no STUN|blocked)$/, own: { stun: [{ status: 'no answer' }] }, hints: [/--stun/] })
  t.match(await explain({ nat: { kind: 'symmetric' } }, { nat: { kind: 'symmetric' } }, { detection: 30_000 }), {
    path: 'relay',
    state: 'waiting',
    reason: 'symmetric',
    text: 'the NATs do not let them meet: symmetric here, symmetric there',
    hints: [/--port/],
    own: { nat: { name: 'symmetric', mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' } },
    member: { nat: { name: 'symmetric', mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' } }
  })
  t.match(await explain({ nat: { kind: 'symmetric' } }, home, { detection: 30_000 }), { path: 'relay', reason: 'symmetric', text: 'the NATs do not let them meet: symmetric here, port-restricted cone there' })
})

t.test('a path whose key has sealed as many datagrams as it may', async (t) => {
  const world = new World(t)
  const alice = await world.join({ name: 'alice' })
  const own = alice.peer.status().direct as DirectStatus
  let sealed = 2 ** 26 - 1
  const path = new OriginalPath({ cipher: { get sealed () { return sealed } } } as unknown as OriginalPathInit)
  t.equal(path.size, 1500)
  sealed++
  t.equal(path.size, 0, 'packets take another way')
  const peer = { state: 'connected', isIntroduced: false, hindrance: 'used up', history: { events: [] } } as unknown as RemotePeer
  t.match(explainPath({ address: parseAddress('10.77.0.9') as number, peer, nextHop: 0, own, now: 0 }), { path: 'relay', reason: 'used up', text: /as many datagrams/, hints: [/another address for 10\.77\.0\.9/] })
})

t.test('members that can be none', async (t) => {
  const world = new World(t)
  await world.stun()
  const alice = await world.join({ name: 'alice' })
  const relayed = await world.join({ name: 'relayed', peer: { direct: false } })
  for (const [member, message] of [
    ['bob', 'not an address (bob), expected that of a member such as 10.77.0.2'],
    ['10.78.0.1', '10.78.0.1 can be no member, expected an address in 10.77.0.0/24'],
    ['10.77.0.255', '10.77.0.255 can be no member, expected an address in 10.77.0.0/24'],
    [alice.address, `${alice.address} is this peer itself, expected another member`]
  ]) t.throws(() => alice.peer.explain(member), { code: 'ERR_OPTION', message }, member)
  t.throws(() => relayed.peer.explain(alice.address), { code: 'ERR_OPTION', message: 'direct paths are off (--direct off)' })
  t.match(relayed.peer.status(), { direct: undefined, members: [] })
})

t.test('what came of a name without an address, and of none', async (t) => {
  const world = new World(t)
  const alice = await world.join({ name: 'alice', peer: { stun: ['stun.invalid:3478'] } })
  while (alice.peer.status().direct?.stun[0].status === 'pending') await setImmediate()
  t.match(alice.peer.status().direct, { stun: [{ server: 'stun.invalid:3478', status: 'not found', error: /./ }] })
  const bob = await world.join({ name: 'bob', peer: { stun: ['none'] } })
  t.same(bob.peer.status().direct?.stun, [])
})

import t from 'tap'
import { ManualClock } from '../../../helpers/clock.ts'
import { NatType } from '../../../../src/nodes/rustdesk/protocol/enums.ts'
import { lanMask } from '../../../../src/nodes/rustdesk/rendezvous/lan-mask.ts'
import { PunchLog } from '../../../../src/nodes/rustdesk/rendezvous/punch-log.ts'
import { decidePunch, relayFor } from '../../../../src/nodes/rustdesk/rendezvous/punch.ts'
import { tcpProbe } from '../../../../src/nodes/rustdesk/rendezvous/relay-probe.ts'
import { relayEndpoint, RelayServers } from '../../../../src/nodes/rustdesk/rendezvous/relay-servers.ts'
import type { ResolvedAddress } from '../../../../src/transports/happy-eyeballs.ts'
import { listenTcp } from '../../../../src/transports/tcp.ts'

const LOCAL_IP = '10.0.0.1'
const rules = { alwaysUseRelay: false, mask: lanMask('10.0.0.0/8'), localIp: LOCAL_IP }
const next = (): string => 'relay'

const decide = (from: string, to: string, over: { isWebSocket?: boolean, alwaysUseRelay?: boolean, mask?: string } = {}) =>
  decidePunch({ host: from, isWebSocket: over.isWebSocket ?? false, natType: NatType.asymmetric }, { host: to }, { ...rules, alwaysUseRelay: over.alwaysUseRelay ?? false, mask: lanMask(over.mask ?? '10.0.0.0/8') }, next)

t.test('what a peer is asked (rows 7 to 9)', async (t) => {
  t.same(decide('192.0.2.1', '192.0.2.2'), { ask: 'hole', natType: NatType.asymmetric, relayServer: 'relay' })
  t.same(decide('192.0.2.1', '192.0.2.1'), { ask: 'local_address', natType: NatType.asymmetric, relayServer: 'relay' })
  t.same(decide('192.0.2.1', '192.0.2.1', { isWebSocket: true }), { ask: 'hole', natType: NatType.asymmetric, relayServer: 'relay' })
  t.same(decide('192.0.2.1', '192.0.2.2', { alwaysUseRelay: true }), { ask: 'hole', natType: NatType.symmetric, relayServer: 'relay' })
  t.same(decide('192.0.2.1', '192.0.2.1', { alwaysUseRelay: true }), { ask: 'local_address', natType: NatType.symmetric, relayServer: 'relay' })
  t.same(decide('2001:db8::1', '2001:db8::1'), { ask: 'local_address', natType: NatType.asymmetric, relayServer: 'relay' })
})

t.test('members of the network of the server', async (t) => {
  t.same(decide('10.0.0.2', '10.9.0.3'), { ask: 'local_address', natType: NatType.asymmetric, relayServer: 'relay' }, 'both')
  t.same(decide('10.0.0.2', '192.0.2.2'), { ask: 'hole', natType: NatType.symmetric, relayServer: 'relay' }, 'the client')
  t.same(decide('192.0.2.2', '10.0.0.2'), { ask: 'hole', natType: NatType.symmetric, relayServer: LOCAL_IP }, 'the peer')
  t.same(decide('10.0.0.2', '10.9.0.3', { mask: '' }), { ask: 'hole', natType: NatType.asymmetric, relayServer: 'relay' }, 'no network')
})

t.test('the relay that a client is told', async (t) => {
  t.equal(relayFor('192.0.2.1', '', rules, next), '')
  t.equal(relayFor('192.0.2.1', 'chosen', rules, next), 'chosen')
  t.equal(relayFor('192.0.2.1', LOCAL_IP, rules, next), 'relay', 'a private address is of no use outside')
  t.equal(relayFor('10.0.0.2', 'chosen', rules, next), LOCAL_IP)
})

t.test('a network', async (t) => {
  t.throws(() => lanMask('10.0.0.0/33'), { code: 'ERR_OPTION' })
  t.equal(lanMask('10.0.0.0/8').includes('2001:db8::1'), false)
})

t.test('relays in turn, those that are alive (row 17)', async (t) => {
  const relays = new RelayServers()
  t.equal(relays.next(), '')
  relays.configure(['a.example'])
  t.same([relays.next(), relays.next()], ['a.example', 'a.example'])
  relays.configure(['a.example', 'b.example:5000', 'c.example', 'no host', ''])
  t.same(relays.all, ['a.example', 'b.example:5000', 'c.example'])
  t.same(Array.from({ length: 6 }, relays.next), ['a.example', 'b.example:5000', 'c.example', 'a.example', 'b.example:5000', 'c.example'])
  const probed: number[] = []
  await relays.check(async ({ host, port }) => {
    probed.push(port)
    return host !== 'b.example'
  })
  t.same(probed, [21117, 5000, 21117])
  t.same(relays.live, ['a.example', 'c.example'])
  await relays.check(async () => false)
  t.same(relays.live, ['a.example', 'c.example'], 'with none alive all stays')
  const late = relays.check(async () => true)
  relays.configure(['x.example', 'y.example'])
  await late
  t.same(relays.live, ['x.example', 'y.example'], 'a check of an older list')
})

t.test('a relay that takes much longer than the fastest is left out until it is quicker', async (t) => {
  const clock = new ManualClock()
  const relays = new RelayServers({ clock })
  relays.configure(['a.example', 'b.example', 'c.example'])
  /** One check in which each relay accepts after some milliseconds; undefined: never. */
  const check = async (...times: Array<number | undefined>): Promise<readonly string[]> => {
    const checking = relays.check(({ host }) => {
      const time = times['abc'.indexOf(host[0])]
      return new Promise((resolve) => { clock.set(time ?? 3000, () => { resolve(time !== undefined) }) })
    })
    await clock.pass(3000)
    await checking
    return [...relays.live].sort()
  }
  const [a, b, c] = ['a.example', 'b.example', 'c.example']
  t.same(await check(1, 250, 1100), [a, b, c], 'one time says nothing')
  t.same(await check(1, 250, 1100), [a, b, c])
  t.same(await check(1, 250, 1100), [a, b], 'far away is not slow')
  for (let i = 0; i < 2; i++) t.same(await check(1, 5, 3), [a, b], 'by the median')
  t.same(await check(1, 5, 3), [a, b, c])
  for (let i = 0; i < 3; i++) await check(400, 1500, 1700)
  t.same(await check(400, 1500, 1700), [a, b], 'up to four times as long as the fastest')
  t.same(await check(undefined, 1500, 1700), [b, c], 'of those that are alive')
  t.same(await check(1, undefined, undefined), [a])
  t.same(await check(1, undefined, 2900), [a, c], 'what was known of one that was gone is forgotten')
  t.same(await check(undefined, undefined, undefined), [a, c])
  relays.isPlain = true
  for (let i = 0; i < 4; i++) await check(1, 2, 2900)
  t.same(relays.live, [a, b, c], 'as they are reached, with nothing beyond the original')
})

t.test('a probe that fails in an unusual way harms no other, nor the next check', async (t) => {
  const relays = new RelayServers()
  relays.configure(['a.example', 'b.example'])
  const probe = async ({ host }: { host: string }): Promise<boolean> => {
    if (host === 'a.example') throw new Error('broken')
    return true
  }
  await relays.check(probe)
  t.same(relays.live, ['b.example'])
  await relays.check(async () => true)
  t.same(relays.live, ['a.example', 'b.example'])
})

t.test('a probe by TCP looks a name up once at a time, and gives up in time', async (t) => {
  const clock = new ManualClock()
  const listener = listenTcp({ host: '127.0.0.1', port: 0 })
  t.teardown(() => { listener.close() })
  const port = await listener.port()
  const asked: string[] = []
  let answer: (found: ResolvedAddress[]) => void = () => {}
  const probe = tcpProbe({
    clock,
    lookup: (name) => {
      asked.push(name)
      return new Promise((resolve) => { answer = resolve })
    }
  })
  for (let i = 0; i < 3; i++) {
    const probing = probe({ host: 'relay.example', port })
    await clock.pass(3000)
    t.equal(await probing, false)
  }
  t.same(asked, ['relay.example'], 'one look-up that is not answered')
  const late = probe({ host: 'relay.example', port })
  answer([{ address: '127.0.0.1', family: 4 }])
  t.equal(await late, true, 'a name that resolves in the end')
  t.equal(await probe({ host: '127.0.0.1', port }), true)
  t.same(asked, ['relay.example'])
})

t.test('where a relay is', async (t) => {
  t.same(relayEndpoint('relay.example'), { host: 'relay.example', port: 21117 })
  t.same(relayEndpoint('[2001:db8::1]:5'), { host: '2001:db8::1', port: 5 })
  t.same(relayEndpoint('2001:db8::1'), undefined)
  for (const text of ['', 'a b', 'relay:0', 'relay:x', 'Y/N']) t.equal(relayEndpoint(text), undefined, text)
})

t.test('the log of punches', async (t) => {
  const log = new PunchLog()
  const entry = { date: 0, from: '192.0.2.1', id: 'peer', to: '192.0.2.2' }
  log.add(entry)
  log.add({ ...entry, date: 59_999 })
  t.equal(log.size, 1, 'the same within a minute')
  log.add({ ...entry, date: 60_000 })
  log.add({ ...entry, date: 60_001, from: '192.0.2.3' })
  t.equal(log.size, 3)
  for (let i = 0; i < 30; i++) log.add({ ...entry, id: `other ${i}`, date: 60_002 })
  log.add({ ...entry, date: 60_003 })
  t.equal(log.size, 34, 'only the last 30 are looked at')
  t.same(log.page(1, 2).map(({ date }) => date), [60_000, 60_001])
  for (let i = 0; i < 25_000; i++) log.add({ ...entry, id: `many ${i}` })
  t.equal(log.size, 10_000)
  t.equal(log.page(0, 1)[0].id, 'many 15000')
  t.equal(log.page(9999, 10).length, 1)
  log.clear()
  t.equal(log.size, 0)
})

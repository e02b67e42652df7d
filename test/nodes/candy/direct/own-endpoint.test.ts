/** Where members reach a peer: servers of STUN by their names, what they answer, and the gateway; all without sockets. */
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { decodeStun, encodeStun } from '../../../../src/nat/index.ts'
import { OwnEndpoint } from '../../../../src/nodes/candy/peer/direct/own-endpoint.ts'
import { StunServers, type FindAddress } from '../../../../src/nodes/candy/peer/direct/stun-servers.ts'
import type { Endpoint } from '../../../../src/types.ts'

const OUTSIDE = { host: '203.0.113.7', port: 4000 }
const FIRST = { host: '192.0.2.1', port: 3478 }
const SECOND = { host: '192.0.2.2', port: 3478 }
const interfaces = { eth0: [{ address: '192.168.1.2', netmask: '', family: 'IPv4' as const, mac: '', internal: false, cidr: null }] }

interface SceneInit {
  named?: Endpoint[]
  find?: FindAddress
  mapping?: { state: 'off' | 'looking' | 'mapped', external?: Endpoint }
}

function scene ({ named = [FIRST], find, mapping = { state: 'off' } }: SceneInit = {}) {
  const warnings: unknown[] = []
  let maps = 0
  const servers = new StunServers({ named, find, log: { warn: (fields: unknown) => { warnings.push(fields) } } as never })
  const endpoint = new OwnEndpoint({ servers, tries: 2, port: 5000, interfaces: () => interfaces, map: () => { maps++ }, mapping: () => mapping })
  /** Answers what is asked now; the addresses of all that was asked. */
  const answer = (now: number, as: (server: string) => Endpoint | undefined): string[] => endpoint.poll(now).map(({ data, host, port }) => {
    const reflexive = as(host)
    const { transaction } = decodeStun(data)!
    if (reflexive !== undefined) t.ok(endpoint.receive({ host, port, data: encodeStun({ class: 'success', transaction, xorMappedAddress: reflexive }) }, now))
    return host
  })
  return { endpoint, servers, warnings, mapping, answer, maps: () => maps }
}

t.test('names without an address are looked up again, not more often than each 30 seconds', async (t) => {
  let lookups = 0
  let found = ''
  const { endpoint, warnings, answer } = scene({ named: [{ host: 'stun.test', port: 3478 }], find: async () => { lookups++; if (found === '') throw new Error('no such name'); return found } })
  endpoint.ask(0)
  t.notOk(endpoint.isPrepared(10), 'an attempt waits for the name')
  t.same(endpoint.results, [{ server: 'stun.test:3478', status: 'pending' }])
  await setImmediate()
  t.match(endpoint.results, [{ status: 'not found', error: 'no such name' }])
  t.ok(endpoint.isPrepared(20), 'not for longer')
  endpoint.prepare(29_999)
  t.equal(lookups, 1)
  endpoint.prepare(30_000)
  await setImmediate()
  t.equal(lookups, 2)
  t.equal(warnings.length, 1, 'the same reason is told once')
  found = FIRST.host
  endpoint.prepare(60_000)
  await setImmediate()
  t.notOk(endpoint.isPrepared(60_001), 'there is a server now')
  t.same(answer(60_250, () => OUTSIDE), [FIRST.host], 'which is asked at once')
  t.ok(endpoint.isPrepared(60_251))
  t.match(endpoint.endpoint, OUTSIDE)
  endpoint.prepare(200_000)
  t.equal(lookups, 3, 'it answers, so it is not looked up')
})

t.test('a name whose address does not answer is looked up again; one that is not found keeps its address', async (t) => {
  const addresses: Array<string | undefined> = [FIRST.host, undefined, SECOND.host]
  const { endpoint, answer } = scene({ named: [{ host: 'stun.test', port: 3478 }], find: async () => addresses.shift() ?? await Promise.reject(new Error('no such name')) })
  const asked: string[] = []
  for (let now = 0; now <= 120_000; now += 250) {
    if (now % 10_000 === 0) endpoint.prepare(now)
    await setImmediate()
    asked.push(...answer(now, (host) => host === SECOND.host ? OUTSIDE : undefined))
  }
  t.equal(asked[0], FIRST.host)
  t.equal(asked.at(-1), SECOND.host)
  t.ok(asked.lastIndexOf(FIRST.host) < asked.indexOf(SECOND.host))
  t.match(endpoint.results, [{ server: 'stun.test:3478', status: 'answered' }])
})

t.test('a lookup that hangs does not hold an attempt', async (t) => {
  const { endpoint } = scene({ named: [{ host: 'stun.test', port: 3478 }], find: () => new Promise(() => {}) })
  endpoint.prepare(0)
  t.notOk(endpoint.isPrepared(2999))
  t.ok(endpoint.isPrepared(3000))
})

t.test('servers that do not answer hold an attempt for a while', async (t) => {
  const { endpoint } = scene()
  endpoint.ask(0)
  endpoint.poll(0)
  t.notOk(endpoint.isPrepared(5999))
  t.ok(endpoint.isPrepared(6000))
  t.match(endpoint.endpoint, { host: '192.168.1.2', port: 5000 })
})

t.test('an endpoint of IPv6 is none of a socket of IPv4', async (t) => {
  const { endpoint, answer } = scene({ named: [FIRST, SECOND] })
  endpoint.ask(0)
  answer(0, (host) => host === FIRST.host ? { host: '2001:db8::7', port: 4000 } : undefined)
  t.match(endpoint.endpoint, { host: '192.168.1.2' })
  t.notOk(endpoint.isPrepared(1))
  answer(250, () => OUTSIDE)
  t.match(endpoint.endpoint, OUTSIDE)
  t.ok(endpoint.isPrepared(251))
  t.same(endpoint.candidates.map(({ host }) => host), ['192.168.1.2', OUTSIDE.host])
})

t.test('a gateway is asked with the first attempt, which waits a little for it', async (t) => {
  const { endpoint, mapping, maps } = scene({ named: [], mapping: { state: 'looking' } })
  endpoint.ask(0)
  t.equal(maps(), 0)
  t.ok(endpoint.isPrepared(0))
  endpoint.prepare(1000)
  t.equal(maps(), 1)
  t.notOk(endpoint.isPrepared(2499))
  t.ok(endpoint.isPrepared(2500))
  mapping.state = 'mapped'
  mapping.external = OUTSIDE
  t.ok(endpoint.isPrepared(1001))
  t.match(endpoint.endpoint, OUTSIDE)
})

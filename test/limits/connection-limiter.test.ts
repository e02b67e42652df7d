import t from 'tap'
import fc from 'fast-check'
import { ConnectionLimiter, type ConnectionLimiterInit, type ConnectionSlot } from '../../src/limits/connection-limiter.ts'
import { normalizeAddress, isLoopback, clientKey } from '../../src/net/client-address.ts'

t.test('what counts as one source', async (t) => {
  for (const [host, source] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['fe80::1%br-lan', 'fe80:0:0:0::/64'],
    ['', ''],
    ['a name', 'a name']
  ]) t.equal(clientKey(host), source, host)
  t.equal(normalizeAddress('fe80::1%br-lan.7'), 'fe80::1', 'an interface is no part of an address')
  for (const host of ['', 'memory', 'name.example']) t.equal(normalizeAddress(host), host, 'what is no address')
  t.notOk(isLoopback('fe80::1%br-lan'))
})

t.test('connections of one source', async (t) => {
  const limiter = new ConnectionLimiter({ maxPerSource: 2 })
  const [first] = [limiter.admit('192.0.2.1', () => t.fail()), limiter.admit('::ffff:192.0.2.1', () => t.fail())]
  t.equal(limiter.admit('192.0.2.1', () => {}), undefined, 'one too many')
  t.ok(limiter.admit('192.0.2.2', () => {}), 'others are let in')
  first?.release()
  first?.release()
  t.ok(limiter.admit('192.0.2.1', () => {}), 'who leaves makes room, once')
  t.equal(limiter.admit('192.0.2.1', () => {}), undefined)
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) {
    for (let i = 0; i < 5; i++) t.ok(limiter.admit(host, () => {}), `${host} is exempt`)
  }
  t.match(limiter.stats, { connections: 23, halfOpen: 23, rejected: { source: 2, total: 0 }, evicted: 0 })
})

t.test('behind a proxy', async (t) => {
  const limiter = new ConnectionLimiter({ maxPerSource: 1 })
  const passes = Array.from({ length: 3 }, () => limiter.admit('203.0.113.1', () => {}, true))
  t.ok(passes.every((slot) => slot !== undefined), 'the proxy itself has no bound')
  t.equal(passes[0]?.setSource('192.0.2.1'), true)
  t.equal(passes[0]?.source, '192.0.2.1')
  t.equal(passes[1]?.setSource('192.0.2.1'), false, 'the clients behind it have')
  passes[1]?.release()
  t.equal(passes[2]?.isLocal, false)
  t.equal(passes[2]?.setSource('192.0.2.2'), true)
  passes[0]?.release()
  t.equal(passes[0]?.setSource('192.0.2.9'), false, 'too late')
  t.ok(limiter.admit('192.0.2.1', () => {}), 'nothing of those that left is counted')
})

t.test('half-open ones make room, the oldest first', async (t) => {
  const limiter = new ConnectionLimiter({ maxHalfOpen: 3 })
  const evicted: number[] = []
  const enter = (id: number): ConnectionSlot => limiter.admit(`192.0.2.${id}`, () => { evicted.push(id) }) as ConnectionSlot
  enter(1)
  enter(2).establish()
  const third = enter(3)
  enter(4)
  t.same(evicted, [])
  enter(5)
  t.same(evicted, [1])
  third.evict = () => { evicted.push(300) }
  enter(6)
  t.same(evicted, [1, 300], 'as it was told last')
  third.release()
  t.match(limiter.stats, { connections: 4, halfOpen: 3, evicted: 2 })
  limiter.configure({ maxHalfOpen: 1 })
  enter(7)
  t.match(limiter.stats, { halfOpen: 1, evicted: 5 }, 'a lower bound holds from the next one on')
})

t.test('all connections together', async (t) => {
  const limiter = new ConnectionLimiter({ maxConnections: 2 })
  let evicted = 0
  const member = limiter.admit('192.0.2.1', () => t.fail('a member makes room for nobody'))
  member?.establish()
  limiter.admit('192.0.2.2', () => { evicted++ })
  const next = limiter.admit('192.0.2.3', () => t.fail('nor does this one, from now on'))
  t.equal(evicted, 1)
  next?.establish()
  t.equal(limiter.admit('192.0.2.4', () => {}), undefined)
  t.match(limiter.stats, { connections: 2, halfOpen: 0, rejected: { total: 1 } })
  limiter.configure({ maxConnections: 3 })
  t.ok(limiter.admit('192.0.2.4', () => {}), 'a bound can change')
})

t.test('bounds that cannot be', async (t) => {
  for (const init of [{ maxPerSource: 0 }, { maxHalfOpen: 1.5 }, { maxConnections: NaN }]) t.throws(() => new ConnectionLimiter(init), { code: 'ERR_OPTION' }, JSON.stringify(init))
})

t.test('property: whatever happens, no bound is passed and nothing is left over', async (t) => {
  const act = fc.record({ what: fc.constantFrom('enter', 'leave', 'establish', 'move'), which: fc.nat(30), host: fc.nat(4), isProxy: fc.boolean() })
  fc.assert(fc.property(fc.array(act, { maxLength: 200 }), fc.record({ maxPerSource: fc.integer({ min: 1, max: 4 }), maxHalfOpen: fc.integer({ min: 1, max: 6 }), maxConnections: fc.integer({ min: 1, max: 10 }) }), (acts, init: Required<ConnectionLimiterInit>) => {
    const limiter = new ConnectionLimiter(init)
    const inside = new Set<ConnectionSlot>()
    const counted = (): Map<string, number> => {
      const counts = new Map<string, number>()
      for (const { source } of inside) counts.set(source, (counts.get(source) ?? 0) + 1)
      return counts
    }
    for (const { what, which, host, isProxy } of acts) {
      const name = `192.0.2.${host}`
      const slot = [...inside][which % Math.max(1, inside.size)]
      if (what === 'enter') {
        const entered = limiter.admit(isProxy ? 'proxy' : name, () => { inside.delete(entered as ConnectionSlot) }, isProxy)
        if (entered !== undefined) inside.add(entered)
      } else if (slot !== undefined) {
        if (what === 'establish') slot.establish()
        if (what === 'leave' || (what === 'move' && !slot.setSource(name))) {
          slot.release()
          inside.delete(slot)
        }
      }
      const { connections, halfOpen } = limiter.stats
      for (const [source, count] of counted()) if (source !== 'proxy' && count > init.maxPerSource) return false
      if (connections !== inside.size || connections > init.maxConnections || halfOpen > init.maxHalfOpen) return false
    }
    for (const slot of inside) slot.release()
    return limiter.stats.connections === 0 && limiter.stats.halfOpen === 0
  }))
  t.pass()
})

import fc from 'fast-check'
import t from 'tap'
import { IpBlocker } from '../../../../src/nodes/rustdesk/rendezvous/ip-blocker.ts'
import { IpChanges } from '../../../../src/nodes/rustdesk/rendezvous/ip-changes.ts'

const DAY = 24 * 3600 * 1000

t.test('32 calls without a pause, then none until 61 s after the last one (row 24)', async (t) => {
  const blocker = new IpBlocker()
  for (let i = 0; i < 32; i++) t.equal(blocker.allows('192.0.2.1', `id${i}`, i), true)
  t.equal(blocker.allows('192.0.2.1', 'id0', 32), false)
  t.equal(blocker.allows('192.0.2.2', 'id0', 32), true, 'another address')
  t.equal(blocker.allows('192.0.2.1', 'id0', 31 + 60_999), false, 'refused calls do not count')
  t.equal(blocker.allows('192.0.2.1', 'id0', 31 + 61_000), true)
})

t.test('301 ids a day', async (t) => {
  const blocker = new IpBlocker()
  let now = 0
  blocker.allows('192.0.2.1', 'first, which is not counted', now)
  for (let i = 0; i < 301; i++) t.equal(blocker.allows('192.0.2.1', `id${i}`, now += 61_000), true)
  t.equal(blocker.allows('192.0.2.1', 'one more', now += 61_000), false)
  t.equal(blocker.allows('192.0.2.1', 'id7', now += 61_000), true, 'one of those')
  t.equal(blocker.allows('192.0.2.1', 'one more', now += DAY + 1000), true)
  t.equal(blocker.ids, 1)
})

t.test('any history is that of a plain model', async () => {
  fc.assert(fc.property(fc.array(fc.record({ pause: fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.constant(DAY)), id: fc.integer({ min: 0, max: 400 }) }), { maxLength: 600 }), (calls) => {
    const blocker = new IpBlocker()
    let model: { a: number, aAt: number, ids: Set<number>, bAt: number } | undefined
    let now = 0
    const expected = (id: number): boolean => {
      if (model === undefined) {
        model = { a: 0, aAt: now, ids: new Set(), bAt: now }
        return true
      }
      if (Math.floor((now - model.aAt) / 1000) > 60) model.a = 0
      else if (model.a > 30) return false
      model.a += 1
      model.aAt = now
      if (Math.floor((now - model.bAt) / 1000) > 86_400) model.ids.clear()
      else if (model.ids.size > 300) return model.ids.has(id)
      model.ids.add(id)
      model.bAt = now
      return true
    }
    for (const { pause, id } of calls) {
      now += pause
      if (blocker.allows('192.0.2.1', `id${id}`, now) !== expected(id)) throw new Error(`at ${now}`)
    }
  }))
})

t.test('addresses and their ids are bounded', async (t) => {
  const blocker = new IpBlocker({ maxAddresses: 100, maxIds: 50 })
  for (let i = 0; i < 1000; i++) {
    blocker.allows(`address ${i}`, 'a', 0)
    blocker.allows(`address ${i}`, `id ${i}`, 1)
    blocker.allows(`address ${i}`, `id ${i} too`, 2)
  }
  t.ok(blocker.size <= 100)
  t.ok(blocker.ids <= 50)
  blocker.prune(2 * DAY)
  t.equal(blocker.size, 0)
  t.equal(blocker.ids, 0)
})

t.test('what is shown of an address', async (t) => {
  const blocker = new IpBlocker()
  blocker.allows('192.0.2.1', 'a', 0)
  blocker.allows('192.0.2.1', 'b', 5000)
  t.same(blocker.get('192.0.2.1', 7500), { calls: 1, callAge: 2, ids: 1, idAge: 2 })
  blocker.delete('192.0.2.1')
  t.equal(blocker.get('192.0.2.1', 0), undefined)
  t.equal(blocker.ids, 0)
})

t.test('changes of addresses, from the first one on', async (t) => {
  const changes = new IpChanges()
  changes.add('peer', '192.0.2.1', 0)
  changes.add('peer', '192.0.2.2', 1000)
  changes.add('peer', '192.0.2.2', 180_999)
  const shown = changes.get('peer', 181_000)
  t.same([shown?.age, ...shown?.addresses ?? []], [181, ['192.0.2.1', 1], ['192.0.2.2', 2]])
  changes.prune(359_999)
  t.equal(changes.size, 1)
  changes.add('peer', '192.0.2.3', 359_999)
  t.same([...changes.get('peer', 360_000)?.addresses ?? []], [['192.0.2.3', 1]], 'the window begins again')
  changes.prune(360_000)
  t.equal(changes.size, 0, 'with one address it is not shown')
})

t.test('changes are bounded', async (t) => {
  const changes = new IpChanges()
  for (let i = 0; i < 20_000; i++) changes.add(`peer ${i}`, '192.0.2.1', 0)
  t.equal(changes.size, 16_384)
  for (let i = 0; i < 100; i++) changes.add('peer 19999', `address ${i}`, 0)
  t.equal(changes.get('peer 19999', 0)?.addresses.size, 64)
})

import fc from 'fast-check'
import t from 'tap'
import { ExpiringMap } from '../../../../src/transports/memory/simulation/expiring-map.ts'

const TIME = 10

const step = fc.record({ pass: fc.nat(6), key: fc.constantFrom('a', 'b', 'c', 'd'), what: fc.constantFrom('set', 'expire', 'clear', 'set', 'set') })

t.test('property: as a list of keys with the time at which each was used last', async (t) => {
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const map = new ExpiringMap<number>()
    let model: Array<{ key: string, value: number, used: number }> = []
    let now = 0
    for (const [value, { pass, key, what }] of steps.entries()) {
      now += pass
      if (what === 'set') {
        map.set(key, value, now)
        model = [...model.filter((one) => one.key !== key), { key, value, used: now }]
      } else if (what === 'clear') {
        map.clear()
        model = []
      } else {
        const gone: number[] = []
        map.expire(now, TIME, (value) => { gone.push(value) })
        t.same(gone, model.filter(({ used }) => now - used >= TIME).map(({ value }) => value), 'the oldest first')
        model = model.filter(({ used }) => now - used < TIME)
      }
      t.equal(map.size, model.length)
      for (const key of 'abcd') t.same([map.has(key), map.get(key)], [model.some((one) => one.key === key), model.find((one) => one.key === key)?.value])
    }
  }), { numRuns: 100 })
})

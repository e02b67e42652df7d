import fc from 'fast-check'
import t from 'tap'
import { DEFAULT_PORTS, isPort, MAX_PORT, PortRanges } from '../../../src/nodes/gotunnel/protocol/port-ranges.ts'

t.test('ports and ranges', async (t) => {
  const cases: Array<[text: string, inside: number[], outside: number[]]> = [
    ['80', [80], [79, 81, 8, 800]],
    ['10000-20000,30022', [10_000, 15_000, 20_000, 30_022], [9999, 20_001, 30_021, 30_023]],
    ['1-65535', [1, 80, 65_535], [0, -1, 65_536]],
    ['5-5', [5], [4, 6]],
    [' 1 , 3-4 ', [1, 3, 4], [2, 5]],
    ['1,1-2,2-3,1', [1, 2, 3], [4]],
    [DEFAULT_PORTS, [1024, 65_535], [1023, 22, 0]]
  ]
  for (const [text, inside, outside] of cases) {
    const ranges = new PortRanges(text)
    t.equal(ranges.text, text)
    for (const port of inside) t.ok(ranges.includes(port), `${text} has ${port}`)
    for (const port of [...outside, NaN, Infinity, -Infinity]) t.notOk(ranges.includes(port), `${text} has no ${port}`)
  }
})

t.test('what is no list of them', async (t) => {
  for (const text of ['', ' ', ',', '1,', ',1', '1,,2', '0', '0-5', '1-0', '5-4', '65536', '1-65536', '99999', '123456', '-1', '1-', '-', '--', '1-2-3', '1 - 2', '1 2', '1;2', '1.5', '1e3', '0x50', 'http', '*', 'any', '١', '1-２', '1\n2', '+1']) {
    t.throws(() => new PortRanges(text), { code: 'ERR_OPTION', message: /^ports is a list/ }, JSON.stringify(text))
  }
})

t.test('what is a port', async (t) => {
  for (const port of [1, 22, 1024, MAX_PORT]) t.ok(isPort(port))
  for (const port of [0, -0, -1, 65_536, 70_000, 1.5, NaN, Infinity, 2 ** 53]) t.notOk(isPort(port), String(port))
})

t.test('property: a list has what one of its ranges has', async (t) => {
  const port = fc.integer({ min: 1, max: MAX_PORT })
  const range = fc.oneof(port.map((one) => [one, one]), fc.tuple(port, port).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]))
  fc.assert(fc.property(fc.array(range, { minLength: 1 }), fc.array(fc.integer({ min: -1, max: 65_537 })), (ranges, others) => {
    const list = new PortRanges(ranges.map(([from, to]) => from === to ? String(from) : `${from}-${to}`).join())
    const asked = [...others, ...ranges.flatMap(([from, to]) => [from - 1, from, to, to + 1])]
    return asked.every((one) => list.includes(one) === ranges.some(([from, to]) => from <= one && one <= to))
  }))
})

t.test('property: any text is a list or refused', async (t) => {
  const text = fc.oneof(fc.string(), fc.array(fc.constantFrom('1', '0', '9', '-', ',', ' ', '65535')).map((all) => all.join('')))
  fc.assert(fc.property(text, (text) => {
    try {
      const list = new PortRanges(text)
      return !list.includes(0) && !list.includes(65_536) && Array.from({ length: MAX_PORT }, (_, i) => i + 1).some((port) => list.includes(port))
    } catch (err) {
      return (err as { code?: string }).code === 'ERR_OPTION'
    }
  }))
})

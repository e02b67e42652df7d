import t from 'tap'
import { RefusalLog, type Refusal } from '../../../src/nodes/rustdesk/refusal-log.ts'
import { silent } from '../../../src/log.ts'
import { failregex } from '../../helpers/rustdesk/failregex.ts'
import { MovedClock } from '../../helpers/rustdesk/rendezvous.ts'

interface Line { client: string, count?: number }

function logged (): { log: RefusalLog, lines: Line[], clock: MovedClock, refuse (host: string, way?: Refusal['way']): void } {
  const lines: Line[] = []
  const clock = new MovedClock()
  clock.stop()
  const log = new RefusalLog({ ...silent, warn: (fields: object) => { lines.push(fields as Line) } }, clock)
  return { log, lines, clock, refuse (host, way = 'tcp') { log.add({ reason: 'key', way, client: { host, port: 1 } }) } }
}

t.test('a line has one form, and what a client has chosen comes last, without control characters', async (t) => {
  const { log, lines } = logged()
  log.add({ reason: 'key', way: 'tcp', client: { host: '192.0.2.1', port: 7 }, id: 'a\n"event"', detail: 'x'.repeat(1000) })
  const [line] = lines as unknown as Array<Record<string, string>>
  t.same(Object.keys(line), ['event', 'reason', 'way', 'client', 'port', 'id', 'detail'])
  t.match(line, { event: 'refused', reason: 'key', way: 'tcp', client: '192.0.2.1', id: 'a\\x0a"event"' })
  t.ok(line.detail.length < 200)
})

t.test('an address that a client claims for itself is not the one that is logged', async (t) => {
  const { log, lines } = logged()
  log.add({ reason: 'key', way: 'websocket', client: { host: '192.0.2.1', port: 0 }, source: '203.0.113.9' })
  log.add({ reason: 'key', way: 'websocket', client: { host: '192.0.2.1', port: 0 }, source: '192.0.2.1' })
  t.match(lines, [{ client: '203.0.113.9', claimed: '192.0.2.1' }, { client: '192.0.2.1' }])
  t.notOk('claimed' in lines[1])
  lines.length = 0
  for (let i = 0; i < 50; i++) log.add({ reason: 'key', way: 'websocket', client: { host: `192.0.2.${i}`, port: 0 }, source: '203.0.113.9' })
  t.equal(lines.length, 9, 'the one that claims them has its share')
})

t.test('the filter of fail2ban finds who claims an address, by IPv6 as well', async (t) => {
  const { log, lines } = logged()
  for (const source of ['203.0.113.9', '2001:db8:1:2::/64']) log.add({ reason: 'key', way: 'websocket', client: { host: '192.0.2.1', port: 0 }, source })
  const regex = failregex()
  t.same(lines.map((fields) => regex.exec(JSON.stringify({ level: 40, time: 1, pid: 1, hostname: 'vm', protocol: 'rustdesk', ...fields }))?.groups?.host), ['203.0.113.9', '2001:db8:1:2::/64'])
})

t.test('few of one address, however much it does, and the first of another one all the same', async (t) => {
  const { lines, clock, refuse } = logged()
  for (let i = 0; i < 500; i++) refuse('192.0.2.1')
  t.equal(lines.length, 10)
  for (let i = 0; i < 500; i++) refuse(`198.51.100.${i % 250}`)
  t.equal(new Set(lines.map(({ client }) => client)).size, 251)
  clock.offset += 3000
  lines.length = 0
  for (let i = 0; i < 500; i++) refuse('192.0.2.1')
  t.equal(lines.length, 3)
  lines.length = 0
  for (let i = 0; i < 500; i++) refuse(`2001:db8:1:2::${i.toString(16)}`)
  t.equal(lines.length, 10, 'an IPv6 /64 is one')
})

t.test('all together are bounded, those of datagrams for themselves, and the rest is counted', async (t) => {
  const { log, lines, refuse } = logged()
  for (let i = 0; i < 200; i++) refuse(`192.0.2.${i}`, 'udp')
  t.equal(lines.length, 20)
  for (let i = 0; i < 2000; i++) refuse(`10.0.${i >> 8}.${i & 255}`)
  t.equal(lines.length, 1020)
  log.tick()
  t.same(lines.slice(1020).map(({ count }) => count), [1000, 180])
})

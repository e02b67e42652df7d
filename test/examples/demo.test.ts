import t from 'tap'
import { createView } from '../../examples/demo/view.ts'
import type { Snapshot } from '../../examples/demo/lab.ts'
import { startExample } from '../helpers/programs/example.ts'

const DEMO = 'demo/index.ts'

t.test('two seconds of three peers, as JSON', async (t) => {
  const { code, stdout, stderr } = await startExample(t, DEMO, ['--json', '--seconds', '2', '--peers', '3']).ended
  t.equal(stderr, '')
  t.equal(code, 0)
  const lines: Array<Snapshot & { event: string }> = stdout.trim().split('\n').map((line) => JSON.parse(line))
  const summary = lines.at(-1)
  t.ok(lines.length >= 2, 'a line a second, and one at the end')
  t.same(lines.map(({ event }) => event), [...lines.slice(1).map(() => 'second'), 'summary'])
  t.equal(summary?.relay.dropped, 0)
  t.ok((summary?.seconds ?? 0) >= 2)
  t.same(summary?.peers.map(({ address }) => address), ['10.77.0.1', '10.77.0.2', '10.77.0.3'])
  let [received, sent, expected] = [0, 0, 0]
  for (const { ping, udp, packetsIn, packetsOut } of summary?.peers ?? []) {
    t.match({ ping, udp }, { ping: { lost: 0 }, udp: { lost: 0, echoed: udp.sent } })
    t.ok(ping.answered > 0 && udp.sent > 0)
    t.ok(ping.last > 0 && ping.average > 0 && ping.average < 2000)
    received += packetsIn
    sent += packetsOut
    expected += 2 * (ping.answered + udp.sent)
  }
  t.same({ received, sent, relayed: summary?.relay.packets }, { received: expected, sent: expected, relayed: expected }, 'each request, each answer, once')
})

t.test('a signal ends it, and it says what it has done', async (t) => {
  const demo = startExample(t, DEMO, ['--peers', '2'])
  await demo.find(/^1\.\d s {2}2 peers .* datagrams echoed {2}0 lost\n/m)
  demo.signal('SIGINT')
  t.match(await demo.ended, { code: 0, stderr: '', stdout: /\n2 peers, \d+\.\d s: \d.* (\d+) of \1 pings answered, (\d+) of \2 datagrams echoed\.\n$/ })
})

t.test('usage', async (t) => {
  t.match(await startExample(t, DEMO, ['--help']).ended, { code: 0, stdout: /^Usage: npm run demo -- .*--peers N/s })
  t.same(await startExample(t, DEMO, ['--peers', '9']).ended, { code: 2, stdout: '', stderr: '--peers is a whole number of 2 to 8, not "9"\n' })
  t.match(await startExample(t, DEMO, ['--pears', '2']).ended, { code: 2, stdout: '', stderr: /^Unknown option '--pears'/ })
})

t.test('on a terminal the table is redrawn in place', async (t) => {
  const exits = process.listeners('exit')
  t.teardown(() => { for (const listener of process.listeners('exit').filter((one) => !exits.includes(one))) process.off('exit', listener) })
  const written: string[] = []
  const view = createView(false, { isTTY: true, columns: 50, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream)
  const peer = { address: '10.77.0.1', packetsIn: 1234, packetsOut: 1235, rate: 99.6, ping: { answered: 3, lost: 0, last: 0.5, average: 0.25 }, udp: { sent: 9, echoed: 8, lost: 1 } }
  const snapshot = { seconds: 1.04, relay: { url: 'ws://127.0.0.1:1', packets: 2469, dropped: 0 }, peers: [peer, peer] }
  view.update(snapshot)
  view.update(snapshot)
  view.finish(snapshot)
  t.equal(written.length, 4, 'one write each time')
  const [first, second, third, summary] = written
  t.equal(second, first.replace('\x1b[?25l', '\x1b[?25l\r\x1b[5A'), 'over the five lines before')
  t.equal(third, second)
  const lines = first.split('\n').map((line) => line.replaceAll(/\x1b\[\??\d*[a-zA-Z]/g, '')) // eslint-disable-line no-control-regex
  t.equal(lines.length, 6)
  t.match(lines[1], /^10\.77\.0\.1 +1,234 +1,235 +100/)
  for (const line of lines) t.ok(line.length <= 50, 'no line wraps')
  t.match(summary, '2 peers, 1.0 s: 2,469 packets through the relay; 6 of 6 pings answered, 16 of 18 datagrams echoed.\n')
  process.listeners('exit').find((listener) => !exits.includes(listener))?.(0)
  t.equal(written.at(-1), '\x1b[?25h', 'and the cursor comes back')
})

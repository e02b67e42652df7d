import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readCapture } from '../helpers/pcapng.ts'
import { startExample } from '../helpers/programs/example.ts'

t.test('quick start', async (t) => {
  t.match(await startExample(t, 'quick-start.ts').ended, { code: 0, stderr: '', stdout: /^10\.77\.0\.\d+\/24 pings 10\.77\.0\.2\/24: \d+\.\d\d ms\n$/ })
})

t.test('a layer of one\'s own', async (t) => {
  t.same(await startExample(t, 'own-layer.ts').ended, { code: 0, stderr: '', stdout: "[ 'one', 'two' ]\n[ 'three' ]\n" })
})

t.test('a relay and peers inside a program', async (t) => {
  t.same(await startExample(t, 'embedding.ts').ended, { code: 0, stderr: '', stdout: '10.77.0.2: hello, world\nthe relay has forwarded 2 packets\n' })
})

t.test('a port that leads elsewhere', async (t) => {
  t.same(await startExample(t, 'ports.ts').ended, { code: 0, stderr: '', stdout: 'hello\n1 user, strict mode\n' })
})

t.test('the servers of RustDesk', async (t) => {
  t.same(await startExample(t, 'rustdesk.ts').ended, { code: 0, stderr: '', stdout: 'there is no such peer\n' })
})

t.test('nodes that are known by their keys', async (t) => {
  t.same(await startExample(t, 'showchain.ts').ended, { code: 0, stderr: '', stdout: 'hello\n2 nodes, 1 of them served\n' })
})

t.test('many links over one connection', async (t) => {
  const stdout = 'ERR_LINK_REFUSED 64 there is no shell\nwelcome: hello, world\n1 link left\nslow: enough\nended by nobody and nobody\n'
  t.same(await startExample(t, 'links.ts').ended, { code: 0, stderr: '', stdout })
})

t.test('datagrams', async (t) => {
  t.same(await startExample(t, 'udp-echo.ts').ended, { code: 0, stderr: '', stdout: 'hello, 1 link\n' })
})

t.test('a reliable stream', async (t) => {
  t.same(await startExample(t, 'reliable.ts').ended, { code: 0, stderr: '', stdout: '1000000 bytes there and back, 0 wrong\n' })
})

t.test('sealed datagrams', async (t) => {
  t.same(await startExample(t, 'sealing.ts').ended, { code: 0, stderr: '', stdout: 'true hello\nfalse <Buffer 00 00 00 00 00>\n' })
})

t.test('a protocol of one\'s own in a simulated network: a fault that a seed finds and shows again', async (t) => {
  const { code, stderr, stdout } = await startExample(t, 'simulated-loss.ts').ended
  t.same([code, stderr], [0, ''])
  const [, seed, got, trace] = /^seed (\d+): (.*)\n((?: .*\n)+)the same again: \2\nrepeated messages ignored: 200 seeds, each message once and in order\n$/.exec(stdout) ?? []
  t.ok(Number(seed) > 0)
  t.match(got, /(\w+) \1/, 'a message twice')
  t.match(trace, /^ {7}0\.000 ms {2}sender {12}sent /)
})

t.test('peers behind NATs', async (t) => {
  const { code, stderr, stdout } = await startExample(t, 'hole-punching.ts').ended
  t.same([code, stderr], [0, ''])
  t.same(stdout.trimEnd().split('\n').map((line) => line.split(/ {2,}/).slice(1).join()), [
    'full-cone,restricted-cone,port-restricted-cone,symmetric',
    'direct,direct,direct,direct',
    'direct,direct,direct,direct',
    'direct,direct,direct,relay needed',
    'direct,direct,relay needed,relay needed',
    '',
    ''
  ])
  t.match(stdout, /two NATs of Linux, the second peer 0 ms later: direct\ntwo NATs of Linux, the second peer 500 ms later: relay needed\n$/)
})

t.test('a capture', async (t) => {
  const file = join(t.testdir(), 'lab.pcapng')
  t.same(await startExample(t, 'capture.ts', [file]).ended, { code: 0, stderr: '', stdout: `4 packets in ${file}\n` })
  const { packets } = readCapture(readFileSync(file))
  t.same(packets.map(({ interfaceId, direction, data }) => `${interfaceId} ${direction} ${data.length}`), ['1 out 84', '0 out 86', '0 in 86', '1 in 84'])
})

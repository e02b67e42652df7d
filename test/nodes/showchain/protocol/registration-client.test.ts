/** A node at one of its helpers (SHOW CHAIN protocol, section 5.1). */
import t from 'tap'
import { ManualClock } from '../../../helpers/clock.ts'
import { Backoff } from '../../../../src/limits/backoff.ts'
import { addressBytes, addressText } from '../../../../src/nodes/showchain/protocol/addresses.ts'
import type { ShowchainMessage } from '../../../../src/nodes/showchain/protocol/messages.ts'
import { Op, opName } from '../../../../src/nodes/showchain/protocol/op.ts'
import { RegistrationClient } from '../../../../src/nodes/showchain/protocol/registration-client.ts'
import { OpenRequests } from '../../../../src/nodes/showchain/protocol/requests.ts'
import { Sequence } from '../../../../src/nodes/showchain/protocol/sequence.ts'
import type { Endpoint } from '../../../../src/types.ts'

const OWN = Buffer.alloc(32, 1)
const HELPER = { host: '192.0.2.1', port: 7700 }
const OUTSIDE = { host: '203.0.113.7', port: 5000 }
const RTT = 40

class Bench {
  readonly clock = new ManualClock({ date: 1_700_000_000_000 })
  readonly sent: Array<{ message: ShowchainMessage, to: Endpoint, at: number }> = []
  readonly events: string[] = []
  /** Of the helper. */
  id: Uint8Array = Buffer.alloc(32, 9)
  isDeaf = false
  ignoresKeepAlives = false
  outside: Endpoint = OUTSIDE
  address = HELPER.host
  lookups = 0
  readonly requests = new OpenRequests({
    clock: this.clock,
    sequence: new Sequence(this.clock),
    identity: { id: OWN, der: Buffer.alloc(294) },
    send: (message, to) => this.take(message, to)
  })

  readonly client = new RegistrationClient({
    clock: this.clock,
    requests: this.requests,
    named: { host: 'helper.example', port: HELPER.port },
    resolve: async ({ port }) => {
      this.lookups++
      if (this.address === '') throw new Error('no such name')
      return { host: this.address, port }
    },
    send: (message, to) => { this.take(message, to) },
    own: OWN,
    kind: () => 3,
    backoff: new Backoff({ clock: this.clock, random: () => 1 }),
    onRegistered: () => { this.events.push('registered') },
    onLost: (reason, wait) => { this.events.push(`lost: ${reason}, ${wait}`) },
    onMapped: ({ port }, before) => { this.events.push(`mapped ${port}, before ${before?.port}`) }
  })

  /** The helper: without a cookie a challenge, another id is not answered. */
  take (message: ShowchainMessage, to: Endpoint): boolean {
    this.sent.push({ message, to, at: this.clock.now() })
    if (this.isDeaf || to.host !== HELPER.host) return true
    const { op, seq, ts, target, cookie } = message
    const seen = { ip: addressBytes(this.outside.host), port: this.outside.port }
    const answer = (message: ShowchainMessage): void => { this.clock.set(RTT, () => { if (!this.requests.receive({ message, from: HELPER })) this.client.receive({ message, from: HELPER }) }) }
    if (op === Op.keepAlive) {
      if (!this.ignoresKeepAlives) answer({ op, id: this.id, seq: 0, ts: 0, ...seen })
    } else if (cookie === undefined) {
      answer({ op: Op.directResponse, seq, ts, ...seen, cookie: Buffer.alloc(16, 3) })
    } else if (target?.every((byte) => byte === 0) === true || Buffer.compare(target as Uint8Array, this.id) === 0) {
      answer({ op: Op.directResponse, id: this.id, seq, ts, ...seen, sign: Buffer.alloc(256), key: Buffer.alloc(294) })
    }
    return true
  }

  names (): string[] { return this.sent.splice(0).map(({ message }) => opName(message.op) as string) }
}

t.test('registers by three round trips: a cookie, the id, the registration; kept alive', async (t) => {
  const bench = new Bench()
  t.equal(bench.client.state, 'idle')
  t.ok(bench.client.isUntouched)
  bench.client.start()
  await bench.clock.pass(3 * RTT)
  t.match(bench.client, { state: 'registered', isRegistered: true, isUntouched: false, id: bench.id, endpoint: HELPER, mapped: OUTSIDE, roundTrip: RTT, reason: undefined })
  t.same(bench.sent.map(({ message: { target, kind } }) => [target?.[0], kind]), [[0, 3], [0, 3], [9, 3]])
  t.same(bench.events, ['mapped 5000, before undefined', 'registered'])
  bench.sent.length = 0
  await bench.clock.pass(61_000)
  t.same(bench.names(), ['keepAlive', 'keepAlive', 'keepAlive', 'keepAlive'])
  t.equal(bench.client.state, 'registered')
  t.same(bench.clock.waiting.length, 1, 'one timer')
})

t.test('keep-alives without an answer are repeated, then it registers anew', async (t) => {
  const bench = new Bench()
  bench.client.start()
  await bench.clock.pass(1000)
  bench.names()
  bench.ignoresKeepAlives = true
  await bench.clock.pass(15_000)
  t.equal(bench.client.state, 'checking')
  t.ok(bench.client.isRegistered)
  await bench.clock.pass(8000)
  t.same(bench.names(), ['keepAlive', 'keepAlive', 'keepAlive', 'keepAlive', 'directRequest'], 'with the cookie and the id that are known')
  t.equal(bench.client.state, 'registered')
  t.equal(bench.lookups, 2, 'the name was looked up again')
})

t.test('an endpoint that changes is told', async (t) => {
  const bench = new Bench()
  bench.client.start()
  await bench.clock.pass(1000)
  bench.outside = { ...OUTSIDE, port: 6000 }
  await bench.clock.pass(15_000)
  t.equal(bench.events.at(-1), 'mapped 6000, before 5000')
  t.same(bench.client.mapped, bench.outside)
})

t.test('a helper that is gone, or another one in its place', async (t) => {
  const bench = new Bench()
  bench.client.start()
  await bench.clock.pass(1000)
  bench.isDeaf = true
  await bench.clock.pass(15_000 + 8000 + 4400)
  t.match(bench.client, { state: 'waiting', isRegistered: false, reason: 'no answer' })
  t.equal(bench.events.at(-1), 'lost: no answer, 500')
  bench.isDeaf = false
  bench.id = Buffer.alloc(32, 8)
  await bench.clock.pass(1000)
  t.match(bench.client, { state: 'registered', id: bench.id })
  bench.id = Buffer.alloc(32, 7)
  await bench.clock.pass(15_000 + 8000 + 5000 + 2000)
  t.match(bench.client, { state: 'registered', id: bench.id }, 'its key has changed')
})

t.test('a name that is not found, and one that moves', async (t) => {
  const bench = new Bench()
  bench.address = ''
  bench.client.start()
  await bench.clock.pass(100)
  t.match(bench.client, { state: 'waiting', reason: 'no such name', isUntouched: true, endpoint: undefined })
  bench.address = '192.0.2.99'
  await bench.clock.pass(1000)
  t.equal(bench.client.state, 'asking')
  bench.address = HELPER.host
  await bench.clock.pass(10_000)
  t.match(bench.client, { state: 'registered', endpoint: HELPER })
})

t.test('0x100 from elsewhere, or of another id, is none of the helper', async (t) => {
  const bench = new Bench()
  const { client } = bench
  const alive = { op: Op.keepAlive, id: bench.id, seq: 0, ts: 0, ip: addressBytes('1.2.3.4'), port: 5 } as const
  t.notOk(client.receive({ message: alive, from: HELPER }), 'before it is registered')
  client.start()
  await bench.clock.pass(1000)
  t.notOk(client.receive({ message: alive, from: { ...HELPER, port: 1 } }))
  t.notOk(client.receive({ message: { ...alive, id: OWN }, from: HELPER }))
  t.same(client.mapped, OUTSIDE)
  t.ok(client.receive({ message: alive, from: HELPER }))
  t.same(client.mapped, OUTSIDE, 'one that answers nothing tells nothing')
  client.stop()
  t.equal(client.state, 'idle')
  t.same(bench.clock.waiting, [])
})

t.test('addresses as bytes and text', async (t) => {
  for (const [text, hex] of [['192.0.2.255', 'c00002ff'], ['2001:db8::1', '20010db8000000000000000000000001']]) {
    t.equal(Buffer.from(addressBytes(text) as Uint8Array).toString('hex'), hex)
    t.equal(addressText(Buffer.from(hex, 'hex')), text)
  }
  t.equal(Buffer.from(addressBytes('::ffff:192.0.2.1') as Uint8Array).toString('hex'), 'c0000201')
  t.equal(addressBytes('name.example'), undefined)
})

t.test('it can be asked to look earlier, but asks the helper no more than it answers', async (t) => {
  const bench = new Bench()
  bench.client.check()
  t.equal(bench.client.state, 'idle')
  bench.client.start()
  await bench.clock.pass(1000)
  bench.names()
  bench.client.check()
  await bench.clock.pass(100)
  t.same(bench.names(), ['keepAlive'], 'at once')
  for (let i = 0; i < 99; i++) {
    bench.client.check()
    await bench.clock.pass(100)
  }
  t.same(bench.names(), ['keepAlive'], 'in 10 s')
  bench.client.stop()
  bench.client.check()
  await bench.clock.pass(20_000)
  t.same(bench.names(), [])
})

import t from 'tap'
import { PushLimiter } from '../../../../src/nodes/rustdesk/rendezvous/push-limiter.ts'

/** How many of some messages are sent. */
function sent (limiter: PushLimiter, to: { host: string, port: number }, now: number, count: number): number {
  let passed = 0
  for (let i = 0; i < count; i++) if (limiter.allows(to, now)) passed++
  return passed
}

t.test('64 to one port at once, 16 a second from then on; others are not concerned', async (t) => {
  const limiter = new PushLimiter()
  const peer = { host: '192.0.2.1', port: 5000 }
  t.equal(sent(limiter, peer, 0, 1000), 64)
  t.equal(sent(limiter, { ...peer, port: 5001 }, 0, 10), 10)
  t.equal(sent(limiter, { ...peer, host: '192.0.2.2' }, 0, 10), 10)
  let passed = 0
  for (let now = 100; now <= 10_000; now += 100) passed += sent(limiter, peer, now, 100)
  t.equal(passed, 160)
})

t.test('1024 to one address at once, whatever its ports are, 256 a second from then on; an IPv6 /64 is one', async (t) => {
  for (const hostOf of [() => '192.0.2.1', (port: number) => `2001:db8::${port}`]) {
    const limiter = new PushLimiter()
    let passed = 0
    for (let port = 1; port <= 100; port++) passed += sent(limiter, { host: hostOf(port), port }, 0, 64)
    t.equal(passed, 1024)
    passed = 0
    for (let port = 1; port <= 100; port++) passed += sent(limiter, { host: hostOf(port), port }, 1000, 64)
    t.equal(passed, 256)
  }
})

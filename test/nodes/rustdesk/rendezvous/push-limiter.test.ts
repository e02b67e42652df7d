import t from 'tap'
import { PushLimiter, type PushTarget } from '../../../../src/nodes/rustdesk/rendezvous/push-limiter.ts'

const PEER: PushTarget = { id: 'peer-12345', host: '192.0.2.1', port: 5000 }

/** How many of some messages are sent, each for another client unless there is one. */
function sent (limiter: PushLimiter, to: PushTarget, now: number, count: number, client?: string): number {
  let passed = 0
  for (let i = 0; i < count; i++) if (limiter.allows(to, client ?? `198.51.${i >> 8}.${i & 255}`, now)) passed++
  return passed
}

t.test('16 for one client to one peer at once, 2 a second from then on; others are not concerned', async (t) => {
  for (const to of [PEER, { ...PEER, connection: {} }]) {
    const limiter = new PushLimiter()
    t.equal(sent(limiter, to, 0, 1000, '203.0.113.1'), 16)
    t.equal(sent(limiter, { ...to, id: 'peer-67890' }, 0, 1000, '203.0.113.1'), 16)
    let [passed, others] = [0, 0]
    for (let now = 100; now <= 10_000; now += 100) {
      passed += sent(limiter, to, now, 100, '203.0.113.1')
      others += sent(limiter, to, now, 1, '203.0.113.2')
    }
    t.equal(passed, 20)
    t.equal(others, 35, 'as many as if there were nobody else')
  }
})

t.test('256 to one port at once, 64 a second from then on; others are not concerned', async (t) => {
  const limiter = new PushLimiter()
  t.equal(sent(limiter, PEER, 0, 1000), 256)
  t.equal(sent(limiter, { ...PEER, port: 5001 }, 0, 10, 'one'), 10)
  t.equal(sent(limiter, { ...PEER, host: '192.0.2.2' }, 0, 10, 'two'), 10)
  t.equal(sent(limiter, PEER, 1000, 1000), 64)
})

t.test('256 to one peer with a connection, 64 a second from then on; others are not concerned', async (t) => {
  const limiter = new PushLimiter()
  const connected = { ...PEER, port: 0, connection: {} }
  t.equal(sent(limiter, connected, 0, 1000), 256)
  t.equal(sent(limiter, { ...connected, id: 'peer-67890' }, 0, 10, 'one'), 10, 'behind the same address')
  t.equal(sent(limiter, connected, 1000, 1000), 64)
})

t.test('4096 to one address at once, whatever its ports are, 1024 a second from then on; an IPv6 /64 is one', async (t) => {
  for (const hostOf of [() => '192.0.2.1', (port: number) => `2001:db8::${port}`]) {
    const limiter = new PushLimiter()
    const all = (now: number): number => {
      let passed = 0
      for (let port = 1; port <= 100; port++) passed += sent(limiter, { id: `peer-${port}`, host: hostOf(port), port }, now, 64)
      return passed
    }
    t.equal(all(0), 4096)
    t.equal(all(1000), 1024)
  }
})

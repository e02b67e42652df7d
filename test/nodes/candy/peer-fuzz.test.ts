/**
 * Whole conversations, damaged: those of clients against a relay with members who must not notice, and those of servers
 * against a peer. Each round can be run again from its number.
 */
import t from 'tap'
import { CandyRelay } from '../../../src/nodes/candy/index.ts'
import { encodeAuth, encodeDhcp, encodeVmac } from '../../../src/nodes/candy/protocol/handshake.ts'
import { wrapForward } from '../../../src/nodes/candy/protocol/forward.ts'
import { encodeConn, encodeDiscovery, encodeGeneral } from '../../../src/nodes/candy/protocol/messages.ts'
import { PEER_FRAMES } from '../../../src/nodes/candy/peer/peer.ts'
import { PeerRoutes } from '../../../src/nodes/candy/peer/routes.ts'
import { PeerSession } from '../../../src/nodes/candy/peer/session.ts'
import { PeerTaps } from '../../../src/nodes/candy/peer/taps.ts'
import { newPeerStats } from '../../../src/nodes/candy/peer/stats.ts'
import { RoutePolicy } from '../../../src/nodes/candy/peer/route-policy.ts'
import { RELAY_FRAMES } from '../../../src/nodes/candy/relay/settings.ts'
import { silent } from '../../../src/log.ts'
import { websocketFrames } from '../../../src/transforms/websocket-frames/index.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import { userspaceTun } from '../../../src/tun/index.ts'
import type { Link } from '../../../src/types.ts'
import { hex, mutate, random, toHex } from '../../helpers/bytes.ts'
import { mutations } from '../../helpers/sample.ts'
import { addr, connect, forward, PASSWORD, packet, seconds, secret } from '../../helpers/candy/client.ts'
import { nothing, turn } from '../../helpers/ends.ts'
import { BINARY, CLOSE, frame, memoryInUse, PING, PONG, TEXT, udpPacket, type Frame } from '../../helpers/candy/scripted-server.ts'
import { vector } from '../../helpers/candy/vectors.ts'
import { systemClock } from '../../../src/streams/clock.ts'

const rounds = Math.ceil(mutations() / 10)

/** Rounds that run at the same time, and disturb each other. */
const TOGETHER = 20

/** More memory than this in the second half of all rounds would be a leak. That of compiled code, which comes at any time, is up to 4 MiB. */
const GROWTH = 8 << 20

const message = (payload: Uint8Array): Frame => ({ opcode: BINARY, payload: Buffer.from(payload) })

type Below = (n: number) => number

/** Damages messages and leaves the frames around them whole, or damages the bytes. */
function damaged (conversation: Frame[], below: Below, masked: boolean): Buffer {
  const inMessages = below(2) === 0
  const frames = conversation.slice()
  for (let i = inMessages ? 1 + below(3) : 0; i > 0; i--) {
    const at = below(frames.length)
    frames[at] = { ...frames[at], payload: Buffer.from(mutate(frames[at].payload, below)) }
  }
  if (below(4) === 0) frames.splice(below(frames.length), 1)
  if (below(4) === 0) frames.splice(below(frames.length), 0, frames[below(frames.length)])
  const mask = masked ? Buffer.from([below(256), below(256), below(256), below(256)]) : undefined
  const wire = Buffer.concat(frames.map(({ opcode, payload }) => frame(opcode, payload, mask)))
  return inMessages ? wire : Buffer.from(mutate(wire, below))
}

/** Sends in pieces, then ends the connection in one of the ways in which connections end. */
async function send (link: Link, wire: Buffer, below: Below): Promise<void> {
  for (let at = 0; at < wire.length;) {
    const to = at + 1 + below(below(3) === 0 ? 20 : wire.length)
    link.port.send([wire.subarray(at, to)])
    at = to
  }
  if (below(4) > 0) {
    await link.sink(nothing()).catch(() => {})
  } else {
    for (let i = below(4); i > 0; i--) await turn()
    link.abort(new Error('aborted by the test'))
  }
}

/** Runs all rounds, some of them at the same time, and looks at the memory in the middle and at the end. */
async function all (run: (below: Below, round: number) => Promise<void>, between: (done: number) => Promise<void> = async () => {}): Promise<number> {
  let memory = 0
  for (let round = 0; round < rounds; round += TOGETHER) {
    if (round >= rounds / 2 && memory === 0) memory = await memoryInUse()
    await Promise.all(Array.from({ length: Math.min(TOGETHER, rounds - round) }, (_, i) => run(random(round + i), round + i)))
    await between(round)
  }
  return await memoryInUse() - memory
}

t.test('damaged clients harm neither the relay nor its members', async (t) => {
  const faults: object[] = []
  const relay = new CandyRelay({
    password: PASSWORD,
    dhcp: '10.77.0.0/24',
    sdwan: '10.77.0.0/24,172.16.0.0/16,10.77.0.9;10.77.0.9/32,172.17.0.0/16,10.77.0.1',
    log: { ...silent, error: (fields) => { faults.push(fields) } }
  })
  t.teardown(() => relay.close())
  const [a, b] = [connect(relay), connect(relay)]
  await a.join('aaaaaaaaaaaaaaaa')
  await b.join('bbbbbbbbbbbbbbbb')
  t.equal(relay.stats.peers, 2)

  const timestamp = seconds()
  const [source, other] = [addr('10.77.0.9'), addr('10.77.0.10')]
  const conversation: Frame[] = [
    message(encodeVmac({ secret, vmac: '0123456789abcdef', timestamp })),
    message(encodeDhcp({ secret, cidr: { address: source, prefix: 24 }, timestamp, tail: hex('c0ffee') })),
    message(encodeAuth({ secret, address: source, timestamp })),
    { opcode: PING, payload: Buffer.from('candy::linux::6.1.8::intruder') },
    message(forward('10.77.0.9', '10.77.0.2')),
    message(forward('10.77.0.9', '255.255.255.255', 100)),
    message(forward('172.16.0.5', '10.77.0.1')),
    message(forward('10.77.0.9', '10.77.0.9', 1479)),
    message(encodeConn({ source, destination: addr('10.77.0.1'), address: 1, port: 1 })),
    message(encodeDiscovery({ source, destination: addr('255.255.255.255') })),
    message(encodeGeneral({ subtype: 0, extra: 0, source, destination: addr('10.77.0.2'), data: hex('c0a801320001') })),
    { opcode: TEXT, payload: Buffer.from('text') },
    { opcode: PONG, payload: Buffer.alloc(0) },
    message(encodeAuth({ secret, address: other, timestamp })),
    message(forward('10.77.0.10', '10.77.0.1')),
    { opcode: CLOSE, payload: hex('03e8') }
  ]

  let lost = 0
  const grown = await all(async (below) => {
    const [here, there] = memoryPair()
    const served = relay.accept(Object.assign(websocketFrames({ ...RELAY_FRAMES, role: 'server' })(there), { remote: { host: '127.0.0.1', port: 9 } })) // which has no rate of failures
    await send(here, damaged(conversation, below, true), below)
    await served
    here.abort(new Error('the round is over'))
  }, async (done) => {
    if (done % 500 !== 0) return
    const marked = wrapForward(packet('10.77.0.1', '10.77.0.2', 20 + done % 1000))
    a.send(marked)
    await a.settled()
    await b.settled()
    if (b.inbox.splice(0).filter((received) => toHex(received) === toHex(marked)).length !== 1) lost++
    a.inbox.length = 0
  })
  t.equal(lost, 0, 'the members reached each other all the time')
  t.same(faults, [], 'no fault of the relay')
  t.match(relay.stats, { connections: 2, peers: 2, accepted: rounds + 2 })
  const { refused, packetsIn, packetsOut, drops } = relay.stats
  const refusals = Object.values(refused).reduce((sum, count) => sum + count)
  t.ok(refusals > rounds / 10 && refusals <= rounds, `${refusals} of ${rounds} were refused`)
  t.ok(packetsIn > rounds && packetsOut > rounds && drops.source > 0 && drops.destination > 0, 'the others got quite far')
  t.ok(grown < GROWTH, `${grown} bytes more`)

  a.link.close()
  b.link.close()
  await Promise.all([a.served, b.served])
  t.match(relay.stats, { connections: 0, peers: 0 })
})

/** What may end a session. */
const KNOWN = ['ERR_CANDY_MESSAGE', 'ERR_WEBSOCKET_PROTOCOL', 'ERR_WEBSOCKET_CLOSED', 'ERR_TRUNCATED', 'ERR_LINK_CLOSED']

t.test('damaged servers harm no peer', async (t) => {
  const tun = userspaceTun()
  t.teardown(() => tun.close())
  void (async () => { for await (const batch of tun.source) void batch })()
  const { send: write } = tun.port
  let malformed = 0
  tun.port.send = (batch) => {
    for (const inside of batch) if (inside[0] >>> 4 !== 4 || inside.length < 20) malformed++
    return write(batch)
  }
  const stats = newPeerStats()
  const policy = new RoutePolicy('private')
  const reply = encodeDhcp({ secret, cidr: { address: addr('10.77.0.9'), prefix: 24 }, timestamp: seconds() })
  const conversation: Frame[] = [
    message(Buffer.concat([reply, hex('00ff')])),
    message(hex('06020000ac100100ffffff00c0a8ca01ac110000ffff0000c0a8ca02')),
    { opcode: PONG, payload: Buffer.alloc(1500) },
    { opcode: PONG, payload: Buffer.from('candy::linux::6.1.8::h') },
    message(forward('10.77.0.2', '10.77.0.9')),
    message(forward('10.77.0.2', '10.77.0.9', 1479)),
    message(vector('forward_icmp_echo').bytes),
    message(vector('forward_ipip_route').bytes),
    { opcode: PING, payload: Buffer.from('ping') },
    message(encodeConn({ source: 1, destination: 2, address: 1, port: 1 })),
    message(encodeGeneral({ subtype: 0, extra: 0, source: 1, destination: 2, data: hex('c0a801320001') })),
    { opcode: TEXT, payload: Buffer.from('text') },
    message(reply),
    message(forward('10.77.0.2', '255.255.255.255')),
    { opcode: CLOSE, payload: Buffer.from('net close') }
  ]

  const strange: string[] = []
  const ends = new Map<string, number>()
  let addresses = 0
  let online = 0
  const grown = await all(async (below, round) => {
    const [here, there] = memoryPair()
    const link = websocketFrames({ ...PEER_FRAMES, role: 'client' })(here)
    const session = new PeerSession({
      link,
      tun,
      routes: new PeerRoutes({ tun, policy, stats, log: silent }),
      secret,
      vmac: '0123456789abcdef',
      address: below(4) === 0 ? '10.77.0.9/24' : undefined,
      greeting: 'candy::linux::tunpipe::fuzz',
      clock: systemClock,
      dialledAt: performance.now(),
      pingInterval: 1e6,
      deadAfter: 2e6,
      stats,
      onAddress: () => { addresses++ },
      log: silent,
      direct: () => undefined,
      deliver: (packets) => {
        stats.packetsIn += packets.length
        tun.port.send(packets)
      },
      tap: new PeerTaps(),
      onOnline: () => { online++ }
    })
    const running = session.run().then(() => 'goodbye', (err) => {
      if (!KNOWN.includes(err.code)) strange.push(`round ${round}: ${err.stack}`)
      return String(err.code)
    })
    void (async () => { for await (const batch of there.source) void batch })().catch(() => {})
    if (below(3) === 0) await turn()
    await send(there, damaged(conversation, below, false), below)
    const end = await running
    ends.set(end, (ends.get(end) ?? 0) + 1)
    session.send(['10.77.0.2', '172.16.1.5'].map((to) => udpPacket('10.77.0.9', to, 9, new Uint8Array(8))))
    link.abort(new Error('the round is over'))
    there.abort(new Error('the round is over'))
  })
  t.same(strange, [], 'only errors that are foreseen')
  t.equal(malformed, 0, 'and only packets go to the interface')
  t.ok(addresses > rounds / 4 && online > rounds / 4 && stats.packetsIn > rounds, 'many got quite far')
  t.ok(stats.drops.malformed > 0)
  for (const code of KNOWN.slice(0, 3)) t.ok((ends.get(code) ?? 0) > 0, `some ended with ${code}`)
  t.ok(grown < GROWTH, `${grown} bytes more`)
})

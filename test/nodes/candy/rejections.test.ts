/** Whoever runs a relay is told what was wrong with a connection that was refused, where, and what was expected. */
import t, { type Test } from 'tap'
import { encodeAuth, encodeDhcp, encodeVmac } from '../../../src/nodes/candy/protocol/handshake.ts'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { CandyRelay, serveCandy, type CandyNetworkInit } from '../../../src/nodes/candy/index.ts'
import { encodeConn, encodeDiscovery } from '../../../src/nodes/candy/protocol/messages.ts'
import { dialWebSocket } from '../../../src/transports/websocket.ts'
import { silent, type Logger } from '../../../src/log.ts'
import { FrameEncoder } from '../../../src/transforms/websocket-frames/index.ts'
import { addr, CandyClient, connect, forward, PASSWORD, seconds, secret } from '../../helpers/candy/client.ts'
import { until } from '../../helpers/ends.ts'
import { systemClock } from '../../../src/streams/clock.ts'

interface Refused {
  reason: string
  detail: string
  /** How many messages had come. */
  messages?: number
}

const hasKoffi = process.platform === 'linux' && await import('koffi').then(() => true, () => false)

function recorder (): { log: Logger, refused: Refused[] } {
  const refused: Refused[] = []
  return { refused, log: { ...silent, warn: (fields, message) => { if (message === 'connection refused') refused.push(fields as Refused) } } }
}

const auth = (address: string, timestamp = seconds(), known = secret): Uint8Array => encodeAuth({ secret: known, address: addr(address), timestamp })
const vmac = (vmac: string): Uint8Array => encodeVmac({ secret, vmac, timestamp: seconds() })
const dhcp = (): Uint8Array => encodeDhcp({ secret, cidr: { address: 0, prefix: 0 }, timestamp: seconds() })
const [own, other] = ['10.77.0.2', '10.77.0.3']

const CASES: Array<{ name: string, messages: () => Uint8Array[], reason: string, detail: RegExp }> = [
  { name: 'a short FORWARD', messages: () => [auth(own), forward(own, other), forward(own, other).subarray(0, 20)], reason: 'malformed', detail: /^FORWARD of 20 bytes, expected at least 21$/ },
  { name: 'a short VMAC', messages: () => [vmac('aaaaaaaaaaaaaaaa').subarray(0, 56)], reason: 'malformed', detail: /^VMAC of 56 bytes, expected at least 57$/ },
  { name: 'a second device', messages: () => [vmac('aaaaaaaaaaaaaaaa'), vmac('bbbbbbbbbbbbbbbb')], reason: 'malformed', detail: /^VMAC of a second device, expected one/ },
  { name: 'DISCOVERY before AUTH', messages: () => [vmac('aaaaaaaaaaaaaaaa'), encodeDiscovery({ source: addr(own), destination: addr(other) })], reason: 'unauthenticated', detail: /^DISCOVERY before AUTH, expected AUTH first$/ },
  { name: 'CONN of another', messages: () => [auth(own), encodeConn({ source: addr(other), destination: addr(own), address: 1, port: 1 })], reason: 'not_owner', detail: /^CONN from 10\.77\.0\.3, expected from its own address 10\.77\.0\.2$/ },
  { name: 'a wrong password', messages: () => [auth(own, seconds(), new Secret('wrong'))], reason: 'password', detail: /^the hash of AUTH is wrong, expected one made with the password/ },
  { name: 'a wrong clock', messages: () => [auth(own, 1000)], reason: 'clock', detail: /^the time stamp of AUTH is 1000, expected \d+ within 300 seconds$/ },
  { name: 'an address of the network', messages: () => [auth('10.77.0.255')], reason: 'address', detail: /^AUTH for 10\.77\.0\.255, expected a host of 10\.77\.0\.0\/24$/ },
  { name: 'a multicast address', messages: () => [auth('224.0.0.1')], reason: 'address', detail: /^AUTH for 224\.0\.0\.1, expected the address of a host$/ }
]

async function refusals (t: Test, client: () => Promise<CandyClient>, refused: Refused[]): Promise<void> {
  for (const { name, messages, reason, detail } of CASES) {
    const all = messages()
    const from = await client()
    from.send(...all)
    await from.closed
    await until(() => refused.length === 1)
    t.match(refused.pop(), { reason, detail, messages: all.length }, name)
  }
}

t.test('one thread', async (t) => {
  const { log, refused } = recorder()
  const relay = new CandyRelay({ password: PASSWORD, dhcp: '10.77.0.0/24', log })
  t.teardown(() => relay.close())
  await refusals(t, async () => connect(relay), refused)
})

t.test('workers', { skip: hasKoffi ? false : 'takes Linux and koffi' }, async (t) => {
  const { log, refused } = recorder()
  const server = await serveCandy({ listen: 'ws://127.0.0.1:0', password: PASSWORD, dhcp: '10.77.0.0/24', log, workers: 2 })
  t.teardown(() => server.close())
  const client = async (): Promise<CandyClient> => new CandyClient(await dialWebSocket(server.url))
  await refusals(t, client, refused)
  const large = await client()
  large.send(forward(own, other), new Uint8Array(1501))
  await large.closed
  await until(() => refused.length > 0)
  t.match(refused.pop(), { reason: 'unauthenticated', messages: 1 }, 'the first fault is the one that is told')
})

t.test('what others do, and settings', async (t) => {
  const { log, refused } = recorder()
  let now = Date.now()
  const settings: CandyNetworkInit = { password: PASSWORD, dhcp: '10.77.0.0/30', takeover: 'same-device', maxPeers: 1 }
  const relay = new CandyRelay({ ...settings, authFailures: 2, log, clock: { ...systemClock, date: () => now } })
  t.teardown(() => relay.close())
  const last = async (client: CandyClient, ...messages: Uint8Array[]): Promise<Refused | undefined> => {
    client.send(...messages)
    await client.closed
    return refused.pop()
  }
  const first = auth('10.77.0.1')
  await connect(relay).login('10.77.0.1')
  t.match(await last(connect(relay), auth('10.77.0.1', seconds() - 1)), { reason: 'address_in_use', detail: 'AUTH for 10.77.0.1, which another device has' })
  t.match(await last(connect(relay), auth('10.77.0.2')), { reason: 'full', detail: 'AUTH in a network of 1 members, expected at most 1' })
  t.match(await last(connect(relay, { host: '192.0.2.7' }), first), { reason: 'replay', detail: /^AUTH that another source has sent before/ })
  for (let i = 0; i < 2; i++) await last(connect(relay, { host: '192.0.2.8' }), auth('10.77.0.2', seconds(), new Secret('wrong')))
  t.match(await last(connect(relay, { host: '192.0.2.8' }), auth('10.77.0.2', seconds(), new Secret('wrong'))), { reason: 'rate', detail: /^wrong passwords of its source, expected at most 2 a minute$/ })
  for (let i = 0; i < 2; i++) {
    const client = connect(relay, { host: `192.0.2.${20 + i}` })
    client.send(vmac(`${i}`.repeat(16)), dhcp())
    if (i === 1) {
      await client.closed
      t.match(refused.pop(), { reason: 'pool', detail: 'no address of 10.77.0.0/30 is free', messages: 2 })
    } else {
      await client.next()
    }
  }
  now += 1000 * 1000
  t.match(await last(connect(relay), auth('10.77.0.2', seconds())), { reason: 'clock' })
  relay.configure({ password: PASSWORD })
  t.match(await last(connect(relay), encodeDhcp({ secret, cidr: { address: 0, prefix: 0 }, timestamp: Math.floor(now / 1000) })), { reason: 'range', detail: /without a range, expected AUTH/ })
  relay.configure({ networks: [{ path: '/there', password: PASSWORD }] })
  await connect(relay, { path: '/not\u001b[31m-there' }).closed
  t.match(refused.pop(), { reason: 'path', detail: 'path /not\\x1b[31m-there, expected that of a network' }, 'printable')
})

t.test('silence', async (t) => {
  const { log, refused } = recorder()
  const relay = new CandyRelay({ password: PASSWORD, log })
  t.teardown(() => relay.close())
  const [silent, member] = [connect(relay), connect(relay)]
  await member.login(own)
  relay.tick(performance.now() + 11_000)
  await silent.closed
  t.match(refused.pop(), { reason: 'timeout', detail: 'no AUTH, expected within 10000 ms' })
  relay.tick(performance.now() + 61_000)
  await member.closed
  t.match(refused.pop(), { reason: 'timeout', detail: 'nothing received, expected a frame within 60000 ms' })
})

t.test('what breaks the frames is told with its place in the stream, however that was cut into reads', async (t) => {
  const encoder = new FrameEncoder('client')
  const faults: Array<[bytes: number[], detail: string]> = [
    [[0x82, 0x01, 0x61], 'a frame without a mask, a client must mask'],
    [[0xc2, 0x81, 0, 0, 0, 0, 0x61], 'a reserved bit is set (first byte 0xc2), expected none without an extension'],
    [[0x83, 0x80, 0, 0, 0, 0], 'unknown opcode 3, expected 0 to 2 or 8 to 10'],
    [[0x82, 0xfe, 0x05, 0xdd, 0, 0, 0, 0], 'a message of 1501 bytes or more, at most 1500'],
    [[0x80, 0x80, 0, 0, 0, 0], 'a continuation of nothing, expected the beginning of a message']
  ]
  for (const [fault, text] of faults) {
    for (const size of [1, 2, 7, 1000]) {
      const { log, refused } = recorder()
      const relay = new CandyRelay({ password: PASSWORD, log })
      const client = connect(relay)
      const good = encoder.push([auth(own), ...Array.from({ length: 3 }, () => forward(own, other, 100))])[0]
      const all = Buffer.concat([good, Uint8Array.from(fault)])
      for (let at = 0; at < all.length; at += size) client.lower.port.send([Uint8Array.from(all.subarray(at, at + size))])
      await client.closed
      t.match(refused.pop(), { reason: 'malformed', detail: `${text}, in the frame at byte ${good.length} of the stream`, messages: 4 }, `reads of ${size}`)
      await relay.close()
    }
  }
})

/** The relay by the numbers of the table of conformance cases (candy protocol, section 7), over links inside this process. */
import t, { type Test } from 'tap'
import { CandyRelay, type CandyRelayInit } from '../../../src/nodes/candy/index.ts'
import { decodeDhcp, encodeAuth, encodeDhcp, encodeVmac } from '../../../src/nodes/candy/protocol/handshake.ts'
import { wrapRouted } from '../../../src/nodes/candy/protocol/forward.ts'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { encodeConn, encodeDiscovery, encodeGeneral, MessageType, MIN_LENGTH } from '../../../src/nodes/candy/protocol/messages.ts'
import { CloseCode } from '../../../src/transforms/websocket-frames/index.ts'
import { addr, connect, forward, packet, PASSWORD, received, seconds, secret, type Connected } from '../../helpers/candy/client.ts'
import { formatCidr } from '../../../src/net/ipv4.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { systemClock } from '../../../src/streams/clock.ts'
import { ManualClock } from '../../helpers/clock.ts'

function start (t: Test, init: Partial<CandyRelayInit> = {}): CandyRelay {
  const relay = new CandyRelay({ password: PASSWORD, dhcp: '192.168.202.0/24', ...init })
  t.teardown(() => relay.close())
  return relay
}

async function members (relay: CandyRelay, ...addresses: string[]): Promise<Connected[]> {
  return await Promise.all(addresses.map(async (address) => {
    const client = connect(relay)
    await client.login(address)
    return client
  }))
}

t.test('case 1 and 2: the handshake of a real client, with and without confusion', async (t) => {
  const relay = start(t)
  const timestamp = seconds()
  for (const [i, tail] of [undefined, hex('de'), new Uint8Array(255).fill(7)].entries()) {
    const client = connect(relay)
    client.send(encodeVmac({ secret, vmac: '0123456789abcdef', timestamp, tail }))
    client.send(encodeDhcp({ secret, cidr: { address: 0, prefix: 0 }, timestamp, tail }))
    t.equal((await client.next()).length, MIN_LENGTH.DHCP)
    client.send(encodeAuth({ secret, address: addr(`192.168.202.${9 + i}`), timestamp, tail }))
    client.send(forward(`192.168.202.${9 + i}`, `192.168.202.${9 + i}`))
    t.same(toHex(await client.next()), toHex(forward(`192.168.202.${9 + i}`, `192.168.202.${9 + i}`)), 'it holds the address')
    t.equal(relay.stats.peers, i + 1)
  }
  t.ok(Object.values(relay.stats.refused).every((count) => count === 0))
})

t.test('case 3: a flipped bit or a wrong password ends the connection and harms nobody', async (t) => {
  const relay = start(t)
  const [holder, other] = await members(relay, '192.168.202.1', '192.168.202.2')
  const auth = (password = secret): Uint8Array => encodeAuth({ secret: password, address: addr('192.168.202.1'), timestamp: seconds() })
  const forged = [auth(new Secret('another password')), ...[1, 4, 5, 12, 13, 44].map((at) => {
    const message = auth()
    message[at] ^= 1
    return message
  })]
  for (const message of forged) {
    const client = connect(relay)
    client.send(message)
    t.same(await client.closed, { code: CloseCode.POLICY_VIOLATION, reason: 'wrong password' })
  }
  const vmac = encodeVmac({ secret, vmac: '0123456789abcdef', timestamp: seconds() })
  const dhcp = encodeDhcp({ secret, cidr: { address: 0, prefix: 0 }, timestamp: seconds() })
  for (const message of [vmac, dhcp]) {
    message[message.length - 1] ^= 0x80
    const client = connect(relay)
    client.send(message)
    t.equal((await client.closed).reason, 'wrong password')
  }
  t.equal(relay.stats.refused.password, forged.length + 2)
  other.send(forward('192.168.202.2', '192.168.202.1'))
  t.same(await received(other, holder), [[toHex(forward('192.168.202.2', '192.168.202.1'))]], 'the holder still has its address')
})

t.test('case 4: 300 seconds off are accepted, 301 are not, unless lenient', async (t) => {
  const now = 1_700_000_000
  for (const lenient of [false, true]) {
    const warnings: object[] = []
    const log = { debug () {}, info () {}, warn (fields: object) { warnings.push(fields) }, error () {} }
    const relay = start(t, { lenient, log, clock: { ...systemClock, date: () => now * 1000 + 999 } })
    for (const off of [-300, 300]) {
      const client = connect(relay)
      client.send(encodeAuth({ secret, address: addr('192.168.202.5'), timestamp: now + off }))
      await client.settled()
      t.equal(relay.stats.peers, 1, `${off}, lenient: ${lenient}`)
    }
    t.same(warnings, [])
    for (const off of [-301, 301, -now, 2 ** 40]) {
      const client = connect(relay)
      client.send(encodeAuth({ secret, address: addr('192.168.202.6'), timestamp: now + off }))
      if (lenient) {
        client.send(forward('192.168.202.6', '192.168.202.6'))
        t.equal((await client.next()).length, forward('192.168.202.6', '192.168.202.6').length, 'it holds the address')
        t.equal(relay.stats.refused.clock, 0)
      } else {
        t.same(await client.closed, { code: CloseCode.POLICY_VIOLATION, reason: 'clock differs by more than 300 seconds' })
      }
    }
    t.equal(warnings.length, 4, lenient ? 'a warning each' : 'a refusal each')
  }
})

t.test('case 5: messages one byte too short end the connection, others are unharmed', async (t) => {
  const relay = start(t)
  const [a, b] = await members(relay, '192.168.202.1', '192.168.202.2')
  for (const name of ['AUTH', 'FORWARD', 'DHCP', 'CONN', 'VMAC', 'DISCOVERY', 'GENERAL'] as const) {
    const [client] = await members(relay, '192.168.202.3')
    const message = new Uint8Array(MIN_LENGTH[name] - 1)
    message[0] = MessageType[name]
    client.send(message)
    t.same(await client.closed, { code: CloseCode.PROTOCOL_ERROR, reason: 'malformed message' }, name)
  }
  t.equal(relay.stats.refused.malformed, 7)
  a.send(forward('192.168.202.1', '192.168.202.2'))
  t.equal((await received(a, b))[0].length, 1)
})

t.test('case 6: empty messages, text, unknown types and ROUTE are ignored', async (t) => {
  const relay = start(t)
  const [client] = await members(relay, '192.168.202.1')
  client.send(new Uint8Array(0), hex('09'), hex('0601000000000000'), hex('fe'))
  client.lower.port.send([hex('81810000000061')]) // text: "a"
  await client.settled()
  client.send(forward('192.168.202.1', '192.168.202.1'))
  t.equal((await received(client, client))[0].length, 1, 'the connection lives')
})

t.test('case 7: nothing is relayed before AUTH', async (t) => {
  const relay = start(t)
  const [member] = await members(relay, '192.168.202.1')
  const [source, destination] = [addr('192.168.202.2'), addr('192.168.202.1')]
  for (const message of [
    forward('192.168.202.2', '192.168.202.1'),
    encodeConn({ source, destination, address: 1, port: 1 }),
    encodeDiscovery({ source, destination }),
    encodeGeneral({ subtype: 0, extra: 0, source, destination, data: hex('c0a801320001') })
  ]) {
    const client = connect(relay)
    client.send(message)
    t.same(await client.closed, { code: CloseCode.POLICY_VIOLATION, reason: 'not authenticated' })
  }
  t.same(await received(member, member), [[]])
})

t.test('case 8: CONN, DISCOVERY and GENERAL are relayed byte for byte, and only from their own source', async (t) => {
  const relay = start(t)
  const [a, b, c] = await members(relay, '192.168.202.1', '192.168.202.2', '192.168.202.3')
  const [source, destination] = [addr('192.168.202.1'), addr('192.168.202.2')]
  const tail = Buffer.concat([encodeConn({ source, destination, address: 1, port: 1 }), hex('c0ffee')])
  const toOne = [tail, encodeDiscovery({ source, destination }), encodeGeneral({ subtype: 9, extra: 1, source, destination, data: hex('ab') })]
  const toAll = [encodeDiscovery({ source, destination: 0xffffffff }), encodeGeneral({ subtype: 0, extra: 0, source, destination: 0xffffffff, data: hex('') })]
  a.send(...toOne, ...toAll, encodeConn({ source, destination: 0xffffffff, address: 1, port: 1 }), encodeDiscovery({ source, destination: 7 }))
  t.same(await received(a, a, b, c), [[], [...toOne, ...toAll].map(toHex), toAll.map(toHex)])
  t.equal(relay.stats.drops.destination, 2, 'CONN is never for all, and nobody has address 7')
  for (const message of [tail, ...toOne.slice(1)]) {
    const [liar] = await members(relay, '192.168.202.4')
    liar.send(message)
    t.same(await liar.closed, { code: CloseCode.POLICY_VIOLATION, reason: 'source is not your address' })
  }
  t.same(await received(b, b), [[]])
})

t.test('case 9: packets with a foreign source', async (t) => {
  const sdwan = '192.168.202.0/24,172.16.0.0/16,192.168.202.1;192.168.202.0/24,172.17.0.0/16,192.168.202.2'
  for (const { sourceCheck, delivered } of [
    { sourceCheck: 'strict' as const, delivered: ['192.168.202.1'] },
    { sourceCheck: undefined, delivered: ['192.168.202.1', '172.16.2.5'] },
    { sourceCheck: 'routes' as const, delivered: ['192.168.202.1', '172.16.2.5'] },
    { sourceCheck: 'off' as const, delivered: ['192.168.202.1', '172.16.2.5', '172.17.0.1', '192.168.202.2', '9.9.9.9'] }
  ]) {
    const relay = start(t, { sdwan, sourceCheck })
    const [a, b] = await members(relay, '192.168.202.1', '192.168.202.2')
    const sources = ['192.168.202.1', '172.16.2.5', '172.17.0.1', '192.168.202.2', '9.9.9.9']
    b.inbox.length = 0 // the routes
    a.send(...sources.map((source) => forward(source, '192.168.202.2')))
    t.same(await received(a, b), [delivered.map((source) => toHex(forward(source, '192.168.202.2')))], `source check ${sourceCheck}`)
    t.equal(relay.stats.drops.source, sources.length - delivered.length)
    const wrapped = (source: string, to = '192.168.202.2'): Uint8Array => wrapRouted(packet(source, '192.168.202.2'), addr('192.168.202.1'), addr(to))
    a.send(...sources.map((source) => wrapped(source)))
    t.same(await received(a, b), [delivered.map((source) => toHex(wrapped(source)))], 'the header that leads to a gateway hides no other source')
    a.send(...sources.map((source) => wrapped(source, '255.255.255.255')))
    t.equal((await received(a, b))[0].length, sourceCheck === 'off' ? delivered.length : 0, 'and one that leads to all is no route of anybody')
    const [empty, tunnel] = [wrapped('9.9.9.9').subarray(0, 40), Uint8Array.from(wrapped('9.9.9.9'))]
    tunnel[1] = 0x45
    a.send(empty, tunnel)
    t.equal((await received(a, b))[0].length, sourceCheck === 'off' ? 2 : 0, 'nor does one with nothing behind it, or a tunnel of the user, which existing clients take for the same')
  }
})

t.test('case 10: to another, to oneself, to nobody', async (t) => {
  const relay = start(t)
  const [a, b] = await members(relay, '192.168.202.1', '192.168.202.2')
  const other = forward('192.168.202.1', '192.168.202.2', 700)
  const own = forward('192.168.202.1', '192.168.202.1')
  a.send(other, own, forward('192.168.202.1', '192.168.202.77'), forward('192.168.202.1', '8.8.8.8'))
  t.same(await received(a, a, b), [[toHex(own)], [toHex(other)]])
  t.equal(relay.stats.drops.destination, 2)
  t.match(relay.stats, { packetsIn: 4, packetsOut: 2, bytesOut: other.length + own.length })
})

t.test('case 11: broadcast and multicast reach all others once', async (t) => {
  for (const [dhcp, directed] of [['192.168.202.0/24', 1], [undefined, 0]] as const) {
    const relay = start(t, { dhcp })
    const [a, b, c] = await members(relay, '192.168.202.1', '192.168.202.2', '192.168.202.3')
    for (const [destination, times] of [['255.255.255.255', 1], ['224.0.0.251', 1], ['239.255.255.255', 1], ['192.168.202.255', directed], ['192.168.203.255', 0], ['240.0.0.1', 0]] as const) {
      const message = forward('192.168.202.1', destination)
      const copies = Array(times).fill(toHex(message))
      a.send(message)
      t.same(await received(a, a, b, c), [[], copies, copies], `${destination}, dhcp ${dhcp}`)
    }
  }
})

t.test('case 12: a /29 holds six; the seventh is refused and the six stay', async (t) => {
  const relay = start(t, { dhcp: '192.168.202.0/29' })
  const clients = Array.from({ length: 7 }, () => connect(relay))
  const given: Array<string | undefined> = []
  for (const [i, client] of clients.entries()) given.push(await client.join(`000000000000000${i}`))
  t.same(given, [...[1, 2, 3, 4, 5, 6].map((host) => `192.168.202.${host}/29`), undefined])
  t.same(await clients[6].closed, { code: CloseCode.TRY_AGAIN_LATER, reason: 'no free address' })
  t.equal(relay.stats.peers, 6)
  clients[5].send(forward('192.168.202.6', '192.168.202.1'))
  t.equal((await received(clients[5], clients[0]))[0].length, 1)
})

t.test('case 12: offers that are not taken up yet do not meet', async (t) => {
  const relay = start(t, { dhcp: '192.168.202.0/29' })
  const given = await Promise.all(Array.from({ length: 6 }, async (_, i) => {
    const client = connect(relay)
    if (i % 2 === 0) client.vmac(`000000000000000${i}`) // the others have none, and are still different devices
    return await client.dhcp('192.168.202.3/29')
  }))
  t.equal(new Set(given).size, 6)
})

t.test('case 13: wanted addresses', async (t) => {
  const relay = start(t)
  const [first] = ['aaaaaaaaaaaaaaaa']
  t.equal(await connect(relay).join(first, '192.168.202.77/24'), '192.168.202.77/24', 'free')
  t.equal(await connect(relay).join('bbbbbbbbbbbbbbbb', '192.168.202.77/24'), '192.168.202.1/24', 'in use by another device')
  t.equal(await connect(relay).join(first, '192.168.202.77/24'), '192.168.202.77/24', 'in use by this device')
  let next = 2
  for (const wanted of ['10.0.0.5/24', '192.168.202.0/24', '192.168.202.255/24', '192.168.202.9/29']) {
    t.equal(await connect(relay).join(`cccccccccccccc${String(next).padStart(2, '0')}`, wanted), `192.168.202.${next++}/24`, wanted)
  }
})

t.test('without a range there are no dynamic addresses', async (t) => {
  const client = connect(start(t, { dhcp: undefined }))
  t.equal(await client.dhcp(), undefined)
  t.same(await client.closed, { code: CloseCode.POLICY_VIOLATION, reason: 'this relay gives no addresses, choose one' })
})

t.test('case 14: a CIDR field that is none ends the connection, junk behind it does not', async (t) => {
  const relay = start(t)
  const dhcp = (field: string | Uint8Array): Uint8Array => {
    const message = encodeDhcp({ secret, cidr: { address: 0, prefix: 0 }, timestamp: seconds() })
    message.fill(0, 9, 41).set(Buffer.from(field), 9)
    return message
  }
  for (const field of ['10.0.0.1/33', '10.0.0.1/999', '10.0.0.1/-1', '10.0.0.1', 'x'.repeat(32), '::1/64', '']) {
    const client = connect(relay)
    client.send(dhcp(field))
    t.same(await client.closed, { code: CloseCode.PROTOCOL_ERROR, reason: 'malformed message' }, field)
  }
  const client = connect(relay)
  client.send(dhcp('192.168.202.7/24\0 and junk'))
  t.equal(formatCidr(decodeDhcp(await client.next()).cidr), '192.168.202.7/24')
})

t.test('case 16: a holder that answers nothing is gone within a second', async (t) => {
  const relay = start(t)
  const [old] = await members(relay, '192.168.202.1')
  old.lower.port.send = () => 0
  await connect(relay).login('192.168.202.1')
  await old.served // settles when nothing is left of it; its link cuts after a second
  t.equal(relay.stats.connections, 1)
})

t.test('case 16: two connections with one address', async (t) => {
  for (const [takeover, vmac, wins] of [['any', 'bbbbbbbbbbbbbbbb', true], ['any', 'aaaaaaaaaaaaaaaa', true], ['same-device', 'aaaaaaaaaaaaaaaa', true], ['same-device', 'bbbbbbbbbbbbbbbb', false]] as const) {
    const relay = start(t, { takeover })
    const [old, next] = [connect(relay), connect(relay)]
    const [sender] = await members(relay, '192.168.202.9')
    old.vmac('aaaaaaaaaaaaaaaa')
    await old.login('192.168.202.1')
    next.vmac(vmac)
    await next.login('192.168.202.1')
    const [winner, loser] = wins ? [next, old] : [old, next]
    t.same(await loser.closed, { code: CloseCode.POLICY_VIOLATION, reason: wins ? 'address taken over by a newer connection' : 'address in use by another device' })
    sender.send(forward('192.168.202.9', '192.168.202.1'))
    t.equal((await received(sender, winner))[0].length, 1, `${takeover}, ${wins ? 'taken over' : 'refused'}`)
    t.equal(relay.stats.peers, 2)
  }
})

t.test('case 17: AUTH twice on one connection', async (t) => {
  const relay = start(t)
  const [sender, client] = await members(relay, '192.168.202.9', '192.168.202.1')
  await client.login('192.168.202.1')
  sender.send(forward('192.168.202.9', '192.168.202.1'))
  t.equal((await received(sender, client))[0].length, 1, 'the same address: nothing changes')
  await client.login('192.168.202.2')
  sender.send(forward('192.168.202.9', '192.168.202.1'), forward('192.168.202.9', '192.168.202.2'))
  t.same(await received(sender, client), [[toHex(forward('192.168.202.9', '192.168.202.2'))]], 'another address: the old one is gone')
  client.link.close()
  await client.closed
  await relay.close()
  t.match(relay.stats, { peers: 0, connections: 0 })
})

t.test('case 18: addresses that nobody may have', async (t) => {
  const relay = start(t)
  for (const address of ['0.0.0.0', '255.255.255.255', '224.0.0.1', '192.168.202.0', '192.168.202.255', '192.168.203.1']) {
    const client = connect(relay)
    await client.login(address)
    t.same(await client.closed, { code: CloseCode.POLICY_VIOLATION, reason: 'address not allowed' }, address)
  }
  t.equal(relay.stats.peers, 0)
})

t.test('case 19: routes after AUTH', async (t) => {
  for (const [rules, lengths] of [[0, []], [1, [16]], [100, [1204]], [101, [1204, 16]], [250, [1204, 1204, 604]]] as const) {
    const sdwan = Array.from({ length: rules }, (_, i) => `192.168.202.1/32,172.16.${i}.0/24,192.168.202.9`).join(';')
    const [client, other] = await members(start(t, { sdwan }), '192.168.202.1', '192.168.202.2')
    t.same(client.inbox.map(({ length }) => length), lengths, `${rules} rules`)
    t.same(Buffer.concat(client.inbox.map((message) => message.subarray(4))).toString('hex'), Array.from({ length: rules }, (_, i) => `ac10${i.toString(16).padStart(2, '0')}00ffffff00c0a8ca09`).join(''))
    t.same(other.inbox, [])
  }
})

t.test('case 23: 1500 bytes pass, 1501 do not', async (t) => {
  const relay = start(t)
  const [a, b] = await members(relay, '192.168.202.1', '192.168.202.2')
  const full = forward('192.168.202.1', '192.168.202.2', 1479)
  t.equal(full.length, 1500)
  a.send(full)
  t.same(await received(a, b), [[toHex(full)]])
  a.send(Buffer.concat([full, hex('00')]))
  t.match(await a.closed, { code: CloseCode.TOO_BIG })
  t.equal((await b.settled()).inbox.length, 0)
})

t.test('case 23: fragments are put together', async (t) => {
  const relay = start(t)
  const [a, b] = await members(relay, '192.168.202.1', '192.168.202.2')
  const message = forward('192.168.202.1', '192.168.202.2', 20)
  const parts = [message.subarray(0, 5), message.subarray(5, 30), message.subarray(30)]
  a.lower.port.send(parts.map((part, i) => Buffer.concat([hex(['02', '00', '80'][i]), Buffer.from([0x80 | part.length]), hex('00000000'), part])))
  t.same(await received(a, b), [[toHex(message)]])
})

t.test('case 23: a frame without a mask is a protocol error', async (t) => {
  const relay = start(t)
  const [a] = await members(relay, '192.168.202.1')
  a.lower.port.send([hex('820109')])
  t.match(await a.closed, { code: CloseCode.PROTOCOL_ERROR })
  t.equal(relay.stats.refused.malformed, 1)
})

t.test('case 25: pings are answered with their own payload', async (t) => {
  const [client] = await members(start(t), '192.168.202.1')
  for (const payload of ['candy::linux::6.1.8::h', 'x', '', 'y'.repeat(125)]) {
    const pong = new Promise<string>((resolve) => { client.link.onPong = (bytes) => { resolve(Buffer.from(bytes).toString()) } })
    client.link.ping(Buffer.from(payload))
    t.equal(await pong, payload)
  }
})

t.test('case 25: silence is pinged after 30 seconds and ended after 60; a pong is enough to stay', async (t) => {
  const relay = start(t)
  const [mute, receiver] = [connect(relay), connect(relay)]
  await Promise.all([mute.login('192.168.202.1'), receiver.login('192.168.202.2')])
  mute.lower.port.send = () => 0 // its pongs get lost
  const { onPong, ping } = receiver.server
  let pings = 0
  let ponged = Promise.resolve()
  receiver.server.ping = () => {
    pings++
    ponged = new Promise((resolve) => {
      receiver.server.onPong = (payload) => {
        onPong?.(payload)
        resolve()
      }
    })
    return ping.call(receiver.server)
  }
  const begin = Math.ceil(performance.now()) // whole numbers, so that no difference is a hair too small
  for (let second = 1; second <= 3 * 3600; second++) {
    relay.tick(begin + second * 1000)
    await ponged
    if (second === 59) t.equal(relay.stats.peers, 2)
  }
  t.same(await mute.closed, { code: CloseCode.POLICY_VIOLATION, reason: 'timeout' })
  t.equal(pings, 360, 'one ping each 30 seconds')
  receiver.send(forward('192.168.202.2', '192.168.202.2'))
  t.equal((await received(receiver, receiver))[0].length, 1, 'who only receives is still there after three hours')
})

t.test('a client that does not authenticate is dropped', async (t) => {
  const relay = start(t)
  const client = connect(relay)
  await client.settled()
  relay.tick(performance.now() + 31_000)
  t.same(await client.closed, { code: CloseCode.POLICY_VIOLATION, reason: 'timeout' })
})

t.test('more connections than allowed are refused', async (t) => {
  const relay = start(t, { maxConnections: 2 })
  const [a] = await members(relay, '192.168.202.1', '192.168.202.2')
  t.match(await connect(relay).closed, { code: CloseCode.TRY_AGAIN_LATER, reason: 'too many connections' })
  t.equal(relay.stats.refused.limit, 1)
  a.link.close()
  await a.closed
  await a.served
  await connect(relay).login('192.168.202.3')
  t.equal(relay.stats.peers, 2)
})

t.test('strangers make room for whoever comes, members do not', async (t) => {
  const relay = start(t, { maxConnections: 3 })
  const [member] = await members(relay, '192.168.202.1')
  const strangers = [connect(relay), connect(relay), connect(relay), connect(relay)]
  await strangers[0].closed
  await strangers[1].closed
  await strangers[3].login('192.168.202.2')
  strangers[3].send(forward('192.168.202.2', '192.168.202.1'))
  t.equal((await received(strangers[3], member))[0].length, 1)
  t.equal(relay.stats.peers, 2)
})

t.test('a member sends only so much to all', async (t) => {
  const clock = new ManualClock({ date: Date.now() })
  const relay = start(t, { broadcastRate: 8, clock })
  const [a, b] = await members(relay, '192.168.202.1', '192.168.202.2')
  const all = forward('192.168.202.1', '255.255.255.255')
  a.send(...Array(5).fill(all))
  t.equal((await received(a, b))[0].length, 4, 'what is common')
  t.equal(relay.stats.drops.broadcast, 1)
  clock.advance(1000)
  a.send(...Array(9).fill(all))
  t.equal((await received(a, b))[0].length, 6, 'a second later that again, and what is its own by now')
  t.equal(relay.stats.drops.broadcast, 4)
  relay.configure({ password: PASSWORD, dhcp: '192.168.202.0/24', broadcastRate: 80 })
  clock.advance(1000)
  a.send(...Array(99).fill(all))
  t.equal((await received(a, b))[0].length, 60, 'another rate holds at once')
})

t.test('what waits for all slow clients together is bounded, and harms nobody else', async (t) => {
  const relay = start(t, { queueTotal: 100_000 })
  const [sender, slow, slower, quick] = await members(relay, '192.168.202.1', '192.168.202.2', '192.168.202.3', '192.168.202.4')
  for (const { server } of [slow, slower]) {
    let queued = 0
    Object.defineProperty(server.port, 'queued', { get: () => queued })
    server.port.send = (batch) => {
      queued += batch.reduce((bytes, { length }) => bytes + length, 0)
      return batch.length
    }
  }
  for (let i = 0; i < 200; i++) {
    sender.send(forward('192.168.202.1', '192.168.202.2', 1000), forward('192.168.202.1', '192.168.202.3', 1000), forward('192.168.202.1', '192.168.202.4', 1000))
    await sender.settled()
  }
  t.equal((await received(sender, quick))[0].length, 200)
  const waiting = slow.server.port.queued + slower.server.port.queued
  t.ok(waiting > 90_000 && waiting < 105_000, `${waiting} bytes`)
  t.ok(relay.stats.drops.total > 150)
})

t.test('a member that floods a slow one leaves room for what others send it', async (t) => {
  const relay = start(t)
  const [flooder, other, slow] = await members(relay, '192.168.202.1', '192.168.202.2', '192.168.202.3')
  const { port } = slow.server
  const waiting: Uint8Array[] = []
  let queued = 0
  Object.defineProperties(port, { queued: { get: () => queued }, bufferedAmount: { get: () => queued } })
  port.send = (batch) => {
    for (const message of batch) {
      queued += message.length
      waiting.push(Uint8Array.from(message))
    }
    return batch.length
  }
  const flood = forward('192.168.202.1', '192.168.202.3', 1400)
  for (let i = 0; i < 300; i++) {
    flooder.send(...Array(32).fill(flood))
    await flooder.settled()
  }
  const { queue } = relay.stats.drops
  t.ok(queue > 1000, `${queue} dropped of the flood`)
  t.ok(queued <= port.limit * 2)
  for (let i = 0; i < 10; i++) {
    other.send(forward('192.168.202.2', '192.168.202.3', 1000))
    await other.settled()
  }
  t.equal(relay.stats.drops.queue, queue)
  t.equal(waiting.filter(({ length }) => length === 1021).length, 10)
})

t.test('an offer without VMAC is free again when its connection ends', async (t) => {
  const relay = start(t, { dhcp: '192.168.202.0/29' })
  for (let i = 0; i < 20; i++) {
    const client = connect(relay)
    t.ok(await client.dhcp())
    client.link.close()
    await client.served
  }
})

t.test('the gateway of a route to everything is still none of the members', async (t) => {
  const relay = start(t, { sdwan: '192.168.202.0/24,0.0.0.0/0,192.168.202.1' })
  const [gateway, , victim] = await members(relay, '192.168.202.1', '192.168.202.2', '192.168.202.3')
  victim.inbox.length = 0
  gateway.send(forward('192.168.202.2', '192.168.202.3'), forward('8.8.8.8', '192.168.202.3'))
  t.same(await received(gateway, victim), [[toHex(forward('8.8.8.8', '192.168.202.3'))]])
})

t.test('a connection is one device', async (t) => {
  const client = connect(start(t))
  client.vmac('aaaaaaaaaaaaaaaa')
  client.vmac('aaaaaaaaaaaaaaaa')
  await client.settled()
  client.vmac('bbbbbbbbbbbbbbbb')
  t.same(await client.closed, { code: CloseCode.PROTOCOL_ERROR, reason: 'malformed message' })
})

t.test('the log is bounded, whatever clients do', async (t) => {
  const lines: string[] = []
  const write = (_fields: object, message: string): void => { lines.push(message) }
  const relay = start(t, { log: { debug () {}, info: write, warn: write, error: write } })
  for (let i = 0; i < 60; i++) await members(relay, `192.168.202.${1 + i % 2}`)
  t.ok(lines.length <= 21, `${lines.length} lines`)
  relay.tick(performance.now())
  t.equal(lines.at(-1), 'more happened than is logged')
})

t.test('options that cannot work', async (t) => {
  for (const init of [
    { maxConnections: NaN }, { maxConnections: 0 }, { authTimeout: -1 }, { dropAfter: NaN }, { pingAfter: 60_000 }, { queueTotal: 0 }, { broadcastRate: 0.5 },
    { sourceCheck: 'nonsense' }, { takeover: 'nonsense' }, { dhcp: '10.0.0.0/31' }, { sdwan: 'x' }
  ]) {
    t.throws(() => new CandyRelay({ password: PASSWORD, ...init as object }), { code: 'ERR_OPTION' }, JSON.stringify(init))
  }
})

t.test('close says goodbye to everybody', async (t) => {
  const relay = start(t)
  const clients = await members(relay, '192.168.202.1', '192.168.202.2')
  const [, closed] = await Promise.all([relay.close(), Promise.all(clients.map(({ closed }) => closed))])
  t.same(closed, Array(2).fill({ code: 1000, reason: '' }), '1001 is an orderly end')
  t.match(relay.stats, { connections: 0, peers: 0 })
})

/** Who gets in: proofs that were used before, guessing, and floods. */
import t, { type Test } from 'tap'
import { CandyRelay, LeaseStore, type CandyRelayInit } from '../../../src/nodes/candy/index.ts'
import { decodeDhcp, encodeAuth, encodeDhcp, encodeVmac } from '../../../src/nodes/candy/protocol/handshake.ts'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { CloseCode } from '../../../src/transforms/websocket-frames/index.ts'
import { silent } from '../../../src/log.ts'
import { addr, connect, forward, PASSWORD, received, seconds, secret, type Connected } from '../../helpers/candy/client.ts'
import { formatCidr } from '../../../src/net/ipv4.ts'
import { systemClock } from '../../../src/streams/clock.ts'

function start (t: Test, init: Partial<CandyRelayInit> = {}): CandyRelay {
  const relay = new CandyRelay({ password: PASSWORD, dhcp: '192.168.202.0/24', ...init })
  t.teardown(() => relay.close())
  return relay
}

const replayed = { code: CloseCode.POLICY_VIOLATION, reason: 'used from another address before' }

t.test('AUTH and VMAC are good for the source that has used them, and for no other', async (t) => {
  const relay = start(t)
  const vmac = encodeVmac({ secret, vmac: 'aaaaaaaaaaaaaaaa', timestamp: seconds() })
  const auth = encodeAuth({ secret, address: addr('192.168.202.5'), timestamp: seconds() })
  const honest = connect(relay, { host: '192.0.2.1' })
  honest.send(vmac, auth)
  await honest.settled()
  for (const message of [vmac, auth, Buffer.concat([auth, Buffer.from('another tail')])]) {
    for (const host of ['198.51.100.1', '2001:db8::1', '::ffff:198.51.100.1']) {
      const thief = connect(relay, { host })
      thief.send(message)
      t.same(await thief.closed, replayed, host)
    }
  }
  t.equal(relay.stats.refused.replay, 9)
  honest.send(forward('192.168.202.5', '192.168.202.5'))
  t.equal((await received(honest, honest))[0].length, 1, 'the one that was listened to is still there')

  const again = connect(relay, { host: '::ffff:192.0.2.1' })
  again.send(vmac, auth)
  again.send(forward('192.168.202.5', '192.168.202.5'))
  t.equal((await received(again, again))[0].length, 1, 'a client that comes back within the second sends the same')
})

t.test('an IPv6 client may come from another address of its network', async (t) => {
  const relay = start(t)
  const auth = encodeAuth({ secret, address: addr('192.168.202.5'), timestamp: seconds() })
  for (const [host, peers] of [['2001:db8:0:1::1', 1], ['2001:db8:0:1:ffff::9', 1]] as const) {
    const client = connect(relay, { host })
    client.send(auth)
    await client.settled()
    t.equal(relay.stats.peers, peers, host)
  }
  const thief = connect(relay, { host: '2001:db8:0:2::1' })
  thief.send(auth)
  t.same(await thief.closed, replayed)
})

t.test('fifty clients with one time stamp from fifty addresses all get in', async (t) => {
  const relay = start(t)
  const timestamp = seconds()
  const given = await Promise.all(Array.from({ length: 50 }, async (_, i) => {
    const client = connect(relay, { host: `198.51.100.${i}` })
    client.send(encodeVmac({ secret, vmac: `device ${String(i).padStart(9)}`, timestamp }), encodeDhcp({ secret, cidr: { address: 0, prefix: 0 }, timestamp }))
    const { cidr } = decodeDhcp(await client.next())
    client.send(encodeAuth({ secret, address: cidr.address, timestamp }))
    await client.settled()
    return formatCidr(cidr)
  }))
  t.equal(new Set(given).size, 50)
  t.match(relay.stats, { peers: 50, refused: { replay: 0, rate: 0 } })
})

t.test('a lenient relay serves clients whose clocks stand still, wherever they are', async (t) => {
  const relay = start(t, { lenient: true })
  const auth = (timestamp: number): Uint8Array => encodeAuth({ secret, address: addr('192.168.202.5'), timestamp })
  for (const host of ['192.0.2.1', '198.51.100.1', '2001:db8::1']) {
    const client = connect(relay, { host })
    client.send(auth(1000), forward('192.168.202.5', '192.168.202.5'))
    t.equal((await received(client, client))[0].length, 1, host)
  }
  const [first, second] = [connect(relay, { host: '192.0.2.1' }), connect(relay, { host: '198.51.100.1' })]
  const message = auth(seconds())
  first.send(message)
  await first.settled()
  second.send(message)
  t.same(await second.closed, replayed, 'with a clock that is right it is as strict as ever')
})

t.test('who guesses is not looked at any more, and others are', async (t) => {
  const relay = start(t, { authFailures: 5 })
  const guess = async (host: string, i: number): Promise<string> => {
    const client = connect(relay, { host, secret: new Secret(`guess ${i}`) })
    if (i % 3 === 0) client.vmac('aaaaaaaaaaaaaaaa')
    else if (i % 3 === 1) await client.dhcp()
    else await client.login('192.168.202.7')
    return (await client.closed).reason
  }
  const reasons: string[] = []
  for (let i = 0; i < 8; i++) reasons.push(await guess(i % 2 === 0 ? '198.51.100.1' : '::ffff:198.51.100.1', i))
  t.same(reasons, [...Array(5).fill('wrong password'), ...Array(3).fill('too many attempts from your address')], 'any of the three tells as much')
  const right = connect(relay, { host: '198.51.100.1' })
  await right.login('192.168.202.7')
  t.match(await right.closed, { code: CloseCode.TRY_AGAIN_LATER }, 'not even the right password: it would be an answer')
  const other = connect(relay, { host: '198.51.100.2' })
  await other.login('192.168.202.8')
  t.match(relay.stats, { peers: 1, refused: { password: 5, rate: 4 } })
  for (const host of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
    for (let i = 0; i < 20; i++) t.equal(await guess(host, i), 'wrong password', 'a proxy on this machine stands for many')
  }
})

t.test('a member is not disturbed by who guesses behind its address', async (t) => {
  const relay = start(t, { authFailures: 1 })
  const member = connect(relay, { host: '198.51.100.1' })
  await member.login('192.168.202.7')
  for (let i = 0; i < 3; i++) {
    const client = connect(relay, { host: '198.51.100.1', secret: new Secret('guess') })
    await client.login('192.168.202.7')
    await client.closed
  }
  member.send(forward('192.168.202.7', '192.168.202.7'))
  t.equal((await received(member, member))[0].length, 1)
})

t.test('addresses are asked for at a rate, and a replayed request keeps no device out', async (t) => {
  const relay = start(t, { dhcp: '192.168.202.0/26' })
  const message = encodeDhcp({ secret, cidr: { address: 0, prefix: 0 }, timestamp: seconds() })
  const flood: Connected[] = []
  for (let i = 0; i < 62; i++) {
    const client = connect(relay, { host: `198.51.100.${i % 4}` })
    client.send(message)
    await client.settled()
    flood.push(client)
  }
  t.match(await connect(relay).join('aaaaaaaaaaaaaaaa'), /^192\.168\.202\.\d+\/26$/, 'all addresses are offered to nobody in particular')
  t.match(await connect(relay).join('bbbbbbbbbbbbbbbb'), /^192\.168\.202\.\d+\/26$/)
  const one = connect(start(t), { host: '203.0.113.1' })
  one.send(...Array.from({ length: 520 }, () => message)) // in one read
  t.same(await one.closed, { code: CloseCode.TRY_AGAIN_LATER, reason: 'too many attempts from your address' })
})

t.test('an answer is no proof for another request', async (t) => {
  let now = 1_700_000_000_000
  const relay = start(t, { clock: { ...systemClock, date: () => now } })
  const request = encodeDhcp({ secret, cidr: { address: 0, prefix: 0 }, timestamp: now / 1000 })
  const honest = connect(relay)
  honest.send(request)
  const answer = await honest.next()
  t.ok(secret.verify(decodeDhcp(answer)), 'a client that looks at it finds that the relay knows the password')
  now += 290_000
  const stranger = connect(relay, { host: '198.51.100.1' })
  stranger.send(answer)
  const again = await stranger.next()
  now += 20_000
  const late = connect(relay, { host: '198.51.100.1' })
  late.send(again)
  t.match(await late.closed, { reason: /clock differs/ }, 'what somebody has listened to comes to an end')
})

t.test('twins with one vmac come to rest beside each other', async (t) => {
  const relay = start(t)
  const twin = async (wanted: string): Promise<[Connected, string | undefined]> => {
    const client = connect(relay)
    return [client, await client.join('aaaaaaaaaaaaaaaa', wanted)]
  }
  const [first, a] = await twin('192.168.202.9/24')
  const [second, b] = await twin('192.168.202.9/24')
  t.match(await first.closed, { reason: /newer connection/ })
  const [third, c] = await twin('192.168.202.9/24') // the first one is back
  t.same([a, b, c], ['192.168.202.9/24', '192.168.202.9/24', '192.168.202.1/24'])
  third.send(forward('192.168.202.1', '192.168.202.9'))
  t.equal((await received(third, second))[0].length, 1, 'both are there')
})

t.test('leases outlive the relay', async (t) => {
  const before = start(t)
  const client = connect(before)
  t.equal(await client.join('aaaaaaaaaaaaaaaa', '192.168.202.77/24'), '192.168.202.77/24')
  const saved = JSON.parse(JSON.stringify(before.leases))
  await before.close()
  const leases = new LeaseStore(saved)
  let changes = 0
  leases.onChange = () => { changes++ }
  const after = start(t, { leases })
  t.equal(await connect(after).join('bbbbbbbbbbbbbbbb', '192.168.202.77/24'), '192.168.202.1/24', 'kept for the one that had it')
  t.equal(changes, 1)
  const back = connect(after)
  t.equal(await back.join('aaaaaaaaaaaaaaaa'), '192.168.202.77/24')
  t.equal(changes, 1, 'nothing new')
  t.equal(await connect(after).join('aaaaaaaaaaaaaaaa'), '192.168.202.2/24', 'and given to one connection only')
  t.equal(after.stats.peers, 3)
})

t.test('connections of one source, and half-open ones, are bounded', async (t) => {
  const relay = start(t, { maxPerSource: 3, maxHalfOpen: 5 })
  const office = Array.from({ length: 3 }, () => connect(relay, { host: '198.51.100.1' }))
  for (const [i, client] of office.entries()) await client.login(`192.168.202.${1 + i}`)
  t.match(await connect(relay, { host: '198.51.100.1' }).closed, { reason: 'too many connections' })
  const local = Array.from({ length: 5 }, () => connect(relay, { host: '127.0.0.1' }))
  t.equal(relay.stats.halfOpen, 5)
  const newcomer = connect(relay, { host: '198.51.100.2' })
  t.same(await local[0].closed, { code: CloseCode.TRY_AGAIN_LATER, reason: 'too many connections' }, 'the oldest of them makes room')
  await newcomer.login('192.168.202.9')
  newcomer.send(forward('192.168.202.9', '192.168.202.1'))
  t.equal((await received(newcomer, office[0]))[0].length, 1)
  t.match(relay.stats, { peers: 4, halfOpen: 4, refused: { source: 1, limit: 1 } })
})

t.test('the clock of the relay is set: members stay, and who joins is judged by the new time', async (t) => {
  let now = 1_700_000_000_000
  const relay = start(t, { clock: { ...systemClock, date: () => now }, log: silent })
  const auth = (address: string, time: number): Uint8Array => encodeAuth({ secret, address: addr(address), timestamp: Math.floor(time / 1000) })
  const [a, b] = [connect(relay), connect(relay)]
  for (const [i, client] of [a, b].entries()) client.send(encodeVmac({ secret, vmac: `device ${i}        x`.slice(0, 16), timestamp: now / 1000 }), auth(`192.168.202.${1 + i}`, now))
  await b.settled()
  for (const jump of [86_400_000, -86_400_000 * 365, 86_400_000 * 364, 600_000]) {
    const before = now
    now += jump
    relay.tick(performance.now())
    a.send(forward('192.168.202.1', '192.168.202.2'))
    t.equal((await received(a, b))[0].length, 1, `by ${jump} ms`)
    const [late, right] = [connect(relay), connect(relay)]
    late.send(auth('192.168.202.8', before))
    t.match(await late.closed, { reason: /clock differs/ })
    right.send(auth('192.168.202.9', now), forward('192.168.202.9', '192.168.202.9'))
    t.equal((await received(right, right))[0].length, 1)
  }
  t.equal(relay.leases.table().size, 2, 'devices keep their addresses')
  t.match(relay.stats, { peers: 3, refused: { clock: 4, timeout: 0, replay: 0 } })
})

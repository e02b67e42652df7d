/** What messages to all may cost: with made time, and the figures of an attack. */
import t from 'tap'
import { BROADCAST_RATE, BroadcastBudget, Credit } from '../../../src/nodes/candy/relay/broadcast-budget.ts'
import { encodeDiscovery, encodeGeneral } from '../../../src/nodes/candy/protocol/messages.ts'
import { readNetwork, type CandyNetworkInit } from '../../../src/nodes/candy/relay/settings.ts'
import { Switch } from '../../../src/nodes/candy/relay/switch.ts'
import { addressed, forward as pass } from '../../../src/nodes/candy/relay/traffic.ts'
import { RemoteMember } from '../../../src/nodes/candy/relay/workers/connection.ts'
import { toHex } from '../../helpers/bytes.ts'
import { addr, forward } from '../../helpers/candy/client.ts'
import { ManualClock } from '../../helpers/clock.ts'

const ALL = '255.255.255.255'
const MEMBERS = 500
const at = (i: number): string => `10.77.${i >> 8}.${i & 255}`

/** A network with members that take everything. */
class Site {
  readonly clock = new ManualClock()
  readonly fabric: Switch
  readonly members: RemoteMember[] = []
  copies = 0
  bytes = 0
  last = ''

  constructor (count: number, init: Partial<CandyNetworkInit> = {}) {
    this.fabric = new Switch(readNetwork({ password: 'x', dhcp: '10.77.0.0/16', ...init }), { clock: this.clock, queued: 0, queueTotal: 1e9, parts: 1 })
    for (let i = 1; i <= count; i++) this.join(at(i))
  }

  join (address: string): RemoteMember {
    const send = (batch: Uint8Array[]): number => {
      this.copies += batch.length
      for (const { length } of batch) this.bytes += length
      this.last = toHex(batch[batch.length - 1])
      return batch.length
    }
    const member = new RemoteMember(this.fabric, { send, queued: 0, limit: 1e9 })
    member.address = addr(address)
    member.limit()
    this.fabric.set(member.address, member)
    this.members.push(member)
    return member
  }

  /** What passes of a message, in copies. */
  send (member: RemoteMember, message: Uint8Array): number {
    const before = this.copies
    if (message[0] === 1) pass(member, message)
    else addressed(member, message, message[0] === 5 ? 'DISCOVERY' : 'GENERAL')
    this.fabric.flush(member)
    return this.copies - before
  }
}

function discovery (source: string, destination = ALL, length = 9): Uint8Array {
  const message = new Uint8Array(length).fill(0xaa)
  message.set(encodeDiscovery({ source: addr(source), destination: addr(destination) }))
  return message
}

t.test('the tail of DISCOVERY to all goes to nobody, that of one to somebody goes with it, whatever --broadcast says', async (t) => {
  for (const broadcast of [true, false]) {
    const listener = new Site(3, { broadcast })
    const [a] = listener.members
    t.equal(listener.send(a, discovery(at(1), ALL, 1500)), 2)
    t.equal(listener.last, toHex(discovery(at(1))))
    t.equal(listener.send(a, discovery(at(1), at(2), 1500)), 1)
    t.equal(listener.last, toHex(discovery(at(1), at(2), 1500)))
    t.equal(a.traffic.bytesIn, 3000, 'all of it has come in')
  }
})

t.test('1000 DISCOVERY a second with 1500 bytes each to 500 members come out as less than 300 kB a second, not 750 MB', async (t) => {
  const listener = new Site(MEMBERS, { broadcast: false })
  const flood = discovery(at(1), ALL, 1500)
  const second = (): number => {
    const before = listener.bytes
    for (let i = 0; i < 1000; i++) {
      listener.send(listener.members[0], flood)
      listener.clock.advance(1)
    }
    return listener.bytes - before
  }
  t.ok(second() < 2 * 300_000, 'with what was kept')
  let bytes = 0
  for (let i = 0; i < 9; i++) bytes += second()
  t.ok(bytes / 9 < 300_000, `${bytes / 9} bytes a second`)
  t.ok(bytes / 9 > 250_000, 'which it does get')
  const { packetsIn, drops } = listener.members[0].traffic
  t.equal(packetsIn, 10_000)
  t.equal(drops.broadcast, 10_000 - listener.copies / (MEMBERS - 1), 'the rest is counted')
})

t.test('what all members together send to all is bounded in copies and in bytes, of any kind and length', async (t) => {
  const kinds: Array<[string, (source: string) => Uint8Array]> = [
    ['FORWARD of 1500 bytes', (source) => forward(source, ALL, 1479)],
    ['multicast of 257 bytes', (source) => forward(source, '224.0.0.251', 236)],
    ['FORWARD of 29 bytes to the network', (source) => forward(source, '10.77.255.255')],
    ['GENERAL', (source) => encodeGeneral({ subtype: 0, extra: 0, source: addr(source), destination: addr(ALL), data: new Uint8Array(6) })],
    ['DISCOVERY', (source) => discovery(source)]
  ]
  const [count, broadcastRate, seconds] = [100, 4096, 30]
  for (const [name, message] of kinds) {
    const listener = new Site(count, { broadcastRate })
    const { length } = message(at(1))
    for (let i = 0; i < count * 2 * (seconds + 10); i++) { // each of them twice a second
      if (i === count * 2 * 10) listener.copies = listener.bytes = 0
      listener.send(listener.members[i % count], message(at(1 + i % count)))
      listener.clock.advance(500 / count)
    }
    const parts = listener.copies * Math.ceil(length / 256)
    const kept = broadcastRate + count * (count - 1) * Math.ceil(length / 256) // a second, and one message of each
    t.ok(parts <= broadcastRate * seconds + kept, `${name}: ${parts} parts`)
    t.ok(parts > broadcastRate * seconds * 0.45, 'which it does get')
    t.equal(listener.bytes, listener.copies * length)
    t.ok(listener.bytes <= (broadcastRate * seconds + kept) * 256, `${name}: ${listener.bytes} bytes`)
  }
})

t.test('a flood by all others takes nothing from a sender that has a right to its own part', async (t) => {
  const listener = new Site(MEMBERS)
  const [honest, ...others] = listener.members
  let passed = 0
  for (let second = 1; second <= 60; second++) {
    for (const [i, flooder] of others.entries()) for (let k = 0; k < 4; k++) listener.send(flooder, discovery(at(i + 2)))
    if (second % 10 === 0) passed += listener.send(honest, discovery(at(1)))
    listener.clock.advance(1000)
  }
  t.equal(passed, 6 * (MEMBERS - 1), 'each of its six')
  t.equal(honest.traffic.drops.broadcast, 0)
  t.ok(others.filter(({ traffic }) => traffic.drops.broadcast > 0).length > MEMBERS / 2)
})

t.test('one that floods leaves room for the bursts of another one as well, where they are not many', async (t) => {
  const listener = new Site(10)
  const [flooder, other] = listener.members
  let passed = 0
  for (let second = 1; second <= 10; second++) {
    for (let i = 0; i < 5000; i++) listener.send(flooder, forward(at(1), ALL, 200))
    for (let i = 0; i < 50; i++) passed += listener.send(other, forward(at(2), ALL, 200))
    listener.clock.advance(1000)
  }
  t.equal(passed, 9 * 50 * 9, 'all but those of the first second, when it was new')
  t.ok(flooder.traffic.drops.broadcast > 0)
})

t.test('to connect again and again gives no more, nor does it to wait without an address', async (t) => {
  const listener = new Site(MEMBERS)
  while (listener.send(listener.members[0], discovery(at(1))) > 0); // nothing is common any more
  const stranger = new RemoteMember(listener.fabric, { send: () => 0, queued: 0, limit: 1 })
  listener.clock.advance(10_000)
  while (listener.send(listener.members[0], discovery(at(1))) > 0);
  const before = listener.copies
  for (let i = 0; i < 100; i++) listener.send(listener.join(at(1000)), discovery(at(1000)))
  stranger.address = addr(at(1001))
  stranger.limit()
  listener.fabric.set(stranger.address, stranger)
  listener.send(stranger, discovery(at(1001)))
  t.equal(listener.copies, before)
  listener.clock.advance(20_000)
  while (listener.send(listener.members[0], discovery(at(1))) > 0);
  stranger.limit() // as after a reload
  t.equal(listener.send(stranger, discovery(at(1001))), MEMBERS + 1, 'but time as a member does')
})

t.test('every 300 seconds a DISCOVERY of each: all of them pass up to 3135 members, also beside a flood', async (t) => {
  for (const floods of [false, true]) {
    for (const members of [2, 50, 254, 500, 2046, 3135, 3500]) {
      const budget = new BroadcastBudget()
      const own = Array.from({ length: members }, () => new Credit(0))
      const flooder = new Credit(0)
      let [passed, sent, flood] = [0, 0, 0]
      for (let round = 1; round <= 3; round++) {
        for (const [i, credit] of own.entries()) {
          const now = (round + i / members) * 300_000
          if (floods) while (budget.spend(flooder, 9, members, BROADCAST_RATE, 1, now)) flood++
          sent++
          if (budget.spend(credit, 9, members, BROADCAST_RATE, 1, now)) passed++
        }
      }
      if (members === 3500) t.ok(passed < sent, `${members} members are too many`)
      else t.equal(passed, sent, `${members} members, flood: ${floods}`)
      t.equal(flood > 0, floods)
    }
  }
})

t.test('a message that takes longer than a second to be paid for passes when it is paid for', async (t) => {
  const budget = new BroadcastBudget()
  const own = new Credit(0)
  const spend = (now: number): boolean => budget.spend(own, 1500, 3, 2, 1, now) // 12 copies: 12 s of what is common, 36 s of its own
  t.same([0, 11_999, 12_000, 35_999, 36_000, 36_001, 71_999, 72_000].map(spend), [true, false, true, true, true, false, true, true])
})

t.test('the part of a thread is its part of what is common', async (t) => {
  const spent = (parts: number): number => {
    const budget = new BroadcastBudget()
    let copies = 0
    while (budget.spend(new Credit(), 9, 11, 1000, parts, 0)) copies += 10
    return copies
  }
  t.same([1, 2, 5].map(spent), [500, 250, 100])
})

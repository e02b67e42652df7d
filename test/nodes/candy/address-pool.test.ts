import { ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { AddressPool, type AddressPoolInit, type Client } from '../../../src/nodes/candy/relay/address-pool.ts'
import { LeaseTable } from '../../../src/nodes/candy/relay/leases.ts'
import { formatAddress } from '../../../src/net/ipv4.ts'
import { address, cidr } from '../../helpers/candy/vectors.ts'

/** A pool that speaks text. Its clock stands still until a test moves it. A connection is called as its device; `a#2` is a second one of device `a`, `#1` one without a device. */
class Desk {
  now = 1_000_000
  readonly pool: AddressPool
  readonly #clients = new Map<string, Client>()

  constructor (range: string, init: Omit<AddressPoolInit, 'range'> = {}) {
    this.pool = new AddressPool({ range, ...init })
  }

  #client (name: string): Client {
    const [device] = name.split('#')
    const client = this.#clients.get(name) ?? { owner: {}, device: device === '' ? undefined : device }
    this.#clients.set(name, client)
    return client
  }

  offer (name: string, wanted?: string): string | undefined {
    const address = this.pool.offer({ ...this.#client(name), wanted: wanted === undefined ? undefined : cidr(wanted), now: this.now })
    return address === undefined ? undefined : formatAddress(address)
  }

  claim (name: string, text: string): void {
    this.pool.claim(address(text), this.#client(name))
  }

  release (text: string): void {
    this.pool.release(address(text))
  }

  /** The connection has ended; its address is released separately. */
  abandon (name: string): void {
    this.pool.abandon(this.#client(name).owner)
    this.#clients.delete(name)
  }

  /** DHCP and then AUTH. */
  join (name: string, wanted?: string): string | undefined {
    const given = this.offer(name, wanted)
    if (given !== undefined) this.claim(name, given)
    return given
  }
}

t.test('case 12: six clients in a /29, and a seventh', async (t) => {
  const desk = new Desk('10.0.0.0/29')
  const given = ['a', 'b', 'c', 'd', 'e', 'f'].map((device) => desk.join(device))
  t.same(given, [1, 2, 3, 4, 5, 6].map((host) => `10.0.0.${host}`))
  t.equal(desk.join('g'), undefined)
  t.equal(desk.join('g', '10.0.0.0/29'), undefined, 'not the network address')
  t.equal(desk.join('g', '10.0.0.7/29'), undefined, 'not the broadcast address')
  t.equal(desk.join('g', '10.0.0.3/29'), undefined, 'not that of another')
  t.equal(desk.join('c', '10.0.0.3/29'), '10.0.0.3', 'those who are in stay')
  desk.release('10.0.0.4')
  t.equal(desk.join('g'), '10.0.0.4')
})

t.test('case 12: the same with offers only, before any AUTH', async (t) => {
  const desk = new Desk('10.0.0.0/29')
  const devices = Array.from({ length: 6 }, (_, i) => `#${i}`)
  t.same(devices.map((device) => desk.offer(device)), [1, 2, 3, 4, 5, 6].map((host) => `10.0.0.${host}`))
  t.equal(desk.offer('#6'), undefined)
})

t.test('case 13: a wanted address', async (t) => {
  const desk = new Desk('10.0.0.0/24')
  t.equal(desk.join('a', '10.0.0.77/24'), '10.0.0.77', 'free')
  t.equal(desk.offer('b', '10.0.0.77/24'), '10.0.0.1', 'in use by another device')
  t.equal(desk.offer('a', '10.0.0.77/24'), '10.0.0.77', 'in use by the same device')
  t.equal(desk.offer('c', '10.0.1.5/24'), '10.0.0.2', 'outside')
  t.equal(desk.offer('d', '10.0.0.0/24'), '10.0.0.3', 'network')
  t.equal(desk.offer('e', '10.0.0.255/24'), '10.0.0.4', 'broadcast')
  t.equal(desk.offer('f', '10.0.0.99/29'), '10.0.0.5', 'longer prefix')
  t.equal(desk.offer('g', '10.0.0.99/16'), '10.0.0.6', 'shorter prefix')
  t.equal(desk.offer('h', '0.0.0.0/0'), '10.0.0.7', 'anything will do')
  t.equal(desk.offer('i', '10.0.0.99/24'), '10.0.0.99', 'free')
  t.equal(desk.offer('j', '10.0.0.99/24'), '10.0.0.8', 'offered to another a moment ago')
})

t.test('connections without a vmac are not one device', async (t) => {
  const desk = new Desk('10.0.0.0/24')
  t.equal(desk.join('#1', '10.0.0.9/24'), '10.0.0.9')
  t.equal(desk.offer('#2', '10.0.0.9/24'), '10.0.0.1')
  t.equal(desk.offer('#1', '10.0.0.9/24'), '10.0.0.9', 'itself')
})

t.test('an offer is kept for 30 seconds', async (t) => {
  const desk = new Desk('10.0.0.0/29')
  t.equal(desk.offer('a', '10.0.0.5/29'), '10.0.0.5')
  t.equal(desk.offer('a'), '10.0.0.5', 'asked again')
  desk.now += 29_999
  t.equal(desk.offer('b', '10.0.0.5/29'), '10.0.0.1', 'not yet')
  desk.now += 1
  t.equal(desk.offer('c', '10.0.0.5/29'), '10.0.0.5', 'run out')
  desk.now += 20_000
  t.equal(desk.offer('c'), '10.0.0.5', 'asking renews it')
  desk.now += 20_000
  t.equal(desk.offer('d', '10.0.0.5/29'), '10.0.0.2')
})

t.test('a device has one reservation', async (t) => {
  const desk = new Desk('10.0.0.0/30')
  t.equal(desk.offer('a', '10.0.0.1/30'), '10.0.0.1')
  t.equal(desk.offer('a', '10.0.0.2/30'), '10.0.0.2', 'changes its mind')
  t.equal(desk.offer('b'), '10.0.0.1')
  t.equal(desk.offer('c'), undefined)
  desk.claim('a', '192.168.0.1')
  t.equal(desk.offer('c'), '10.0.0.2', 'free after AUTH for another address')
})

t.test('reservations are bounded', async (t) => {
  const desk = new Desk('10.0.0.0/8', { maxReservations: 3 })
  for (const device of ['a', 'b', 'c']) desk.offer(device)
  t.equal(desk.offer('d'), undefined)
  t.equal(desk.offer('d', '10.9.9.9/8'), undefined)
  t.equal(desk.offer('b'), '10.0.0.2', 'who has one keeps it')
  desk.claim('a', '10.0.0.1')
  t.not(desk.offer('d'), undefined, 'AUTH makes room')
  desk.now += 30_000
  for (const device of ['e', 'f', 'g']) t.not(desk.offer(device), undefined, 'and so does time')
})

t.test('a clock that is set back', async (t) => {
  const desk = new Desk('10.0.0.0/29')
  desk.offer('a', '10.0.0.5/29')
  desk.now -= 3_600_000
  t.equal(desk.offer('b', '10.0.0.5/29'), '10.0.0.5')
  t.equal(desk.offer('c', '10.0.0.5/29'), '10.0.0.1')
})

t.test('a claim ends the reservation of another', async (t) => {
  const desk = new Desk('10.0.0.0/29')
  t.equal(desk.offer('a'), '10.0.0.1')
  desk.claim('#static', '10.0.0.1')
  t.equal(desk.offer('a'), '10.0.0.2')
  desk.release('10.0.0.1')
  t.equal(desk.offer('b', '10.0.0.1/29'), '10.0.0.1', 'and when it has gone the address is free')
})

t.test('a device gets its last address again, when that is free', async (t) => {
  const desk = new Desk('10.0.0.0/24')
  t.equal(desk.join('a', '10.0.0.50/24'), '10.0.0.50')
  t.equal(desk.offer('a#2'), '10.0.0.1', 'a second program of the same machine does not push out the first')
  desk.claim('a#2', '10.0.0.1')
  desk.release('10.0.0.50')
  desk.release('10.0.0.1')
  t.equal(desk.join('b'), '10.0.0.2')
  desk.now += 86_400_000
  t.equal(desk.join('a'), '10.0.0.1')
  desk.release('10.0.0.1')
  t.equal(desk.join('c', '10.0.0.1/24'), '10.0.0.3', 'nobody else is given it')
  desk.claim('d', '10.0.0.1')
  t.equal(desk.join('a'), '10.0.0.4', 'but who has taken it as its own keeps it')
  desk.claim('d', '10.0.0.2')
  desk.release('10.0.0.1')
  t.equal(desk.pool.leases.addressOf('b'), address('10.0.0.2'), 'and does not take leases away by going about')
  t.equal(desk.join('#1'), '10.0.0.5')
  desk.release('10.0.0.5')
  t.equal(desk.join('#1'), '10.0.0.6', 'only devices with a vmac are remembered')
})

t.test('when there is no other address, the lease that was idle for longest is given away', async (t) => {
  const desk = new Desk('10.0.0.0/29')
  for (const device of ['a', 'b', 'c', 'd', 'e', 'f']) desk.join(device)
  for (const host of [3, 1, 2]) desk.release(`10.0.0.${host}`)
  t.same(['x', 'y'].map((device) => desk.offer(device)), ['10.0.0.3', '10.0.0.1'], 'the oldest first, and each once')
  t.equal(desk.join('c'), '10.0.0.2', 'its own is offered to another')
  t.equal(desk.join('x'), '10.0.0.3')
  t.equal(desk.offer('z'), undefined)
  desk.release('10.0.0.3')
  t.equal(desk.join('b'), '10.0.0.3')
  t.equal(desk.pool.leases.addressOf('x'), undefined, 'given away for good')
})

t.test('leases are bounded, the one idle for longest goes first', async (t) => {
  const desk = new Desk('10.0.0.0/24', { leases: new LeaseTable(2) })
  for (const device of ['a', 'b', 'a', 'c']) desk.release(desk.join(device) ?? '')
  t.equal(desk.join('a'), '10.0.0.1')
  t.equal(desk.join('c'), '10.0.0.3')
  t.equal(desk.join('b'), '10.0.0.4', 'forgotten')
  t.equal(desk.pool.leases.addressOf('b'), undefined, 'and not remembered while the others are connected')
})

t.test('leases of an earlier run', async (t) => {
  const before = new Desk('10.0.0.0/29')
  for (const device of ['a', 'b', 'c']) before.join(device)
  before.release('10.0.0.2')
  const leases = new LeaseTable()
  leases.load([...before.pool.leases.entries(), ['elsewhere', address('10.9.0.1')]])
  const desk = new Desk('10.0.0.0/29', { leases })
  t.equal(leases.size, 3, 'one of another range is dropped')
  t.same(['x', 'y', 'z'].map((device) => desk.join(device)), ['10.0.0.4', '10.0.0.5', '10.0.0.6'], 'newcomers get what nobody had')
  t.same(['c', 'a', 'b'].map((device) => desk.join(device)), ['10.0.0.3', '10.0.0.1', '10.0.0.2'])
})

t.test('leases tell when there is something to save', async (t) => {
  const desk = new Desk('10.0.0.0/24')
  let changes = 0
  desk.pool.leases.onChange = () => { changes++ }
  desk.join('a')
  t.equal(changes, 1)
  desk.release('10.0.0.1')
  desk.join('a')
  t.equal(changes, 1, 'nothing new')
  desk.claim('a', '10.0.0.7')
  t.ok(changes > 1)
  const before = changes
  desk.claim('#1', '10.0.0.9')
  desk.claim('#1', '10.0.0.7')
  t.equal(changes, before, 'who is no device changes nothing')
})

t.test('twins, which share a vmac, do not push each other out for ever', async (t) => {
  const desk = new Desk('10.0.0.0/24')
  const wanted = '10.0.0.5/24' // both have it from the same image
  t.equal(desk.join('twin#1', wanted), '10.0.0.5')
  desk.now += 1000
  t.equal(desk.join('twin#2', wanted), '10.0.0.5', 'it may be the same machine, which has lost its connection')
  for (let round = 0; round < 3; round++) {
    desk.now += 1000
    t.equal(desk.join('twin#1', wanted), '10.0.0.1', 'the first comes back, and stays beside the second')
    desk.release('10.0.0.1')
  }
  desk.now += 30_000
  t.equal(desk.join('twin#1', wanted), '10.0.0.5', 'later it may try once more')
  desk.now += 29_999
  t.equal(desk.join('twin#2', wanted), '10.0.0.2')
  t.equal(desk.join('twin#3', '10.0.0.2/24'), '10.0.0.2', 'each address has its own count')
  t.equal(desk.offer('other', '10.0.0.2/24'), '10.0.0.3', 'and other devices have no part in it')
})

t.test('twins that ask at the same time are offered two addresses', async (t) => {
  const desk = new Desk('10.0.0.0/24')
  t.equal(desk.offer('twin#1'), '10.0.0.1')
  t.equal(desk.offer('twin#2'), '10.0.0.2')
  t.equal(desk.offer('twin#1'), '10.0.0.1')
  desk.claim('twin#1', '10.0.0.1')
  desk.claim('twin#2', '10.0.0.2')
  desk.release('10.0.0.1')
  desk.release('10.0.0.2')
  t.equal(desk.join('twin#3'), '10.0.0.2', 'the last one is remembered')
})

t.test('an address is offered to one device at a time, whatever twins do', async (t) => {
  const desk = new Desk('10.0.0.0/30')
  desk.claim('#static', '10.0.0.2')
  t.equal(desk.join('twin#1'), '10.0.0.1')
  t.equal(desk.offer('twin#2', '10.0.0.1/30'), '10.0.0.1', 'contested')
  t.equal(desk.offer('twin#1', '10.0.0.1/30'), '10.0.0.1', 'its holder asks again')
  for (const name of ['twin#1', 'twin#2']) desk.abandon(name)
  desk.release('10.0.0.1')
  const offers = ['a', 'b'].map((device) => desk.offer(device))
  t.ok(offers.filter((offer) => offer === '10.0.0.1').length <= 1, offers.join())
})

t.test('an offer waits for its device when its connection ends, and for nobody without one', async (t) => {
  const desk = new Desk('10.0.0.0/29')
  t.equal(desk.offer('a#1', '10.0.0.5/29'), '10.0.0.5')
  t.equal(desk.offer('#1', '10.0.0.6/29'), '10.0.0.6')
  desk.abandon('a#1')
  desk.abandon('#1')
  t.equal(desk.offer('b', '10.0.0.6/29'), '10.0.0.6')
  t.equal(desk.offer('c', '10.0.0.5/29'), '10.0.0.1')
  t.equal(desk.offer('a#2'), '10.0.0.5')
  for (let i = 3; i < 20; i++) { // one device waits for one address, however often it goes
    t.equal(desk.offer(`a#${i}`), i === 3 ? '10.0.0.2' : '10.0.0.3', String(i))
    desk.abandon(`a#${i}`)
    if (i === 3) t.equal(desk.offer('a#3'), '10.0.0.2')
  }
})

t.test('who says which device it is comes before those who do not', async (t) => {
  const desk = new Desk('10.0.0.0/29', { maxReservations: 6 })
  t.same([1, 2, 3, 4, 5, 6].map((i) => desk.offer(`#${i}`)), [1, 2, 3, 4, 5, 6].map((host) => `10.0.0.${host}`))
  t.equal(desk.offer('#7'), undefined)
  t.equal(desk.join('a'), '10.0.0.1', 'the oldest makes room')
  t.equal(desk.offer('b'), '10.0.0.2')
  t.equal(desk.offer('#3'), '10.0.0.3', 'the others keep theirs')
  const wide = new Desk('10.0.0.0/8', { maxReservations: 3 })
  for (let i = 0; i < 3; i++) t.ok(wide.offer(`#${i}`))
  t.equal(wide.offer('#9'), undefined, 'too many offers')
  t.ok(wide.offer('a'))
})

t.test('static addresses, in and outside of the range', async (t) => {
  const desk = new Desk('10.0.0.0/29')
  desk.claim('a', '10.0.0.1')
  desk.claim('b', '192.168.0.1')
  desk.claim('c', '10.0.0.0')
  desk.claim('d', '10.0.0.7')
  t.equal(desk.join('e'), '10.0.0.2')
  for (const text of ['192.168.0.1', '10.0.0.0', '10.0.0.7', '10.0.0.5']) desk.release(text)
  t.same(['f', 'g', 'h', 'i', 'j'].map((device) => desk.offer(device)), ['10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6', undefined])
})

t.test('the search begins behind the host of the range and comes round', async (t) => {
  const desk = new Desk('10.0.0.5/29')
  t.same(['a', 'b', 'c'].map((device) => desk.join(device)), ['10.0.0.6', '10.0.0.1', '10.0.0.2'])
  t.equal(new Desk('10.0.0.7/29').join('a'), '10.0.0.1')
})

t.test('ranges from /8 to /30', async (t) => {
  for (const range of ['', '10.0.0.0', '10.0.0.0/24/', '::/24', '10.0.0.0/31', '10.0.0.0/32', '10.0.0.0/7', '0.0.0.0/0']) {
    t.throws(() => new Desk(range), { code: 'ERR_OPTION' }, range)
  }
  t.same(['a', 'b', 'c'].map((device) => new Desk('10.0.0.0/30').join(device)), ['10.0.0.1', '10.0.0.1', '10.0.0.1'])
  const high = new Desk('255.0.0.0/8')
  t.equal(high.join('a', '255.255.255.254/8'), '255.255.255.254')
  t.equal(high.join('b', '255.255.255.255/8'), '255.0.0.1')
  for (const init of [{ reservationTime: 0 }, { maxReservations: -1 }, { contestTime: NaN }]) {
    t.throws(() => new Desk('10.0.0.0/24', init), { code: 'ERR_OPTION' })
  }
})

t.test('a full /16 answers many requests, and finds the one address that becomes free', async (t) => {
  const desk = new Desk('10.0.0.0/16')
  for (let host = 1; host < 65_535; host++) desk.pool.claim(address('10.0.0.0') + host, { owner: {}, device: `device ${host}` })
  for (let i = 0; i < 10_000; i++) ok(desk.offer(`stranger ${i}`) === undefined)
  desk.release('10.0.200.7')
  t.equal(desk.offer('stranger'), '10.0.200.7')
  t.equal(desk.offer('another'), undefined)
})

t.test('property: nobody is offered what another uses or was offered', async () => {
  const step = fc.record({
    device: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
    kind: fc.constantFrom('offer', 'join', 'leave', 'wait'),
    wanted: fc.option(fc.nat(8), { nil: undefined })
  })
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const desk = new Desk('10.0.0.0/29')
    const holders = new Map<string, string>()
    const offers = new Map<string, { device: string, until: number }>()
    for (const { device, kind, wanted } of steps) {
      if (kind === 'wait') desk.now += 11_000
      const held = [...holders].filter(([, holder]) => holder === device).map(([text]) => text)
      if (kind === 'leave') {
        for (const text of held) {
          holders.delete(text)
          desk.release(text)
        }
      }
      if (kind !== 'offer' && kind !== 'join') continue
      const given = desk.offer(device, wanted === undefined ? undefined : `10.0.0.${wanted}/29`)
      if (given === undefined) {
        ok([1, 2, 3, 4, 5, 6].every((host) => holders.has(`10.0.0.${host}`) || (offers.get(`10.0.0.${host}`)?.until ?? 0) > desk.now), 'refused only when full')
        continue
      }
      ok(!['10.0.0.0', '10.0.0.7', '10.0.0.8'].includes(given), 'a host')
      ok((holders.get(given) ?? device) === device, 'not used by another')
      const offered = offers.get(given)
      ok(offered === undefined || offered.device === device || offered.until <= desk.now, 'not offered to another')
      for (const [text, offer] of offers) if (offer.device === device) offers.delete(text)
      if (kind === 'join') {
        desk.claim(device, given)
        holders.set(given, device)
      } else {
        offers.set(given, { device, until: desk.now + 30_000 })
      }
    }
  }), { numRuns: 500 })
})

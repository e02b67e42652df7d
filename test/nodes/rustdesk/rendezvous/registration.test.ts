import fc from 'fast-check'
import t from 'tap'
import { Peer } from '../../../../src/nodes/rustdesk/rendezvous/peer.ts'
import { countKey, decideKey, plausibilityOf, presenceOf } from '../../../../src/nodes/rustdesk/rendezvous/registration.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)

const makePeer = ({ uuid = 'machine', pk = 'key', ip = '192.0.2.1' } = {}): Peer => new Peer({ id: '123456789', uuid: bytes(uuid), pk: bytes(pk), ip })

t.test('a peer that is there (rows 1, 3 and 4)', async (t) => {
  t.equal(presenceOf(undefined, '192.0.2.1'), 'unknown')
  t.equal(presenceOf(makePeer({ pk: '' }), '192.0.2.1'), 'keyless')
  const peer = makePeer()
  t.equal(presenceOf(peer, '192.0.2.1'), 'heard', 'from the address that it has registered from')
  t.equal(presenceOf(peer, '192.0.2.2'), 'moved')
  t.equal(presenceOf(peer, '127.0.0.9'), 'heard', 'the loopback is no other place')
  t.equal(presenceOf(peer, '::1'), 'heard')
  peer.heard('192.0.2.7', 4000, 0)
  t.equal(presenceOf(peer, '192.0.2.7'), 'heard', 'the address that it was heard from counts, not that of the store')
  t.equal(presenceOf(peer, '192.0.2.1'), 'moved')
  peer.reach({ way: 'tcp', send: () => true })
  t.equal(presenceOf(peer, '192.0.2.7'), 'moved', 'no datagram takes the place of a connection')
})

t.test('an address of the store is folded', async (t) => {
  t.equal(presenceOf(makePeer({ ip: '::ffff:192.0.2.1' }), '192.0.2.1'), 'heard')
})

t.test('a peer is online for 30 seconds (row 22)', async (t) => {
  const peer = makePeer()
  t.equal(peer.isOnline(0), false)
  peer.heard('192.0.2.1', 1, 1000)
  t.equal(peer.isOnline(30_900), true)
  t.equal(peer.isOnline(30_999), true)
  t.equal(peer.isOnline(31_000), false)
})

t.test('what a request needs (row 23)', async (t) => {
  const request = { id: '123456', uuid: bytes('u'), pk: bytes('k') }
  t.equal(plausibilityOf(request), 'plausible')
  t.equal(plausibilityOf({ ...request, uuid: bytes('') }), 'ignored')
  t.equal(plausibilityOf({ ...request, pk: bytes('') }), 'ignored')
  t.equal(plausibilityOf({ ...request, id: '12345' }), 'no_id')
  t.equal(plausibilityOf({ ...request, id: 'ééé' }), 'plausible', 'six bytes')
  t.equal(plausibilityOf({ ...request, id: 'x'.repeat(100) }), 'plausible')
  t.equal(plausibilityOf({ ...request, id: 'x'.repeat(101) }), 'no_id')
  t.equal(plausibilityOf({ ...request, uuid: new Uint8Array(257) }), 'ignored')
})

t.test('keys: the table (rows 2, 5, 6 and 23)', async (t) => {
  const table = [
    { uuid: 'machine', pk: 'key', ip: '192.0.2.1', decision: 'same' },
    { uuid: 'machine', pk: 'key', ip: '192.0.2.2', decision: 'changed' },
    { uuid: 'machine', pk: 'other', ip: '192.0.2.1', decision: 'changed' },
    { uuid: 'machine', pk: 'other', ip: '192.0.2.2', decision: 'stolen' },
    { uuid: 'another', pk: 'key', ip: '192.0.2.1', decision: 'machine' },
    { uuid: 'another', pk: 'other', ip: '192.0.2.2', decision: 'machine' },
    { uuid: 'machin', pk: 'key', ip: '192.0.2.1', decision: 'machine' }
  ]
  for (const { uuid, pk, ip, decision } of table) t.equal(decideKey(makePeer(), { uuid: bytes(uuid), pk: bytes(pk) }, ip, 0), decision, `${uuid} ${pk} ${ip}`)
  t.equal(decideKey(undefined, { uuid: bytes('u'), pk: bytes('k') }, '192.0.2.1', 0), 'new')
  t.equal(decideKey(makePeer({ uuid: '' }), { uuid: bytes('u'), pk: bytes('k') }, '192.0.2.1', 0), 'new', 'a row without a machine')
})

t.test('three keys in a row (row 24)', async (t) => {
  const peer = makePeer()
  const register = (now: number): string => {
    const decision = decideKey(peer, { uuid: bytes('machine'), pk: bytes('key') }, '192.0.2.1', now)
    if (decision !== 'frequent') countKey(peer, now)
    return decision
  }
  t.same([0, 1, 2, 3].map(register), ['same', 'same', 'same', 'frequent'])
  t.equal(register(6002 + 997), 'frequent', '6.997 s after the last one')
  t.equal(register(7002), 'same')
  t.same([7003, 7004, 7005].map(register), ['same', 'same', 'frequent'])
})

t.test('any history: the limit of keys is that of a plain model', async () => {
  fc.assert(fc.property(fc.array(fc.record({ pause: fc.integer({ min: 0, max: 9000 }), pk: fc.constantFrom('a', 'b'), ip: fc.constantFrom('192.0.2.1', '192.0.2.2') }), { maxLength: 40 }), (calls) => {
    const peer = makePeer({ pk: 'a' })
    const model = { pk: 'a', ip: '192.0.2.1', count: 0, at: -3_600_000 }
    let now = 0
    for (const { pause, pk, ip } of calls) {
      now += pause
      const decision = decideKey(peer, { uuid: bytes('machine'), pk: bytes(pk) }, ip, now)
      const isOld = Math.floor((now - model.at) / 1000) > 6
      const expected = pk !== model.pk && ip !== model.ip ? 'stolen' : !isOld && model.count > 2 ? 'frequent' : pk === model.pk && ip === model.ip ? 'same' : 'changed'
      if (decision !== expected) throw new Error(`${decision}, expected ${expected}`)
      if (expected === 'stolen' || expected === 'frequent') continue
      model.count = isOld ? 1 : model.count + 1
      model.at = now
      countKey(peer, now)
      if (expected === 'changed') peer.identify({ uuid: bytes('machine'), pk: bytes(pk), ip })
      model.pk = pk
      model.ip = ip
    }
  }))
})

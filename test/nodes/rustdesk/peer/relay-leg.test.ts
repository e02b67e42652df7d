/** What is said at a relay, which others name: so it may be any service of any machine (RustDesk protocol, section 6.6). */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { dialRelay, readRelay } from '../../../../src/nodes/rustdesk/peer/relay-leg.ts'
import { NatTypes } from '../../../../src/nodes/rustdesk/peer/nat-types.ts'
import { NatType } from '../../../../src/nodes/rustdesk/protocol/enums.ts'
import type { PeerLink } from '../../../../src/nodes/rustdesk/peer/transport.ts'
import { memoryPair } from '../../../../src/transports/memory/index.ts'
import { systemClock } from '../../../../src/streams/clock.ts'

const AT = { host: '192.0.2.1', port: 1 }
const RELAY = { host: '127.0.0.1', port: 6379 }

t.test('a uuid that is a line of another protocol, or long, is not said to anybody', async (t) => {
  let dials = 0
  const transport = {
    async dial (): Promise<PeerLink> {
      dials++
      return Object.assign(memoryPair()[0], { local: AT, remote: RELAY })
    },
    listen: () => { throw new Error('not used') }
  }
  for (const uuid of ['a\r\nFLUSHALL\r\n', '', 'x'.repeat(129), 'a b', '\u0000']) await t.rejects(dialRelay({ transport, relay: RELAY, uuid, key: 'key' }), { code: 'ERR_LINK_CLOSED' })
  t.equal(dials, 0)
  await dialRelay({ transport, relay: RELAY, uuid: randomUUID(), key: 'key' })
  t.equal(dials, 1)
})

t.test('relays that are told', async (t) => {
  t.same(readRelay('relay.example'), { host: 'relay.example', port: 21_117 })
  t.same(readRelay('[2001:db8::1]:5'), { host: '2001:db8::1', port: 5 })
  for (const text of ['', 'relay.example:0', 'a b', 'relay.example:99999', '\u001b[2J']) t.equal(readRelay(text), undefined, text)
})

t.test('the type of a NAT where the server has no address', async (t) => {
  const tests = new NatTypes({ clock: systemClock, dial: async () => await Promise.reject(new Error('no address')), onTested () {} })
  t.equal(await tests.test(), NatType.unknown)
})

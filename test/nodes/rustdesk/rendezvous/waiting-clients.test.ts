import fc from 'fast-check'
import t from 'tap'
import { mangleAddress, unmangleAddress } from '../../../../src/nodes/rustdesk/protocol/mangled-address.ts'
import { WaitingClients } from '../../../../src/nodes/rustdesk/rendezvous/waiting-clients.ts'

const CLIENT = { host: '192.0.2.1', port: 4000 }
const PEER = { id: 'peer-1', host: '192.0.2.9' }

t.test('an answer of the peer that was asked', async (t) => {
  const waiting = new WaitingClients<string>()
  waiting.open('a', CLIENT)
  const told = waiting.ask('a', PEER)
  t.same(unmangleAddress(told), CLIENT)
  const again = mangleAddress(CLIENT, 1)
  t.equal(waiting.take({ client: again, id: PEER.id, host: '192.0.2.66' }), undefined, 'from elsewhere, by an address that is the same in other bytes (row 33)')
  t.equal(waiting.take({ client: again, id: 'peer-2', host: PEER.host }), undefined, 'for another id')
  t.equal(waiting.take({ client: again, id: PEER.id, host: PEER.host }), 'a')
  t.equal(waiting.take({ client: again, id: PEER.id, host: PEER.host }), undefined, 'one answer')
  t.equal(waiting.open('a', CLIENT).mayAsk, false)
})

t.test('a peer with several addresses repeats what it was told', async (t) => {
  const waiting = new WaitingClients<string>()
  waiting.open('a', CLIENT)
  const told = waiting.ask('a', PEER)
  t.equal(waiting.take({ client: told, id: '', host: '2001:db8::66' }), 'a')
  waiting.open('b', { host: '2001:db8::1', port: 1 })
  const plain = waiting.ask('b', PEER)
  t.equal(waiting.take({ client: plain, id: PEER.id, host: '2001:db8::66' }), undefined, 'addresses of IPv6 can be guessed')
  t.equal(waiting.take({ client: plain, id: PEER.id, host: PEER.host }), 'b')
})

t.test('clients behind one proxy have addresses of their own', async (t) => {
  const waiting = new WaitingClients<number>()
  const proxy = { host: '192.0.2.1', port: 0 }
  const told = Array.from({ length: 100 }, (_, i) => {
    waiting.open(i, proxy)
    return waiting.ask(i, PEER)
  })
  for (const [i, client] of [...told.entries()].reverse()) t.equal(waiting.take({ client, id: PEER.id, host: PEER.host }), i)
})

t.test('the end of a client', async (t) => {
  const waiting = new WaitingClients<string>()
  waiting.open('a', CLIENT)
  const told = waiting.ask('a', PEER)
  waiting.close('a')
  waiting.close('a')
  t.equal(waiting.take({ client: told, id: PEER.id, host: PEER.host }), undefined)
  t.equal(waiting.size, 0)
  waiting.open('old', CLIENT)
  waiting.open('new', CLIENT)
  waiting.close('old')
  t.equal(waiting.take({ client: waiting.ask('new', PEER), id: '', host: PEER.host }), 'new', 'the later one of an address has it')
})

t.test('a client that asks many has the last eight', async (t) => {
  const waiting = new WaitingClients<string>()
  waiting.open('a', CLIENT)
  const told = Array.from({ length: 9 }, (_, i) => waiting.ask('a', { id: `peer-${i}`, host: '192.0.2.9' }))
  t.equal(waiting.take({ client: told[0], id: 'peer-0', host: '192.0.2.9' }), undefined)
  t.equal(waiting.take({ client: told[8], id: 'peer-8', host: '192.0.2.9' }), 'a')
})

t.test('a client may ask 16 times', async (t) => {
  const waiting = new WaitingClients<string>()
  const client = waiting.open('a', CLIENT)
  let asks = 0
  for (; client.mayAsk; asks++) waiting.ask('a', PEER)
  t.equal(asks, 16)
  t.equal(waiting.take({ client: mangleAddress(CLIENT, 1), id: '', host: PEER.host }), 'a')
})

t.test('any bytes are nobody (row 31)', async () => {
  const waiting = new WaitingClients<string>()
  waiting.open('a', CLIENT)
  waiting.ask('a', PEER)
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 30 }), fc.uint8Array({ minLength: 1000, maxLength: 1000 })), (client) =>
    waiting.take({ client, id: '', host: '192.0.2.66' }) === undefined))
})

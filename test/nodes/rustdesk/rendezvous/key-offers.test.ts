import t from 'tap'
import { Connection } from '../../../../src/nodes/rustdesk/rendezvous/connection.ts'
import { KeyOffers } from '../../../../src/nodes/rustdesk/rendezvous/key-offers.ts'
import { newCounters } from '../../../../src/nodes/rustdesk/rendezvous/stats.ts'
import { VirtualClock } from '../../../../src/streams/virtual-clock.ts'
import { KeyExchangeServer } from '../../../../src/transforms/secretbox/index.ts'
import { byDefault as nacl, SEED } from '../../../helpers/crypto/nacls.ts'
import { frames } from '../../../helpers/transforms/key-exchange-frames.ts'

const signer = nacl.signKeys(SEED)

function start (implementation: 'sodium-native' | 'tweetnacl' = 'sodium-native') {
  const clock = new VirtualClock()
  const totals = newCounters()
  const offers = new KeyOffers({ clock, totals }, implementation)
  return {
    clock,
    totals,
    offers,
    connect (host: string): Connection {
      const connection = new Connection({ remote: { host, port: 1 }, way: 'tcp', now: clock.now(), onFirst: () => {}, exchange: new KeyExchangeServer({ nacl, signer, frames }) })
      offers.add(connection)
      return connection
    }
  }
}

const isOffered = (connection: Connection): boolean => connection.answers.size > 0

t.test('after 300 ms of silence, each at its time', async (t) => {
  const { clock, connect } = start()
  const first = connect('192.0.2.1')
  clock.advance(100)
  const second = connect('192.0.2.2')
  const ended = connect('192.0.2.3')
  ended.end()
  clock.advance(199)
  t.notOk(isOffered(first))
  clock.advance(1)
  t.same([first, second].map(isOffered), [true, false])
  clock.advance(100)
  t.same([first, second, ended].map(isOffered), [true, true, false])
  const third = connect('192.0.2.1')
  clock.advance(300)
  t.ok(isOffered(third), 'after a pause as well')
})

t.test('bounds: of one address, and of all', async (t) => {
  const { clock, totals, connect } = start('tweetnacl')
  const greedy = Array.from({ length: 80 }, () => connect('192.0.2.1'))
  const other = connect('192.0.2.2')
  clock.advance(300)
  t.equal(greedy.filter(isOffered).length, 64)
  t.equal(totals.drops.offer, 16)
  t.ok(isOffered(other))
  clock.advance(1200)
  t.equal(greedy.filter(isOffered).length, 80, 'the others are put off')
  clock.advance(2000)
  const more = Array.from({ length: 80 }, (_, i) => connect(`198.51.100.${i}`))
  const late = Array.from({ length: 80 }, (_, i) => connect(`203.0.113.${i}`))
  clock.advance(300)
  t.equal([...more, ...late].filter(isOffered).length, 100)
  clock.advance(1500)
  t.equal([...more, ...late].filter(isOffered).length, 160)
})

t.test('stopped: nobody is offered one', async (t) => {
  const { clock, offers, connect } = start()
  const connection = connect('192.0.2.1')
  offers.stop()
  clock.advance(1000)
  t.notOk(isOffered(connection))
})

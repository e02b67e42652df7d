/** `relay status` and `peer status` as text: messages of the protocol, by kind. */
import t from 'tap'
import { peerText, relayText } from '../../../src/cli/showchain/status-text.ts'
import { World } from '../../helpers/showchain/world.ts'

t.test('messages that have come and were sent, those that there are', async (t) => {
  const world = new World()
  t.teardown(() => world.close())
  const relay = await world.relay('h')
  const { peer } = await world.peer('a', { to: { host: '127.0.0.1', port: 22 }, allow: 'any' })
  const idle = peerText({ ...peer.status(), messages: { received: { keepAlive: 0 }, sent: {}, drops: {}, unsent: 0 } })
  t.notMatch(idle, /since the start/)
  await world.clock.pass(5000)
  const ofRelay = relayText({ ...relay.status(), url: 'udp://192.0.2.1:7700' })
  t.match(ofRelay, /^received since the start: direct request \d+/m)
  t.match(ofRelay, /^sent since the start: direct response \d+/m)
  t.notMatch(ofRelay, /pass data|too many waited/)
  const ofPeer = peerText(peer.status())
  t.match(ofPeer, /^received since the start: direct response \d+/m)
  t.match(ofPeer, /^sent since the start: direct request \d+/m)
  t.match(peerText({ ...peer.status(), messages: { received: {}, sent: { dataAck: 2, passResponseAck: 3 }, drops: {}, unsent: 4 } }), /^sent since the start: pass response ack 3, data ack 2; 4 not, as too many waited$/m)
})

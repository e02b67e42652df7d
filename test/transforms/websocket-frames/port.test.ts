/** What leaves through the port of a WebSocket, and what waits there. */
import t, { type Test } from 'tap'
import { bytes, drain, endsWith, hear, texts, turn, until } from '../../helpers/ends.ts'
import { FrameEncoder, websocketFrames, type WebSocketLink } from '../../../src/transforms/websocket-frames/index.ts'
import { memoryPair } from '../../../src/transports/index.ts'
import { prepareSocketCalls } from '../../../src/net/native/socket-calls.ts'

function pair (t: Test): [WebSocketLink, WebSocketLink] {
  const [here, there] = memoryPair()
  return [endsWith(t, websocketFrames({ role: 'client' })(here)), endsWith(t, websocketFrames({ role: 'server' })(there))]
}

t.test('frames that were made elsewhere', async (t) => {
  const [client, server] = pair(t)
  const frames = new FrameEncoder('server').push(texts('one', 'two'))[0]
  t.ok(server.sendFrames?.(frames))
  server.port.send(texts('three'))
  const heard = hear(client.source)
  server.close()
  t.notOk(server.sendFrames?.(frames), 'after goodbye there is nothing more')
  void drain(server.source)
  t.same((await heard).map(String), ['one', 'two', 'three'])
})

t.test('where the system does not tell what waits, pongs do, once somebody asks', async (t) => {
  await prepareSocketCalls()
  const [client, server] = pair(t)
  const [pings, pongs]: string[][] = [[], []]
  server.onPing = (payload) => { pings.push(Buffer.from(payload).toString('latin1')) }
  client.onPong = (payload) => { pongs.push(Buffer.from(payload).toString('latin1')) }
  void drain(client.source)
  void drain(server.source)
  const send = (): number => client.port.send([bytes(40_000)])
  send()
  await idleFor(20)
  t.same(pings, [], 'nobody has asked')
  t.equal(client.port.bufferedAmount, 0)
  send()
  t.ok(client.port.queued > 0)
  t.equal(client.port.bufferedAmount, client.port.queued, 'nothing is known by now')
  await until(() => pongs.length === 1)
  t.same(pongs, pings)
  await until(() => client.port.bufferedAmount === 0)
  client.ping(Buffer.from('mine'))
  await until(() => pongs.length === 2)
  t.equal(pongs[1], 'mine')
})

async function idleFor (turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) await turn()
}

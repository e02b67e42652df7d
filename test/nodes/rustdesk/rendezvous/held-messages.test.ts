/** What is kept of messages that are not complete. */
import t from 'tap'
import { framedMessages } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { over } from '../../../../src/layer.ts'
import { memoryPair } from '../../../../src/transports/memory/pair.ts'
import { byDefault as nacl, SEED } from '../../../helpers/crypto/nacls.ts'
import { until } from '../../../helpers/ends.ts'
import { startRendezvous, TcpClient, WebSocketClient } from '../../../helpers/rustdesk/rendezvous.ts'

const MiB = 1024 * 1024

/** The header of a message of 60,000 bytes, and half of it. */
const HALF = Buffer.concat([Buffer.from([60_000 << 2 & 0xff | 2, 60_000 >> 6 & 0xff, 60_000 >> 14]), Buffer.alloc(30_000)])

t.test('beyond 64 MiB connections end that have more than a little of one, the oldest first', async (t) => {
  const { server: { rendezvous }, clock } = await startRendezvous(t)
  const ended: number[] = []
  const sizes = [4096, 30 * MiB, 30 * MiB, 4 * MiB, 4 * MiB]
  for (const [i, size] of sizes.entries()) {
    const [near, far] = memoryPair().map((link) => over(link, framedMessages))
    void rendezvous.accept(Object.assign(near, { remote: { host: '192.0.2.9', port: i }, incomplete: { capacity: size } }), 'tcp').then(() => { ended.push(i) })
    far.port.send([{ punch_hole_request: { id: 'nobody-1' } }])
  }
  await until(() => rendezvous.stats.messages.tcp.punch_hole_request === sizes.length)
  rendezvous.tick(clock.now())
  await until(() => ended.length > 0)
  rendezvous.tick(clock.now())
  t.same(ended, [1])
  t.equal(rendezvous.stats.refused.incomplete, 1)
})

for (const [name, encryption] of [['plain', undefined], ['encrypted', { nacl, signer: nacl.signKeys(SEED) }]] as const) {
  t.test(`${name} connections tell what they keep, on all ports`, async (t) => {
    const { server } = await startRendezvous(t, { encryption })
    const { tcp, natTest, webSocket } = server.ports
    for (const [i, port] of [tcp, natTest].entries()) {
      const { socket } = await TcpClient.dial(t, port)
      socket.write(HALF)
      await until(() => server.status().heldBytes > 30_000 * (i + 1))
    }
    const { socket } = await WebSocketClient.dial(t, webSocket)
    socket.send(Buffer.alloc(30_000), { fin: false })
    await until(() => server.status().heldBytes > 90_000)
  })
}

/** Datagrams to all of a network, by sockets of each kind. */
import t from 'tap'
import { bindUdp, type UdpInit } from '../../../src/transports/udp/index.ts'

const TO_ALL = '127.255.255.255'

for (const io of ['offload', 'batch', 'node'] satisfies Array<UdpInit['io']>) {
  t.test(`${io}: sent when it is asked for, refused else`, { skip: process.platform !== 'linux' && 'the loopback of others has no such address' }, async (t) => {
    const [all, sender, other] = await Promise.all([bindUdp({ host: '0.0.0.0', port: 0, io }), bindUdp({ host: '0.0.0.0', port: 0, io, broadcast: true }), bindUdp({ host: '0.0.0.0', port: 0, io })])
    t.teardown(() => { for (const socket of [all, sender, other]) socket.close() })
    const to = (text: string) => [{ data: Buffer.from(text), host: TO_ALL, port: all.local.port }]
    other.port.send(to('refused'))
    await other.port.drained?.()
    sender.port.send(to('sent'))
    const { value: [{ data }] } = await all.source[Symbol.asyncIterator]().next()
    t.equal(String(Buffer.from(data)), 'sent')
    t.ok(Object.values(other.errors).some((count) => count > 0), 'the refusal is counted')
  })
}

t.test('neither true nor false', async (t) => {
  await t.rejects(bindUdp({ host: '127.0.0.1', port: 0, broadcast: 1 as never }), { code: 'ERR_OPTION' })
})

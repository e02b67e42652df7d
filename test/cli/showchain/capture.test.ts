/** Datagrams of a node as packets of a capture. */
import { once } from 'node:events'
import { createSocket } from 'node:dgram'
import t, { type Test } from 'tap'
import { RecordedSockets } from '../../../src/cli/showchain/recorded-sockets.ts'
import { udpPacket } from '../../../src/cli/showchain/udp-packet.ts'
import { addWords, fold } from '../../../src/net/checksum.ts'
import { CaptureRecorder } from '../../../src/transforms/capture/index.ts'
import type { UdpSocket } from '../../../src/transports/udp/index.ts'
import type { Batch, Datagram } from '../../../src/types.ts'
import { toHex } from '../../helpers/bytes.ts'
import { readCapture } from '../../helpers/pcapng.ts'

t.test('packets of IPv4 and IPv6', async (t) => {
  const data = Buffer.from('hello')
  t.equal(toHex(udpPacket({ host: '192.0.2.1', port: 7700 }, { host: '198.51.100.2', port: 4000 }, data)),
    '450000210000400040114e95c0000201c6336402' + '1e140fa0000da21668656c6c6f')
  const packet = udpPacket({ host: 'fe80::1%eth0', port: 1 }, { host: '2001:db8::2', port: 65535 }, data)
  t.equal(toHex(packet.subarray(0, 40)), '60000000000d1140' + 'fe800000000000000000000000000001' + '20010db8000000000000000000000002')
  t.equal(fold(addWords(packet, 40, packet.length, addWords(packet, 8, 40, 17 + 13))), 0, 'the checksum is right')
  t.equal(udpPacket({ host: '::', port: 1 }, { host: '192.0.2.1', port: 2 }, data)[0], 0x45, 'a socket on all addresses that sends by IPv4')
  t.equal(udpPacket({ host: '::', port: 1 }, { host: '2001:db8::2', port: 2 }, data)[0], 0x60)
  t.equal(toHex(udpPacket({ host: '192.0.2.1', port: 1 }, { host: '2001:db8::2', port: 2 }, data).subarray(8, 24)), '00000000000000000000ffffc0000201')
})

async function pair (t: Test): Promise<{ sockets: RecordedSockets, socket: UdpSocket, say (text: string): Promise<void>, heard: Promise<unknown[]> }> {
  const sockets = new RecordedSockets()
  const socket = await sockets.bind({ host: '127.0.0.1', port: 0 })
  const other = createSocket('udp4').bind(0, '127.0.0.1')
  t.teardown(() => {
    socket.close()
    other.close()
  })
  await once(other, 'listening')
  const heard = once(other, 'message')
  const { port } = other.address()
  socket.port.send([{ host: '127.0.0.1', port, data: Buffer.from('before the capture') }])
  await heard
  return { sockets, socket, say: (text) => new Promise((resolve) => { other.send(text, socket.local.port, '127.0.0.1', () => { resolve() }) }), heard }
}

for (const way of ['flow', 'source'] as const) {
  t.test(`what a socket sends and gets while it is recorded, read by ${way}`, async (t) => {
    const { sockets, socket, say } = await pair(t)
    const chunks: Uint8Array[] = []
    const recorder = new CaptureRecorder({ interfaces: [{ linkType: 'raw', name: 'showchain' }], write: (bytes) => { chunks.push(bytes) } })
    const texts: string[] = []
    const expected = ['one', 'two', 'three']
    const detach = sockets.attach(recorder)
    let detached = (): void => {}
    const take = async (batch: Batch<Datagram>): Promise<void> => {
      for (const { data, host, port } of batch) {
        texts.push(Buffer.from(data).toString())
        if (texts.length === 1) socket.port.send([{ host, port, data: Buffer.from('an answer') }])
        if (texts.length === 2) detached = detach
        data.fill(0) // the node may change what has come
      }
      detached()
      if (texts.length < expected.length) await say(expected[texts.length])
      else socket.close()
    }
    await say(expected[0])
    if (way === 'flow') await socket.flow?.(take)
    else for await (const batch of socket.source) await take(batch)
    recorder.end()
    t.same(texts, expected)
    const { packets } = readCapture(Buffer.concat(chunks))
    t.same(packets.map(({ direction, data }) => [direction, data.subarray(28).toString()]), [['in', 'one'], ['out', 'an answer'], ['in', 'two']])
    t.equal(packets[0].data.readUInt16BE(22), socket.local.port)
    t.equal(packets[1].data.readUInt16BE(20), socket.local.port)
  })
}

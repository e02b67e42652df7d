/** Datagrams that there is no room for, in the system or in the process, are counted. */
import t from 'tap'
import { bytes, turn, until } from '../../helpers/ends.ts'
import { bound, ifNative, to } from '../../helpers/transports/udp-sockets.ts'
import { listenUdp } from '../../../src/transports/udp/listener.ts'
import type { UdpSocket } from '../../../src/transports/udp/socket.ts'

const quiet = async (): Promise<void> => { for (let i = 0; i < 50; i++) await turn() }

for (const io of ['offload', 'batch'] as const) {
  t.test(`those that the system drops while a reader is busy, each once; also after the end, ${io}`, ifNative, async (t) => {
    const [sender, reader] = [await bound(t), await bound(t, { io, kernelBuffer: 20_000 }) as Required<UdpSocket>]
    let [calls, got] = [0, 0]
    let release = (): void => {}
    const flowing = reader.flow((batch) => {
      got += batch.length
      return calls++ === 0 ? new Promise<void>((resolve) => { release = resolve }) : undefined
    })
    sender.port.send([to(reader.local, bytes(1))])
    await until(() => calls === 1)
    t.equal(reader.dropped, 0)
    const sizes = Array.from({ length: 500 }, (_, i) => 500 + i) // no two are grouped, so each is dropped by itself
    sender.port.send(sizes.map((size) => to(reader.local, bytes(size))))
    t.ok(reader.dropped > 400, `${reader.dropped} while it is busy`)
    release()
    await until(() => got + reader.dropped === 501)
    const { dropped } = reader
    sender.port.send([to(reader.local, bytes(1))])
    await until(() => got + dropped === 502)
    t.equal(reader.dropped, dropped)
    reader.close()
    await flowing
    t.equal(reader.dropped, dropped, 'the last value stays')
  })

  t.test(`those that its own reader has no room for are counted with them, ${io}`, ifNative, async (t) => {
    const [sender, reader] = [await bound(t), await bound(t, { io, receiveLimit: 10_000 })]
    sender.port.send(Array.from({ length: 100 }, (_, i) => to(reader.local, bytes(900 + i))))
    await until(() => reader.dropped > 0)
    await quiet()
    t.equal(reader.dropped, 91, 'the limit is exceeded by one datagram')
    const { value } = await reader.source[Symbol.asyncIterator]().next()
    t.equal(value.length, 9)
    reader.abort(new Error('enough'))
    t.equal(reader.dropped, 91)
  })
}

t.test('a reader of a link that is not there for long: what waits is in memory of its own, and whole', async (t) => {
  const listener = listenUdp({ host: '127.0.0.1', port: 0 })
  t.teardown(() => { listener.close() })
  const sender = await bound(t)
  const at = { host: '127.0.0.1', port: await listener.port() }
  const texts = Array.from({ length: 30 }, (_, i) => `${i}`.padEnd(i * 3))
  sender.port.send([to(at, 'first')])
  const { value: link } = await listener[Symbol.asyncIterator]().next()
  for (const text of texts) {
    sender.port.send([to(at, text)])
    await turn()
  }
  await quiet()
  const { value } = await link.source[Symbol.asyncIterator]().next()
  t.same(value.map((data: Uint8Array) => Buffer.from(data).toString()), ['first', ...texts])
  for (const { buffer } of value) t.ok(buffer.byteLength < 10_000)
})

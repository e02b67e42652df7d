import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { deliveryOf } from '../../../src/net/native/delivery.ts'
import { prepareSocketCalls } from '../../../src/net/native/socket-calls.ts'
import { SequentialStreams } from '../../../src/transforms/sequential-streams/index.ts'
import { streamLink } from '../../../src/transports/stream-link.ts'
import { until } from '../../helpers/ends.ts'
import { shortFolder } from '../../helpers/short-folder.ts'
import { socketPair } from '../../helpers/socket-pair.ts'

const hasKoffi = await import('koffi').then(() => true, () => false)
const skip = process.platform !== 'linux' || !hasKoffi ? 'takes Linux and koffi' : false

t.test('nothing is known before it is known whether the system can be asked', { skip }, async (t) => {
  const [socket] = await socketPair(t)
  t.equal(deliveryOf(socket), undefined)
  await prepareSocketCalls()
  t.match(deliveryOf(socket), { isUnanswered: false })
})

t.test('what the system at the other end has taken, whether its program reads or not', { skip }, async (t) => {
  await prepareSocketCalls()
  const [socket, other] = await socketPair(t)
  const acknowledged = (): number => deliveryOf(socket)?.acknowledged ?? NaN
  const before = acknowledged()
  socket.write(Buffer.alloc(1000))
  await until(() => acknowledged() === before + 1000)
  while (socket.writableLength === 0) socket.write(Buffer.alloc(64 * 1024))
  const full = acknowledged()
  other.resume()
  await until(() => acknowledged() > full)
  t.equal(deliveryOf(socket)?.isUnanswered, false)
})

t.test('links tell it, those on a connection for many as well; none of a closed one', { skip }, async (t) => {
  await prepareSocketCalls()
  const [socket] = await socketPair(t)
  const link = streamLink(socket)
  t.same(link.delivery?.(), deliveryOf(socket))
  const serial = new SequentialStreams(link).open(Buffer.from('{}'))
  t.match(serial.delivery?.(), { isUnanswered: false })
  link.abort(new Error('enough'))
  t.equal(serial.delivery?.(), undefined)
  await serial.source[Symbol.asyncIterator]().next().catch(() => {})
})

t.test('what the system does not tell of', { skip }, async (t) => {
  await prepareSocketCalls()
  const [socket] = await socketPair(t, { path: join(shortFolder(t), 'socket') })
  t.equal(deliveryOf(socket), undefined)
  t.equal(deliveryOf(new PassThrough()), undefined)
  t.equal(streamLink(new PassThrough()).delivery, undefined)
})

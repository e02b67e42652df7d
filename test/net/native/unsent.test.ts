import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { streamLink } from '../../../src/transports/stream-link.ts'
import { prepareSocketCalls } from '../../../src/net/native/socket-calls.ts'
import { SequentialStreams } from '../../../src/transforms/sequential-streams/index.ts'
import { standstill } from '../../helpers/ends.ts'
import { shortFolder } from '../../helpers/short-folder.ts'
import { socketPair } from '../../helpers/socket-pair.ts'
import { unsentOf } from '../../../src/net/native/unsent.ts'

const hasKoffi = await import('koffi').then(() => true, () => false)
const skip = process.platform !== 'linux' || !hasKoffi ? 'takes Linux and koffi' : false

t.test('until it is known whether that can be known, nothing waits', { skip }, async (t) => {
  t.equal(unsentOf(new PassThrough()), 0)
  await prepareSocketCalls()
  t.equal(unsentOf(new PassThrough()), undefined)
})

t.test('a socket whose other end does not read', { skip }, async (t) => {
  await prepareSocketCalls()
  const [socket] = await socketPair(t)
  t.equal(unsentOf(socket), 0)
  const link = streamLink(socket)
  const size = 64 * 1024
  let written = 0
  for (; written < 64 * 1024 * 1024 && socket.writableLength === 0; written += size) link.port.send([Buffer.alloc(size)])
  const unsent = unsentOf(socket) as number
  t.ok(unsent > 0 && unsent <= written, `${unsent} of ${written} bytes`)
  t.equal(link.port.bufferedAmount, link.port.queued + unsent)
  socket.destroy()
  t.equal(unsentOf(socket), undefined, 'nobody asks about a number that may be that of another by now')
  t.equal(link.port.bufferedAmount, undefined)
})

t.test('a bound of what the system takes: soon, or once it is known whether it can be set', { skip }, async (t) => {
  const size = 64 * 1024
  const taken = async (bound?: number): Promise<number> => {
    const [socket] = await socketPair(t)
    const link = streamLink(socket)
    if (bound !== undefined) link.boundUnsent?.(bound)
    let written = 0
    for (; written < 64 * 1024 * 1024 && socket.writableLength === 0; written += size) link.port.send([Buffer.alloc(size)])
    return unsentOf(socket) as number
  }
  await prepareSocketCalls()
  const [free, bounded, serial] = [await taken(), await taken(32 * 1024), (await socketPair(t))[0]]
  t.ok(bounded <= 32 * 1024 + 2 * size, `${bounded} bytes`)
  t.ok(free > 4 * bounded, `${free} bytes without`)
  const streams = new SequentialStreams(streamLink(serial))
  const one = streams.open(Buffer.from('{}'))
  one.boundUnsent?.(32 * 1024)
  one.sink((async function * () { for (let i = 0; i < 100; i++) yield [Buffer.alloc(size)] })()).catch(() => {})
  await standstill(() => serial.bytesWritten)
  t.ok(unsentOf(serial) as number <= 32 * 1024 + 2 * size, `${String(unsentOf(serial))} bytes of a link among others`)
  const [closed] = await socketPair(t)
  closed.destroy()
  t.doesNotThrow(() => { streamLink(closed).boundUnsent?.(1) })
})

t.test('what the system does not tell of', { skip }, async (t) => {
  await prepareSocketCalls()
  t.equal(unsentOf((await socketPair(t, { path: join(shortFolder(t), 'socket') }))[0]), undefined)
  t.equal(unsentOf(new PassThrough()), undefined)
})

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, createWriteStream, existsSync, mkdtempSync, readFileSync, rmdirSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import t, { type Test } from 'tap'
import { over } from '../../../src/layer.ts'
import { systemClock } from '../../../src/streams/clock.ts'
import { capture, captureFile, captureStream, type CaptureInit } from '../../../src/transforms/index.ts'
import { DEFAULT_CAPTURE_QUEUE } from '../../../src/transforms/capture/recorder.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { bytes, failureOf, turn, until } from '../../helpers/ends.ts'
import { readCapture } from '../../helpers/pcapng.ts'

const init: CaptureInit = { interfaces: [{ linkType: 'raw', name: 'packets' }] }

/** Bytes of the block of a packet. */
const blockOf = (size: number): number => 44 + Math.ceil(size / 4) * 4

const modeOf = (path: string): number => statSync(path).mode & 0o777

t.test('a file', async (t) => {
  const path = join(t.testdir(), 'new.pcapng')
  const { recorder, finished, close } = await captureFile(path, init)
  recorder.record([hex('01'), hex('0202')], 'in')
  recorder.record([hex('03')], 'out')
  t.strictSame(await close(), { reason: 'ended' })
  const { packets, statistics } = readCapture(readFileSync(path))
  t.same(packets.map(({ direction, data }) => `${direction} ${toHex(data)}`), ['in 01', 'in 0202', 'out 03'])
  t.match(statistics, [{ received: 3n, dropped: 0n }])
  t.equal(readFileSync(path).length, recorder.stats.bytes)
  t.equal(modeOf(path), 0o600)
  t.strictSame([await close(), await finished], [{ reason: 'ended' }, { reason: 'ended' }], 'again')
})

t.test('many batches arrive in order', async (t) => {
  const path = join(t.testdir(), 'many.pcapng')
  const { recorder, close } = await captureFile(path, { ...init, queueLimit: 1 << 28 })
  for (let i = 0; i < 3000; i++) recorder.record([bytes(i % 1400, i), bytes(3, i)], 'in')
  await close()
  const { packets } = readCapture(readFileSync(path))
  t.equal(packets.length, 6000)
  t.ok(packets.every(({ data }, i) => data.length === (i % 2 === 0 ? (i / 2) % 1400 : 3) && data.every((byte) => byte === (i >> 1) % 256)))
})

t.test('a name that is in use is refused, unless told to overwrite', async (t) => {
  const path = join(t.testdir({ 'old.pcapng': 'something that was there before'.repeat(100) }), 'old.pcapng')
  chmodSync(path, 0o644)
  t.match(await failureOf(captureFile(path, init)), { code: 'EEXIST' })
  t.match(readFileSync(path, 'utf8'), /^something/, 'it is unharmed')
  const { recorder, close } = await captureFile(path, { ...init, overwrite: true })
  recorder.record([hex('01')], 'in')
  await close()
  t.equal(readCapture(readFileSync(path)).packets.length, 1)
  t.equal(modeOf(path), 0o600, 'and not readable for others any more')
})

t.test('what cannot be: no file is left behind', async (t) => {
  const folder = t.testdir()
  t.match(await failureOf(captureFile(join(folder, 'none', 'x.pcapng'), init)), { code: 'ENOENT' })
  t.match(await failureOf(captureFile(folder, { ...init, overwrite: true })), { code: 'EISDIR' })
  const path = join(folder, 'x.pcapng')
  for (const bad of [{ interfaces: [] }, { maxBytes: 1 }, { snapLength: 0 }, { queueLimit: 0 }]) {
    t.match(await failureOf(captureFile(path, { ...init, ...bad })), { code: 'ERR_OPTION' })
  }
  t.notOk(existsSync(path))
  t.throws(() => captureStream(new PassThrough(), { interfaces: [] }), { code: 'ERR_OPTION' })
})

t.test('full: the file is complete and closed without anybody asking', async (t) => {
  const path = join(t.testdir(), 'full.pcapng')
  const { recorder, finished } = await captureFile(path, { ...init, maxBytes: 2000 })
  while (!recorder.full) recorder.record([bytes(100)], 'in')
  t.strictSame(await finished, { reason: 'full' })
  t.ok(statSync(path).size <= 2000 && statSync(path).size > 2000 - blockOf(100))
  t.equal(readCapture(readFileSync(path)).packets.length, recorder.stats.packets)
})

/** A stream that takes nothing until `release`. */
function stuck (): { stream: Writable, written: Buffer[], release: () => void } {
  const written: Buffer[] = []
  let isStuck = true
  let resume = (): void => {}
  const stream = new Writable({
    write (chunk, _encoding, done) {
      written.push(chunk)
      if (isStuck) resume = done
      else done()
    }
  })
  const release = (): void => {
    isStuck = false
    resume()
  }
  return { stream, written, release }
}

t.test('a stream that is too slow loses packets, and the traffic does not wait', async (t) => {
  const { stream, written, release } = stuck()
  const { recorder, close } = captureStream(stream, { ...init, queueLimit: 100_000 })
  const [here, there] = memoryPair()
  const link = over(here, capture(recorder))
  const other = there.source[Symbol.asyncIterator]()
  for (let i = 0; i < 100; i++) {
    if (link.port.send([bytes(1400, i), bytes(600, i)]) !== 2) t.fail('the link is slowed down')
    for (let got = 0; got < 2000;) got += (await other.next()).value.reduce((sum: number, { length }: Uint8Array) => sum + length, 0)
  }
  const { packets, dropped } = recorder.stats
  t.strictSame([packets + dropped, written.length], [200, 1], 'all of it has passed while nothing but the beginning was written')
  t.ok(dropped > 100 && dropped < 120, `${dropped} are missing`)
  t.ok(stream.writableLength < 100_000 + blockOf(1400) + blockOf(600), `${stream.writableLength} bytes wait`)

  const waiting = close()
  release()
  t.strictSame(await waiting, { reason: 'ended' })
  const read = readCapture(Buffer.concat(written))
  t.equal(read.packets.length, packets)
  t.ok(read.packets.every(({ data }, i) => data.every((byte) => byte === i >> 1)), 'the first ones, whole and in order')
  t.match(read.statistics, [{ received: 200n, dropped: BigInt(dropped) }])
})

t.test('tiny packets count for what they cost', async (t) => {
  const { stream } = stuck()
  const { recorder } = captureStream(stream, init)
  for (let i = 0; i < 100_000; i++) recorder.record([bytes(0)], 'in')
  t.ok(recorder.stats.dropped > 0 && recorder.stats.packets < DEFAULT_CAPTURE_QUEUE / 128, `${recorder.stats.packets} wait`)
  stream.destroy()
})

t.test('packets that come after a slow time are recorded', async (t) => {
  const { stream, written, release } = stuck()
  const { recorder, close } = captureStream(stream, { ...init, queueLimit: 1000 })
  for (let i = 0; i < 20; i++) recorder.record([bytes(100, 1)], 'in')
  const { dropped } = recorder.stats
  t.ok(dropped > 0)
  release()
  await until(() => stream.writableLength === 0)
  recorder.record([bytes(100, 2)], 'in')
  await close()
  t.equal(recorder.stats.dropped, dropped)
  t.equal(readCapture(Buffer.concat(written)).packets.at(-1)?.data[0], 2)
})

t.test('whoever does not want to wait for a stream that takes nothing gives up', async (t) => {
  for (const when of ['before', 'later']) {
    const { stream } = stuck()
    const { recorder, close } = captureStream(stream, init)
    recorder.record([bytes(1)], 'in')
    const controller = new AbortController()
    const reason = new Error('no more time')
    if (when === 'before') controller.abort(reason)
    const closing = close(controller.signal)
    controller.abort(reason)
    t.strictSame(await closing, { reason: 'failed', error: reason }, when)
    t.ok(stream.destroyed)
    t.strictSame(await recorder.finished, { reason: 'ended' })
  }
})

/** Records at both ends of a link until the capture has failed, and shows that the link has not. */
async function failing (t: Test, { recorder, finished, close }: ReturnType<typeof captureStream>, code: string): Promise<void> {
  const [here, there] = memoryPair()
  const link = over(here, capture(recorder))
  const other = there.source[Symbol.asyncIterator]()
  const exchange = async (): Promise<void> => {
    if (link.port.send([bytes(1400)]) !== 1) throw new Error('the link does not take packets any more')
    for (let got = 0; got < 1400;) got += (await other.next()).value.reduce((sum: number, { length }: Uint8Array) => sum + length, 0)
  }
  while (!recorder.over) {
    await exchange()
    await turn() // links in memory leave the event loop no time for files
  }
  const end = await finished
  t.match(end, { reason: 'failed', error: { code } })
  t.strictSame([await recorder.finished, await close()], [end, end])
  t.notOk(recorder.full)
  await exchange()
  t.pass('the link goes on')
}

t.test('a disk that is full: a stream', async (t) => {
  await failing(t, captureStream(createWriteStream('/dev/full'), init), 'ENOSPC')
})

t.test('a disk that is full: a device by its name', async (t) => {
  const mode = modeOf('/dev/full')
  await failing(t, await captureFile('/dev/full', { ...init, overwrite: true }), 'ENOSPC')
  t.equal(modeOf('/dev/full'), mode, 'only files get another mode')
})

/** A file system of 64 KiB, or what is missing to have one. Not below `t.testdir`, which cannot remove a disk that a killed run has left. */
function tinyDisk (t: Test): { path: string } | { missing: string } {
  if (process.getuid?.() !== 0) return { missing: 'root' }
  const path = mkdtempSync(join(tmpdir(), 'tunpipe-disk-'))
  t.teardown(() => { rmdirSync(path) })
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path])
  if (status !== 0) return { missing: 'permission to mount' }
  t.teardown(() => { spawnSync('umount', [path]) })
  return { path }
}

t.test('a disk that is full: a file', async (t) => {
  const disk = tinyDisk(t)
  if ('missing' in disk) {
    const reason = `a file on a disk that fills up takes ${disk.missing}`
    if (process.env.CI === 'true') t.fail(reason)
    else t.plan(0, reason)
    return
  }
  const path = join(disk.path, 'x.pcapng')
  await failing(t, await captureFile(path, init), 'ENOSPC')
  const size = statSync(path).size
  t.ok(size > 32_768 && size <= 65_536, `${size} bytes were written before`)
})

t.test('a receiver that goes away', async (t) => {
  const stream = new PassThrough()
  stream.resume()
  const capturing = captureStream(stream, init)
  stream.destroy(Object.assign(new Error('broken pipe'), { code: 'EPIPE' }))
  await failing(t, capturing, 'EPIPE')

  const gone = new PassThrough()
  gone.resume()
  const second = captureStream(gone, init)
  gone.destroy()
  await failing(t, second, 'ERR_STREAM_PREMATURE_CLOSE')
})

t.test('a stream that somebody else ends, or has ended before', async (t) => {
  const stream = new PassThrough()
  stream.resume()
  const during = captureStream(stream, init)
  stream.end()
  await failing(t, during, 'ERR_LINK_CLOSED')

  const ended = new PassThrough()
  ended.resume()
  ended.end()
  await once(ended, 'close')
  await failing(t, captureStream(ended, init), 'ERR_LINK_CLOSED')
})

t.test('a clock that fails: what was recorded before is written', async (t) => {
  const written: Buffer[] = []
  const stream = new PassThrough()
  stream.on('data', (chunk) => { written.push(chunk) })
  const error = new Error('no time')
  let count = 0
  const { recorder, finished } = captureStream(stream, {
    ...init,
    clock: {
      ...systemClock,
      date () {
        if (count++ > 1) throw error // asked when the capture begins, and for each packet
        return 0
      }
    }
  })
  recorder.record([hex('01')], 'in')
  recorder.record([hex('02')], 'in')
  t.strictSame(await finished, { reason: 'failed', error })
  t.same(readCapture(Buffer.concat(written)).packets.map(({ data }) => toHex(data)), ['01'])
})

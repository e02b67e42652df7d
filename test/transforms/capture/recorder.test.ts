import { deepEqual, equal, ok } from 'node:assert/strict'
import { machine, release, type } from 'node:os'
import fc from 'fast-check'
import t from 'tap'
import { CaptureRecorder, type CaptureRecorderInit } from '../../../src/transforms/index.ts'
import { DEFAULT_MAX_CAPTURE, MAX_SNAP_LENGTH } from '../../../src/transforms/capture/recorder.ts'
import { systemClock } from '../../../src/streams/clock.ts'
import { version } from '../../../src/version.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { ManualClock } from '../../helpers/clock.ts'
import { bytes } from '../../helpers/ends.ts'
import { readCapture } from '../../helpers/pcapng.ts'

const interfaces = [{ linkType: 'raw', name: 'packets' }, { linkType: 'user0', name: 'wire' }] as const

/** A recorder and the file that it has written so far. What it wrote is not copied, so that a later change of it would show. */
function recording (init: Partial<CaptureRecorderInit> = {}) {
  const written: Uint8Array[] = []
  const recorder = new CaptureRecorder({ interfaces, write: (piece) => { written.push(piece) }, ...init })
  return { recorder, written, file: () => Buffer.concat(written), read: () => readCapture(Buffer.concat(written)) }
}

t.test('a capture from beginning to end', async (t) => {
  const clock = new ManualClock({ date: 1_577_836_800_000 })
  const { recorder, written, read } = recording({ clock })
  t.equal(written.length, 1, 'the beginning is there at once')
  clock.advance(0.001)
  recorder.record([hex('45'), hex('4500')], 'in')
  clock.advance(1.499)
  recorder.record([hex('c0ffee')], 'out', 1)
  recorder.record([], 'out', 1)
  t.equal(written.length, 3, 'one piece for each batch, none for an empty one')
  clock.advance(0.5)
  t.strictSame([recorder.over, recorder.full], [false, false])
  recorder.end()
  const size = written.reduce((sum, { length }) => sum + length, 0)
  t.strictSame(recorder.stats, { packets: 3, bytes: size, dropped: 0 })
  t.strictSame(await recorder.finished, { reason: 'ended' })
  const timestamps = [1_577_836_800_000_001n, 1_577_836_800_001_500n, 1_577_836_800_002_000n]
  const limits = { snapLength: MAX_SNAP_LENGTH, resolution: 6 }
  t.strictSame(read(), {
    version: [1, 0],
    hardware: machine(),
    os: `${type()} ${release()}`,
    application: `tunpipe ${version}`,
    interfaces: [{ linkType: 101, name: 'packets', ...limits }, { linkType: 147, name: 'wire', ...limits }],
    packets: [
      { interfaceId: 0, timestamp: timestamps[0], direction: 'in', originalLength: 1, data: hex('45') },
      { interfaceId: 0, timestamp: timestamps[0], direction: 'in', originalLength: 2, data: hex('4500') },
      { interfaceId: 1, timestamp: timestamps[1], direction: 'out', originalLength: 3, data: hex('c0ffee') }
    ],
    statistics: [
      { interfaceId: 0, timestamp: timestamps[2], received: 2n, dropped: 0n },
      { interfaceId: 1, timestamp: timestamps[2], received: 1n, dropped: 0n }
    ]
  })
})

t.test('after its end nothing is recorded', async (t) => {
  const { recorder, file } = recording()
  recorder.end()
  const size = file().length
  recorder.end()
  recorder.fail(new Error('too late'))
  recorder.record([hex('00')], 'in')
  recorder.record([hex('00')], 'in', 7)
  t.equal(file().length, size)
  t.strictSame([recorder.over, recorder.full, recorder.stats.packets], [true, false, 0])
  t.strictSame(await recorder.finished, { reason: 'ended' })
})

t.test('memory that is used again does not change what was recorded', async (t) => {
  const { recorder, read } = recording()
  const batch = [bytes(64, 1), bytes(1400, 2), bytes(3, 3), bytes(300_000, 4)]
  for (let round = 0; round < 500; round++) {
    for (const packet of batch) packet.fill(round)
    recorder.record(batch, 'in')
    for (const packet of batch) packet.fill(0xff)
  }
  recorder.end()
  const { packets } = read()
  t.ok(packets.length > 800, 'many blocks of memory')
  t.ok(packets.every(({ data }, i) => data.every((byte) => byte === Math.floor(i / batch.length) % 256)))
})

const packet = fc.uint8Array({ maxLength: 60 })
const batches = fc.array(fc.record({ packets: fc.array(packet, { maxLength: 5 }), direction: fc.constantFrom('in', 'out'), id: fc.constantFrom(0, 1) }), { maxLength: 8 })

t.test('what goes in is in the file, up to the packet that does not fit', async (t) => {
  const least = (() => {
    const { recorder, file } = recording()
    recorder.end()
    return file().length
  })()
  let filled = 0
  fc.assert(fc.property(batches, fc.nat(1500), fc.integer({ min: 1, max: 70 }), (sent, room, snapLength) => {
    const maxBytes = least + room
    const { recorder, file, read } = recording({ maxBytes, snapLength })
    for (const { packets, direction, id } of sent) {
      const used = packets.map((one) => Uint8Array.from(one))
      recorder.record(used, direction, id)
      for (const one of used) one.fill(0xff)
    }
    const { full } = recorder
    recorder.end()
    ok(file().length <= maxBytes, 'the bound holds, statistics included')
    equal(recorder.stats.bytes, file().length)
    const wanted = sent.flatMap(({ packets, direction, id }) => packets.map((one) => ({ one, direction, id })))
    const { packets, statistics } = read()
    deepEqual(
      packets.map(({ data, direction, interfaceId, originalLength }) => [toHex(data), direction, interfaceId, originalLength]),
      wanted.slice(0, packets.length).map(({ one, direction, id }) => [toHex(one.subarray(0, snapLength)), direction, id, one.length])
    )
    const ofInterface = (id: number): bigint => BigInt(packets.filter(({ interfaceId }) => interfaceId === id).length)
    deepEqual(statistics.map(({ received, dropped }) => [received, dropped]), [[ofInterface(0), 0n], [ofInterface(1), 0n]])
    deepEqual(recorder.stats, { packets: packets.length, bytes: file().length, dropped: 0 })
    const next = wanted[packets.length]
    equal(full, next !== undefined, 'full when something is missing')
    if (next !== undefined) {
      filled++
      const block = 44 + Math.ceil(Math.min(next.one.length, snapLength) / 4) * 4
      ok(file().length + block > maxBytes, 'and then the next packet had no room')
    }
  }), { numRuns: 300 })
  t.ok(filled > 20 && filled < 280, `${filled} of 300 were full`)
})

t.test('full: the file is complete at once', async (t) => {
  const { recorder, file, read } = recording({ maxBytes: 1000 })
  recorder.record([bytes(100), bytes(900), bytes(1)], 'in')
  t.strictSame([recorder.over, recorder.full], [true, true])
  t.strictSame(await recorder.finished, { reason: 'full' })
  const size = file().length
  t.strictSame(read().packets.map(({ data }) => data.length), [100], 'also a smaller one that comes later is left out')
  t.strictSame(read().statistics.map(({ received }) => received), [1n, 0n])
  recorder.record([bytes(1)], 'in')
  recorder.end()
  t.equal(file().length, size)
})

t.test('nothing but the beginning and the statistics has room', async (t) => {
  const { recorder, file } = recording()
  recorder.end()
  const least = file().length
  const tight = recording({ maxBytes: least })
  tight.recorder.record([bytes(0)], 'in')
  t.ok(tight.recorder.full)
  t.equal(tight.file().length, least)
  t.throws(() => recording({ maxBytes: least - 1 }), { code: 'ERR_OPTION', message: `maxBytes is at least ${least} with these interfaces, not ${least - 1}` })
  t.throws(() => recording({ maxBytes: least, interfaces: [...interfaces, interfaces[0]] }), { code: 'ERR_OPTION' })
})

t.test('the bound by default', async (t) => {
  let size = 0
  const recorder = new CaptureRecorder({ interfaces, write: (piece) => { size += piece.length } })
  const batch = Array.from({ length: 100 }, () => bytes(60_000))
  for (let i = 0; i < 20 && !recorder.full; i++) recorder.record(batch, 'in')
  t.ok(recorder.full)
  t.ok(size <= DEFAULT_MAX_CAPTURE && size > DEFAULT_MAX_CAPTURE - 70_000, `${size} bytes`)
})

t.test('too much waits to be written: packets are dropped and counted, later ones are recorded', async (t) => {
  let waiting = 0
  const written: Uint8Array[] = []
  const recorder = new CaptureRecorder({
    interfaces,
    queueLimit: 1000,
    queued: () => waiting,
    write (piece) {
      written.push(piece)
      waiting += piece.length
    }
  })
  for (let i = 0; i < 100; i++) recorder.record([bytes(60), bytes(60)], 'in', i % 2)
  const { packets, dropped } = recorder.stats
  t.equal(packets + dropped, 200)
  t.ok(waiting >= 1000 && waiting < 1000 + 2 * 104, `${waiting} bytes wait`)
  waiting = 0
  recorder.record([bytes(60)], 'out')
  waiting = 1_000_000
  recorder.end() // is written nevertheless
  const read = readCapture(Buffer.concat(written))
  t.equal(read.packets.length, packets + 1)
  t.equal(read.packets.at(-1)?.direction, 'out')
  t.strictSame(recorder.stats, { packets: packets + 1, bytes: Buffer.concat(written).length, dropped })
  t.strictSame(read.statistics.map((one) => one.received), [101n, 100n], 'seen')
  t.equal(read.statistics.reduce((sum, one) => sum + Number(one.dropped), 0), dropped)
})

t.test('clocks that jump, and clocks that are none', async (t) => {
  const times: Array<[number, bigint]> = [
    [5_000_000, 5_000_000_000n], [4_000_000, 4_000_000_000n], [0, 0n], [-1, 0n], [-1e300, 0n], [NaN, 0n], [Infinity, 0n], [-Infinity, 0n], [1e300, 0n],
    [0.0004, 0n], [0.0006, 1n], [4_294_967.295, 4_294_967_295n], [4_294_967.296, 4_294_967_296n], [9e12, 9_000_000_000_000_000n], [9.1e12, 0n]
  ]
  let at = 0
  const { recorder, read } = recording({ clock: { ...systemClock, now: () => NaN, date: () => times[at][0] } })
  for (; at < times.length; at++) recorder.record([bytes(1)], 'in')
  at = 0
  recorder.end()
  t.strictSame(read().packets.map(({ timestamp }) => timestamp), times.map(([, timestamp]) => timestamp))
})

t.test('a write that fails ends the capture, and nobody else notices', async (t) => {
  for (const failing of [0, 1, 2, 3]) {
    let count = 0
    const error = new Error(`write ${failing}`)
    const { recorder } = recording({ write () { if (count++ === failing) throw error } })
    for (let i = 0; i < 2; i++) recorder.record([bytes(9)], 'in')
    recorder.end()
    t.strictSame([recorder.over, recorder.full, count], [true, false, failing + 1], 'and then nothing more is written')
    t.strictSame(await recorder.finished, { reason: 'failed', error })
  }
})

t.test('so does a clock that fails', async (t) => {
  const error = new Error('no time')
  for (const use of [(recorder: CaptureRecorder) => { recorder.record([bytes(1)], 'in') }, (recorder: CaptureRecorder) => { recorder.end() }]) {
    let isBroken = false
    const { recorder } = recording({
      clock: {
        ...systemClock,
        now: () => {
          if (isBroken) throw error
          return 0
        }
      }
    })
    isBroken = true
    use(recorder)
    t.strictSame(await recorder.finished, { reason: 'failed', error })
  }
})

t.test('fail ends it without another byte', async (t) => {
  const { recorder, written } = recording()
  const error = new Error('the disk is full')
  recorder.fail(error)
  recorder.fail(new Error('again'))
  recorder.record([bytes(1)], 'in')
  recorder.end()
  t.strictSame([recorder.over, recorder.full, written.length], [true, false, 1])
  t.strictSame(await recorder.finished, { reason: 'failed', error })
})

t.test('a write that ends the capture itself', async (t) => {
  const written: Uint8Array[] = []
  const recorder: CaptureRecorder = new CaptureRecorder({
    interfaces,
    write (piece) {
      written.push(piece)
      if (written.length > 1) recorder.end()
    }
  })
  recorder.record([bytes(1)], 'in')
  t.equal(written.length, 3)
  t.equal(readCapture(Buffer.concat(written)).statistics[0].received, 1n)
})

t.test('an interface that does not exist', async (t) => {
  const { recorder, read } = recording()
  for (const id of [2, -1, 0.5, NaN]) t.throws(() => { recorder.record([bytes(1)], 'in', id) }, { code: 'ERR_OPTION' }, String(id))
  recorder.record([bytes(1)], 'in', 1)
  recorder.end()
  t.equal(read().packets.length, 1, 'the capture goes on')
})

t.test('options are checked', async (t) => {
  const raw = { linkType: 'raw', name: 'p' }
  const bad: any[] = [
    { interfaces: [] },
    ...['ethernet', 'toString', undefined].map((linkType) => ({ interfaces: [{ ...raw, linkType }] })),
    ...['', 'p'.repeat(256), 'ü'.repeat(128), undefined].map((name) => ({ interfaces: [raw, { ...raw, name }] })),
    ...[0, -1, 1.5, NaN, Infinity].flatMap((value) => [{ maxBytes: value }, { snapLength: value }, { queueLimit: value }]),
    { snapLength: MAX_SNAP_LENGTH + 1 },
    { maxBytes: 100 }
  ]
  for (const init of bad) t.throws(() => recording(init), { code: 'ERR_OPTION' }, JSON.stringify(init))
  for (const init of [{ snapLength: 1 }, { snapLength: MAX_SNAP_LENGTH }, { interfaces: [{ linkType: 'raw', name: 'p'.repeat(255) }] }] as const) t.ok(recording(init))
})

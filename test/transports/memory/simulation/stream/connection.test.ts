import fc from 'fast-check'
import t from 'tap'
import { SEED } from '../../../../helpers/bytes.ts'
import { sample } from '../../../../helpers/sample.ts'
import { SegmentPipe, sequencesOf, type PipeInit } from '../../../../helpers/transports/segment-pipe.ts'
import { CONNECTION_DEFAULTS } from '../../../../../src/transports/memory/simulation/stream/connection-init.ts'
import { Flag, NO_DATA } from '../../../../../src/transports/memory/simulation/stream/segment.ts'

/** Bytes that show where they are from. */
function pattern (length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed + SEED
  for (let i = 0; i < length; i++) bytes[i] = (state = (Math.imul(state, 1_103_515_245) + 12_345) | 0) >>> 16
  return bytes
}

const orderly = (log: string[]): string[] => log.filter((event) => event !== 'gone')

t.test('three segments open a connection, four end it', async (t) => {
  const pipe = new SegmentPipe().connect()
  const [client, server] = pipe.ends
  pipe.clock.advance(30)
  t.same([client.log, server.log], [['opened'], ['opened']])
  t.same(pipe.sent.map((all) => all.map(({ flags }) => flags)), [[Flag.SYN, Flag.ACK], [Flag.SYN | Flag.ACK]])
  client.write(Buffer.from('question')).end()
  server.endAtEnd().write(Buffer.from('answer'))
  pipe.clock.advance(100)
  t.equal(server.bytes.toString(), 'question')
  t.equal(client.bytes.toString(), 'answer')
  t.same(server.log, ['opened', 'end', 'gone'])
  t.same(client.log, ['opened', 'end'], 'who has ended first keeps the addresses for a while')
  pipe.clock.advance(5000)
  t.same(client.log, ['opened', 'end', 'gone'])
  t.same(pipe.clock.waiting, [], 'no timer is left')
})

t.test('segments are as large as packets may be, and no larger', async (t) => {
  for (const mtu of [68, 104, 576, 1280, 1500, 9000]) {
    const pipe = new SegmentPipe({ mtu }).opened()
    pipe.ends[0].write(pattern(100_000, mtu))
    pipe.clock.advance(20_000)
    t.ok(pipe.ends[1].bytes.equals(pattern(100_000, mtu)))
    t.equal(pipe.largest, mtu)
  }
})

t.test('a network that takes only smaller packets from now on', async (t) => {
  const pipe = new SegmentPipe().opened()
  const [client, server] = pipe.ends
  client.write(pattern(1_000_000, 1))
  pipe.until(() => server.bytes.length > 100_000, 10_000)
  pipe.filter = (segment, from) => {
    if (from === 1 || segment.data.length <= 500) return segment
    pipe.clock.set(5, () => { client.connection.limitData(500) })
    return undefined
  }
  const took = pipe.until(() => server.bytes.length === 1_000_000, 60_000)
  t.ok(server.bytes.equals(pattern(1_000_000, 1)))
  t.ok(took < 3000, `${took} ms`)
  client.connection.limitData(7)
  client.write(pattern(5000, 2))
  pipe.clock.advance(1000)
  t.equal(server.bytes.length, 1_005_000, 'a limit that cannot be is ignored')
  t.equal(pipe.sent[0].filter(({ data }) => data.length === 500).length > 0, true)
  t.ok(pipe.sent[0].slice(-10).every(({ data }) => data.length === 500))
})

t.test('who has ended first keeps the addresses as long as the other side repeats its end', async (t) => {
  const pipe = new SegmentPipe({ retries: 8 }).opened()
  const [client, server] = pipe.ends
  let drops = 5 // the repeated end that is answered comes more than 6 s after the first one
  pipe.filter = (segment, from) => from === 0 && (segment.flags & Flag.FIN) === 0 && drops-- > 0 ? undefined : segment
  server.endAtEnd()
  client.end()
  pipe.clock.advance(8000)
  t.equal(drops, -1)
  t.same(server.log, ['opened', 'end', 'gone'])
  pipe.clock.advance(100_000)
  t.same(client.log, ['opened', 'end', 'gone'])
  t.same(pipe.clock.waiting, [])
})

t.test('one direction ends, the other goes on', async (t) => {
  const pipe = new SegmentPipe().opened()
  const [client, server] = pipe.ends
  client.end()
  pipe.clock.advance(60_000)
  t.same(server.log, ['opened', 'end'])
  server.write(pattern(50_000, 1)).end()
  pipe.clock.advance(60_000)
  t.ok(client.bytes.equals(pattern(50_000, 1)))
  t.same(client.log, ['opened', 'end', 'gone'])
  t.same(server.log, ['opened', 'end', 'gone'])
})

t.test('both end at the same time', async (t) => {
  const pipe = new SegmentPipe().opened()
  for (const end of pipe.ends) end.write(Buffer.from('bye')).end()
  pipe.clock.advance(60_000)
  for (const end of pipe.ends) {
    t.equal(end.bytes.toString(), 'bye')
    t.same(end.log, ['opened', 'end', 'gone'])
  }
})

t.test('a reset tells the other side, which may be any number of bytes behind', async (t) => {
  for (const behind of [0, 20_000]) {
    const pipe = new SegmentPipe().opened()
    const [client, server] = pipe.ends
    pipe.isCut = true
    client.write(pattern(behind, 1))
    pipe.isCut = false
    client.connection.abort()
    t.same(client.log, ['opened', 'gone'])
    pipe.filter = (segment, from) => {
      if (from === 1 && behind > 0) server.connection.receive({ sequence: segment.acknowledgement, acknowledgement: 0, window: 0, flags: Flag.RST, maxData: 0, data: NO_DATA }) // as a host answers what belongs to no connection
      return segment
    }
    pipe.clock.advance(1000)
    t.same(server.log, ['opened', 'ECONNRESET', 'gone'])
    t.same(pipe.clock.waiting, [])
  }
})

t.test('a reset with a guessed sequence number ends nothing', async (t) => {
  const pipe = new SegmentPipe().opened()
  const [, server] = pipe.ends
  const { sequence } = pipe.sent[0][1]
  for (const offset of [-1, 1, 1000, 100_000, 1 << 30]) {
    server.connection.receive({ sequence: (sequence + offset) >>> 0, acknowledgement: 0, window: 0, flags: Flag.RST, maxData: 0, data: NO_DATA })
  }
  pipe.clock.advance(1000)
  t.same(server.log, ['opened'])
})

t.test('nobody answers: the attempt ends', async (t) => {
  const pipe = new SegmentPipe({ synRetries: 3 })
  pipe.isCut = true
  pipe.connect()
  t.equal(pipe.until(() => pipe.ends[0].log.length > 0, 1e6), 15_000, '1, 2, 4 and 8 s')
  t.same(pipe.ends[0].log, ['ETIMEDOUT', 'gone'])
  t.equal(pipe.sent[0].length, 4)
  t.same(pipe.clock.waiting, [])
})

t.test('a reset answers SYN: refused', async (t) => {
  const pipe = new SegmentPipe().connect()
  const [{ sequence }] = pipe.sent[0]
  const [client] = pipe.ends
  const reset = { sequence: 0, window: 0, maxData: 0, data: NO_DATA }
  client.connection.receive({ ...reset, acknowledgement: (sequence + 1) >>> 0, flags: Flag.RST })
  client.connection.receive({ ...reset, acknowledgement: sequence, flags: Flag.RST | Flag.ACK })
  t.same(client.log, [], 'not by one of another connection')
  client.connection.receive({ ...reset, acknowledgement: (sequence + 1) >>> 0, flags: Flag.RST | Flag.ACK })
  t.same(client.log, ['ECONNREFUSED', 'gone'])
})

t.test('both connect at the same time: one connection', async (t) => {
  const pipe = new SegmentPipe().connectBoth()
  const [one, two] = pipe.ends
  pipe.clock.advance(1000)
  t.same([one.log, two.log], [['opened'], ['opened']])
  one.write(Buffer.from('one')).end()
  two.write(Buffer.from('two')).end()
  pipe.clock.advance(10_000)
  t.equal(two.bytes.toString(), 'one')
  t.equal(one.bytes.toString(), 'two')
  t.same([one.log, two.log], [['opened', 'end', 'gone'], ['opened', 'end', 'gone']])
})

t.test('both connect, and the first segment of one opens the way for the other, as between two NATs', async (t) => {
  const pipe = new SegmentPipe()
  const [one, two] = pipe.ends
  const open = [false, false]
  pipe.filter = (segment, from) => open[1 - from] ? segment : undefined
  one.connection.connect()
  open[0] = true
  pipe.clock.advance(300)
  two.connection.connect()
  open[1] = true
  pipe.clock.advance(1000)
  t.same([one.log, two.log], [['opened'], ['opened']])
  one.write(pattern(3000, 1))
  pipe.clock.advance(1000)
  t.ok(two.bytes.equals(pattern(3000, 1)))
})

t.test('a window closes when nobody reads, and opens again', async (t) => {
  const size = 3_000_000
  const pipe = new SegmentPipe({ receiveBuffer: 100_000, sendBuffer: 50_000 }).opened()
  const [client, server] = pipe.ends
  server.reads = false
  client.write(pattern(size, 1)).end()
  pipe.clock.advance(600_000)
  t.equal(client.unwritten, size - 150_000, 'what both sides have room for')
  t.equal(server.connection.held, 100_000)
  t.same([client.log, server.log], [['opened'], ['opened']], 'a reader may take its time')
  pipe.isCut = true
  server.read()
  pipe.clock.advance(100)
  pipe.isCut = false
  server.reads = true
  pipe.clock.advance(300_000)
  t.ok(server.bytes.equals(pattern(size, 1)), 'although the news of the room was lost')
})

t.test('a window that opens in small steps does not make small segments', async (t) => {
  const pipe = new SegmentPipe({ receiveBuffer: 20_000 }).opened()
  const [client, server] = pipe.ends
  server.reads = false
  client.write(pattern(200_000, 1))
  const before = pipe.sent[0].length
  for (let i = 0; i < 100; i++) {
    pipe.clock.advance(1000)
    server.read()
  }
  t.ok(server.bytes.equals(pattern(200_000, 1)))
  const filled = pipe.sent[0].slice(before).filter(({ data }) => data.length > 0)
  t.ok(filled.length < 200, `${filled.length} segments`)
})

t.test('an interruption of 20 s delays', async (t) => {
  const pipe = new SegmentPipe().opened()
  const [client, server] = pipe.ends
  client.write(pattern(500_000, 1)).end()
  pipe.clock.advance(50)
  pipe.isCut = true
  pipe.clock.advance(20_000)
  t.ok(server.bytes.length < 500_000, 'not everything has come before')
  pipe.isCut = false
  pipe.until(() => server.bytes.length === 500_000, 30_000)
  t.ok(server.bytes.equals(pattern(500_000, 1)))
  t.same(client.log, ['opened'])
})

t.test('an interruption that lasts ends the side that sends', async (t) => {
  const pipe = new SegmentPipe({ retries: 5 }).opened()
  const [client, server] = pipe.ends
  const before = pipe.sent[0].length
  client.write(pattern(100_000, 1))
  pipe.isCut = true
  const took = pipe.until(() => client.log.length > 1, 1e6)
  t.same(client.log, ['opened', 'ETIMEDOUT', 'gone'])
  t.ok(took > 5000 && took < 60_000, `after ${took} ms`)
  t.ok(sequencesOf(pipe.sent[0].slice(before)) < 30_000, 'without sending much')
  t.same(server.log, ['opened'], 'the other side does not send, so it does not know')
  t.same(pipe.clock.waiting, [])
})

t.test('a reader that is gone ends the side that waits for its window', async (t) => {
  const pipe = new SegmentPipe({ retries: 5, receiveBuffer: 10_000 }).opened()
  const [client, server] = pipe.ends
  server.reads = false
  client.write(pattern(100_000, 1))
  pipe.clock.advance(100_000)
  t.same(client.log, ['opened'])
  pipe.isCut = true
  pipe.until(() => client.log.length > 1, 2e6)
  t.same(client.log, ['opened', 'ETIMEDOUT', 'gone'])
})

t.test('one lost segment is sent again before a time-out, and nothing else is', async (t) => {
  const pipe = new SegmentPipe().opened()
  const [client, server] = pipe.ends
  client.write(pattern(1_000_000, 1))
  pipe.until(() => server.bytes.length > 100_000, 10_000)
  let drops = 1
  pipe.filter = (segment, from) => from === 0 && segment.data.length > 0 && drops-- > 0 ? undefined : segment
  const took = pipe.until(() => server.bytes.length === 1_000_000, 20_000)
  t.ok(took < 1000, `${took} ms`)
  t.equal(sequencesOf(pipe.sent[0]), 1_000_001 + 1460)
})

t.test('the same, of another side that acknowledges nothing selectively', async (t) => {
  const pipe = new SegmentPipe().opened()
  const [client, server] = pipe.ends
  client.write(pattern(400_000, 1))
  pipe.until(() => server.bytes.length > 100_000, 10_000)
  let drops = 1
  pipe.filter = (segment, from) => from === 0 && segment.data.length > 0 && drops-- > 0 ? undefined : { ...segment, selective: undefined }
  const took = pipe.until(() => server.bytes.length === 400_000, 20_000)
  t.ok(took < 200, `${took} ms, before the shortest time-out`)
})

t.test('an interruption is not taken for a long round trip', async (t) => {
  const pipe = new SegmentPipe().opened()
  const [client, server] = pipe.ends
  client.write(pattern(10_000, 1))
  pipe.clock.advance(1000)
  pipe.isCut = true
  client.write(pattern(10_000, 2))
  pipe.clock.advance(60_000)
  pipe.isCut = false
  pipe.until(() => server.bytes.length === 20_000, 120_000)
  pipe.clock.advance(1000)
  let drops = 1
  pipe.filter = (segment, from) => from === 0 && drops-- > 0 ? undefined : segment
  client.write(pattern(100, 3))
  t.ok(pipe.until(() => server.bytes.length === 20_100, 10_000) < 400)
})

t.test('the last step of the handshake is lost, and the client says nothing', async (t) => {
  const pipe = new SegmentPipe()
  let seen = 0
  pipe.filter = (segment, from) => from === 0 && ++seen === 2 ? undefined : segment
  pipe.connect()
  pipe.until(() => pipe.ends[1].log.includes('opened'), 2000)
  t.same(pipe.sent[0].map(({ flags }) => flags), [Flag.SYN, Flag.ACK, Flag.ACK])
})

t.test('the answer to SYN is lost', async (t) => {
  const pipe = new SegmentPipe()
  let drops = 1
  pipe.filter = (segment, from) => from === 1 && drops-- > 0 ? undefined : segment
  pipe.connect()
  t.ok(pipe.until(() => pipe.ends.every(({ log }) => log.includes('opened')), 3000) < 1100)
})

t.test('what was learned of the network is not believed for long, nor learned from little', async (t) => {
  const pipe = new SegmentPipe().opened()
  const [client, server] = pipe.ends
  const burst = (): number => {
    const before = pipe.sent[0].length
    client.write(pattern(1_000_000, 1))
    return pipe.sent[0].length - before
  }
  t.equal(burst(), 10, 'at the start')
  pipe.clock.advance(10_000)
  t.equal(burst(), 10, 'after a rest')
  pipe.clock.advance(10_000)
  for (let i = 0; i < 200; i++) {
    client.write(pattern(100, i))
    pipe.clock.advance(50)
  }
  t.equal(burst(), 10, 'after many small messages')
  pipe.clock.advance(10_000)
  t.equal(server.bytes.length, 3_020_000)
})

t.test('many lost segments of one window are sent again within a few round trips, and nothing else is', async (t) => {
  const pipe = new SegmentPipe().opened()
  const [client, server] = pipe.ends
  client.write(pattern(1_000_000, 1))
  pipe.until(() => server.bytes.length > 200_000, 10_000)
  let passed = 0
  let lost = 0
  pipe.filter = (segment, from) => {
    if (from === 1 || segment.data.length === 0 || passed++ >= 100 || passed % 3 > 0) return segment
    lost++
    return undefined
  }
  const took = pipe.until(() => server.bytes.length === 1_000_000, 20_000)
  t.ok(server.bytes.equals(pattern(1_000_000, 1)))
  t.equal(lost, 33)
  t.ok(took < 500, `${took} ms, of 20 ms for a round trip`)
  t.equal(sequencesOf(pipe.sent[0]), 1_000_001 + 33 * 1460)
})

t.test('what was lost is found out while both sides send', async (t) => {
  const pipe = new SegmentPipe({ lost: 10 }).opened()
  const [client, server] = pipe.ends
  server.echoes = true
  client.write(pattern(1_000_000, 1))
  const took = pipe.until(() => client.bytes.length === 1_000_000, 60_000)
  t.ok(client.bytes.equals(pattern(1_000_000, 1)))
  t.ok(took < 10_000, `${took} ms`)
})

t.test('sequence numbers wrap around', async (t) => {
  const pipe = new SegmentPipe({ sequences: [0xffff_ffff, 0xffff_0000], lost: 20, delay: [1, 30] }).connect()
  const [client, server] = pipe.ends
  client.write(pattern(300_000, 1)).end()
  server.write(pattern(300_000, 2)).end()
  pipe.clock.advance(120_000)
  t.ok(server.bytes.equals(pattern(300_000, 1)))
  t.ok(client.bytes.equals(pattern(300_000, 2)))
})

t.test('a network without delay, where the answer comes before the call that sends has returned', async (t) => {
  const pipe = new SegmentPipe({ delay: [0, 0] }).connect()
  const [client, server] = pipe.ends
  t.same([client.log, server.log], [['opened'], ['opened']])
  client.write(pattern(3_000_000, 1))
  server.write(pattern(3_000_000, 2))
  t.ok(server.bytes.equals(pattern(3_000_000, 1)))
  t.ok(client.bytes.equals(pattern(3_000_000, 2)))
  client.end()
  server.end()
  t.same(server.log, ['opened', 'end', 'gone'])
})

t.test('a SYN may take the place of a connection that has ended, only a newer one', async (t) => {
  const pipe = new SegmentPipe().opened()
  const [client, server] = pipe.ends
  const syn = (sequence: number): Parameters<typeof client.connection.mayBeReplacedBy>[0] => ({ sequence: sequence >>> 0, acknowledgement: 0, window: 1000, flags: Flag.SYN, maxData: 1460, data: NO_DATA })
  t.notOk(client.connection.mayBeReplacedBy(syn(2000)))
  server.endAtEnd()
  client.end()
  pipe.clock.advance(100)
  t.ok(client.connection.mayBeReplacedBy(syn(2000)))
  t.notOk(client.connection.mayBeReplacedBy(syn(900)))
  t.notOk(client.connection.mayBeReplacedBy({ ...syn(2000), flags: Flag.ACK }))
})

/** Longer than the longest that the other side waits before it sends again. */
const LONG_TIME_WAIT = 600_000

/** Sorted, of both ends: how a connection may have ended that has carried everything. */
const WELL = 'opened,end opened,end'
const UNHEARD = 'opened,end opened,end,ETIMEDOUT'

const networks: fc.Arbitrary<PipeInit> = fc.record({
  seed: fc.nat(1e6),
  lost: fc.constantFrom(0, 10, 50, 200),
  repeated: fc.constantFrom(0, 50, 300),
  delay: fc.constantFrom<readonly [number, number]>([0, 0], [1, 1], [1, 40], [50, 60], [100, 400]),
  mtu: fc.constantFrom(68, 140, 576, 1500),
  receiveBuffer: fc.constantFrom(1000, 20_000, 1 << 20),
  sendBuffer: fc.constantFrom(500, 20_000, 1 << 20),
  sequences: fc.tuple(fc.constantFrom(0, 1, 0x7fff_ffff, 0xffff_fff0), fc.nat(0xffff_ffff)),
  synRetries: fc.constant(40),
  retries: fc.constant(40),
  timeWait: fc.constantFrom(CONNECTION_DEFAULTS.timeWait, LONG_TIME_WAIT)
})

t.test('property: both sides get what the other one has sent, whatever the network does', async (t) => {
  const writes = fc.array(fc.constantFrom(1, 10, 700, 1460, 5000, 30_000), { maxLength: 6 })
  const most = { retransmitted: 0 }
  fc.assert(fc.property(networks, writes, writes, fc.boolean(), fc.constantFrom(0, 500, 20_000), (init, first, second, isMutual, cut) => {
    const pipe = new SegmentPipe(init)
    const sent = [first, second].map((sizes, which) => sizes.map((size, i) => pattern(size, which * 100 + i)))
    if (isMutual) pipe.connectBoth()
    else pipe.connect()
    for (const which of [0, 1]) {
      for (const bytes of sent[which]) {
        pipe.ends[which].write(bytes)
        pipe.clock.advance(init.seed as number % 7)
      }
      pipe.ends[which].end()
    }
    if (cut > 0) {
      pipe.isCut = true
      pipe.clock.advance(cut)
      pipe.isCut = false
    }
    for (let i = 0; i < 100 && pipe.clock.waiting.length > 0; i++) pipe.clock.advance(100_000)
    if (pipe.clock.waiting.length > 0) throw new Error('it does not end')
    const ended = pipe.ends.map(({ log }) => orderly(log).join()).sort().join(' ')
    const mayBeUnheard = init.timeWait !== LONG_TIME_WAIT && (cut > 0 || init.lost !== 0) // one side repeats its end when the other has left
    if (ended !== WELL && !(mayBeUnheard && ended === UNHEARD)) throw new Error(ended)
    for (const which of [0, 1]) {
      const whole = Buffer.concat(sent[1 - which])
      if (!pipe.ends[which].bytes.equals(whole)) throw new Error(`${pipe.ends[which].bytes.length} of ${whole.length} bytes, or others`)
      if (pipe.largest > (init.mtu as number)) throw new Error(`a segment of ${pipe.largest} bytes`)
      if (init.lost === 0 && init.repeated === 0 && cut === 0 && init.delay?.[0] === init.delay?.[1]) {
        most.retransmitted = Math.max(most.retransmitted, sequencesOf(pipe.sent[1 - which]) - whole.length - (isMutual ? 3 : 2)) // SYN, FIN, and SYN with an acknowledgement
      }
    }
  }), { seed: SEED, numRuns: sample('connections', { short: 100, long: 20_000 }) })
  t.equal(most.retransmitted, 0, 'a network that keeps everything in order makes nobody repeat anything')
})

t.test('property: segments of an enemy throw nothing, and take no memory beyond the bounds', async (t) => {
  const numbers = fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, -1, 1.5, NaN, Infinity, 2 ** 32, 0xffff_ffff), fc.string(), fc.constant(undefined))
  const near = fc.integer({ min: -70_000, max: 70_000 })
  const hostile = fc.record({
    isNear: fc.boolean(),
    sequence: fc.oneof(near, numbers),
    acknowledgement: fc.oneof(near, numbers),
    window: fc.oneof(fc.nat(70_000), numbers),
    flags: fc.oneof(fc.nat(31), numbers),
    maxData: fc.oneof(fc.nat(70_000), numbers),
    selective: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, fc.array(fc.array(fc.oneof(near, numbers), { maxLength: 3 }), { maxLength: 5 }), numbers),
    data: fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.nat(70_000).map((length) => new Uint8Array(length)), fc.constantFrom<unknown>(undefined, null, 'text', [1, 2]))
  })
  const all = fc.array(fc.oneof({ weight: 20, arbitrary: hostile }, { weight: 1, arbitrary: fc.anything() }), { minLength: 1, maxLength: 200 })
  fc.assert(fc.property(all, fc.boolean(), fc.constantFrom('new', 'open', 'ended'), (segments, reads, state) => {
    const pipe = new SegmentPipe({ receiveBuffer: 20_000, sendBuffer: 20_000, retries: 3 }).connect()
    const [client, server] = pipe.ends
    server.reads = reads
    if (state !== 'new') pipe.clock.advance(1000)
    if (state === 'ended') client.end()
    server.write(pattern(40_000, 1))
    const next = server.connection
    for (const [i, segment] of segments.entries()) {
      const forged = { ...(segment as object) } as Record<string, unknown>
      if (forged.isNear === true) {
        const last = pipe.sent[0].at(-1) as unknown as Record<string, number>
        const moved = (value: unknown, by: number): unknown => Number.isInteger(value) ? (by + (value as number)) >>> 0 : value
        for (const name of ['sequence', 'acknowledgement']) forged[name] = moved(forged[name], last[name])
        if (Array.isArray(forged.selective)) forged.selective = forged.selective.map((range: unknown[]) => range.map((value) => moved(value, last.acknowledgement)))
      }
      next.receive(i % 10 === 9 ? segment : forged)
      if (next.held > 40_000) throw new Error(`${next.held} bytes are held`)
      if (i % 20 === 0) pipe.clock.advance(100)
    }
    for (let i = 0; i < 100; i++) pipe.clock.advance(1000)
    if (next.held > 40_000) throw new Error(`${next.held} bytes are held`)
  }), { seed: SEED, numRuns: sample('attacks', { short: 100, long: 10_000 }) })
  t.pass('all were survived')
})

t.test('two connections that do not belong together do not answer each other without end', async (t) => {
  const pipe = new SegmentPipe().opened()
  const other = new SegmentPipe({ sequences: [77, 88] }).opened()
  let passed = 0
  pipe.filter = (segment, from) => {
    if (from === 1 || ++passed > 10_000) return segment
    other.ends[0].connection.receive(segment)
    return undefined
  }
  other.filter = (segment, from) => {
    if (from === 0) pipe.ends[0].connection.receive(segment)
    return undefined
  }
  pipe.ends[0].write(Buffer.from('hello'))
  pipe.clock.advance(60_000)
  t.ok(passed < 300, `${passed} segments`)
})

t.test('keep-alive finds out that the other side is gone, and keeps a connection that is only silent', async (t) => {
  const pipe = new SegmentPipe({ keepAlive: 20_000 }).opened()
  const [client, server] = pipe.ends
  const before = pipe.sent[0].length
  pipe.clock.advance(200_000)
  t.same([client.log, server.log], [['opened'], ['opened']])
  t.equal(pipe.sent[0].slice(before).every(({ data }) => data.length === 0), true)
  t.ok(pipe.sent[0].length > before)
  pipe.isCut = true
  const took = pipe.until(() => client.log.length > 1 && server.log.length > 1, 40_000)
  t.ok(took >= 10_000, `${took} ms`)
  t.same([client.log, server.log], [['opened', 'ETIMEDOUT', 'gone'], ['opened', 'ETIMEDOUT', 'gone']])
  t.same(pipe.clock.waiting, [])
})

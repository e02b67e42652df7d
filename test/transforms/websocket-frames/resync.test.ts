import fc from 'fast-check'
import t from 'tap'
import { ManualClock } from '../../helpers/clock.ts'
import { cut, hex, mutate, random, toHex } from '../../helpers/bytes.ts'
import { mutations } from '../../helpers/sample.ts'
import { plausible, trusted } from '../../../src/nodes/candy/relay/believable.ts'
import { wrapForward, wrapRouted } from '../../../src/nodes/candy/protocol/forward.ts'
import { encodeDiscovery } from '../../../src/nodes/candy/protocol/messages.ts'
import { writeHeader } from '../../../src/net/ipv4.ts'
import { FrameDecoder, FrameEncoder } from '../../../src/transforms/websocket-frames/index.ts'
import { FrameResync } from '../../../src/transforms/websocket-frames/resync.ts'

const ROUNDS = mutations()

type Below = (n: number) => number

const OWN = 0x0a4d0002
const MAX_PAYLOAD = 1500
const MAX_FRAME = 8 + MAX_PAYLOAD
const SEARCH = 4096
const encoder = new FrameEncoder('client')

/** Text can be compared and looked up. */
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

/** With another mask, so that a failing run can be run again. */
function masked (frame: Uint8Array, below: Below): Uint8Array {
  const head = (frame[1] & 0x7f) === 126 ? 8 : 6
  const turn = Uint8Array.from({ length: 4 }, (_, i) => frame[head - 4 + i] ^ below(256))
  return frame.map((byte, i) => i < head - 4 ? byte : byte ^ turn[(i - head) & 3])
}

const binary = (message: Uint8Array, below: Below): Uint8Array => masked(encoder.push([message])[0], below)
const ping = (payload: string, below: Below): Uint8Array => masked(encoder.ping(Buffer.from(payload)), below)

function packet (size: number, below: Below): Uint8Array {
  const bytes = Uint8Array.from({ length: size }, () => below(256))
  writeHeader(bytes, { protocol: 17, source: OWN, destination: 0x0a4d0003, totalLength: size, id: below(0x10000) })
  return bytes
}

const forward = (size: number, below: Below): Uint8Array => wrapForward(packet(size, below))

/** Messages with packets of these sizes, 0 for any from 60 to 1400, and their frames. */
function streamOf (sizes: number[], below: Below): { messages: string[], frames: Uint8Array[] } {
  const messages = sizes.map((size) => forward(size === 0 ? 60 + below(1341) : size, below))
  return { messages: messages.map(text), frames: messages.map((message) => binary(message, below)) }
}

const cutAt = (frames: Uint8Array[], which: number, length: number): Buffer =>
  Buffer.concat(frames.map((frame, i) => i === which ? frame.subarray(0, length) : frame))

/** A filter with a strict decoder behind it. Reads are memory that is only lent. */
class Receiver {
  readonly messages: string[] = []
  readonly pings: string[] = []
  readonly texts: string[] = []
  readonly skipped: number[] = []
  /** All that was passed on. */
  readonly passed: Uint8Array[] = []
  readonly clock = new ManualClock()
  /** The largest that was held. */
  held = 0
  readonly resync = new FrameResync({
    maxPayload: MAX_PAYLOAD, plausible, trusted: trusted(() => OWN), onResync: (bytes) => { this.skipped.push(bytes) }, clock: this.clock
  })

  readonly decoder = new FrameDecoder({ role: 'server', maxPayload: MAX_PAYLOAD }, {
    onPing: (payload) => { this.pings.push(text(payload)) },
    onText: (payload) => { this.texts.push(Buffer.from(payload).toString()) }
  })

  push (...reads: Uint8Array[]): this {
    const lent = reads.map((read) => Uint8Array.from(read))
    const out = this.resync.push([...lent])
    this.passed.push(...out.map((bytes) => Uint8Array.from(bytes)))
    this.held = Math.max(this.held, this.resync.held)
    if (this.decoder.failure === undefined) this.messages.push(...this.decoder.push(out).map(text))
    for (const read of lent) read.fill(0xaa)
    return this
  }

  /** What is wrong, without where. */
  get failure (): string | undefined { return this.decoder.failure?.message.split(',')[0] }
}

/** What a strict decoder says of these bytes. */
function failureOf (wire: Uint8Array): string {
  const decoder = new FrameDecoder({ role: 'server', maxPayload: MAX_PAYLOAD })
  decoder.push([Uint8Array.from(wire)])
  if (decoder.failure === undefined) throw new Error('nothing is wrong')
  return decoder.failure.message.split(',')[0]
}

/** Reads of this size, or of any up to it when it is negative. */
function * readsOf (wire: Uint8Array, size: number, below: Below): Generator<Uint8Array> {
  for (let at = 0, next; at < wire.length; at = next) {
    next = at + (size < 0 ? 1 + below(-size) : size)
    yield wire.subarray(at, next)
  }
}

interface Losses { lost: number, altered: number, isInOrder: boolean }

function lossesOf (receiver: Receiver, messages: string[], which: number): Losses {
  const indices = receiver.messages.map((message) => messages.indexOf(message)).filter((i) => i >= 0)
  const altered = receiver.messages.length - indices.length
  const isInOrder = indices.every((index, i) => i === 0 || index > indices[i - 1])
  return { lost: messages.length - indices.length - (indices.includes(which) ? 0 : 1), altered, isInOrder }
}

/** How many frames begin where the cut one would go on, and whether it seems to end where another one does. */
function swallowed (frames: Uint8Array[], which: number, length: number): { count: number, isExact: boolean } {
  let left = frames[which].length - length
  let count = 0
  for (let i = which + 1; left > 0; i++, count++) left -= frames[i].length
  return { count, isExact: left === 0 }
}

t.test('one frame is cut anywhere, all in one read: one more is lost at most, and nothing is altered', async (t) => {
  let altered = 0
  let lost = 0
  for (let seed = 1; seed <= 8; seed++) {
    const below = random(seed)
    const { messages, frames } = streamOf([0, 0, 0, 0, 0, 0, 1400, 1400], below)
    for (let length = 0; length < frames[2].length; length++) {
      const receiver = new Receiver().push(cutAt(frames, 2, length))
      const losses = lossesOf(receiver, messages, 2)
      // Where the cut frame seems to end with another one, there is nothing to be seen.
      const { count, isExact } = swallowed(frames, 2, length)
      altered += losses.altered
      if (!isExact) lost += losses.lost
      const isRight = receiver.failure === undefined && losses.lost <= (isExact ? count : 1) && losses.isInOrder && losses.altered <= (isExact ? 1 : 0)
      if (!isRight || receiver.resync.held > 0) t.fail(`seed ${seed}, cut after ${length} bytes`, { ...losses, failure: receiver.failure })
    }
  }
  t.ok(altered > 0 && altered <= 8, 'the exception is tested')
  t.ok(lost <= 8 * (8 + 4), 'one more is lost only where the cut is in a header, or before the length of the packet')
})

const CHUNKS = [1, 2, 3, 7, 31, 61, 127, 509, 1021, 1448, -40, -1448]

t.test('one frame is cut anywhere, whatever the reads', async (t) => {
  for (const [seed, sizes] of [[21, [60, 90, 150, 200, 210, 220, 230]], [22, [60, 300, 61, 290, 80, 60, 60, 60, 300, 300]], [23, [0, 0, 0, 0, 1400, 1400]]] as const) {
    const below = random(seed)
    const which = seed === 22 ? 3 : 2
    const { messages, frames } = streamOf([...sizes], below)
    for (const size of CHUNKS) {
      if (size > 0 && size < 31 && seed === 23) continue // takes long
      for (let length = 0; length < frames[which].length; length++) {
        const receiver = new Receiver()
        for (const read of readsOf(cutAt(frames, which, length), size, below)) receiver.push(read)
        const losses = lossesOf(receiver, messages, which)
        // A frame that ends its read has to be passed on before it is known to be cut, with what is inside.
        const { count, isExact } = swallowed(frames, which, length)
        const most = seed === 21 || (size >= 61 && !isExact) ? 1 : Math.max(1, count)
        if (receiver.failure !== undefined || losses.lost > most || !losses.isInOrder) {
          t.fail(`seed ${seed}, cut after ${length} bytes, reads of ${size}`, { ...losses, failure: receiver.failure })
        }
      }
    }
  }
})

t.test('all reads in one batch are in hand', async (t) => {
  const below = random(31)
  const { messages, frames } = streamOf([60, 90, 150, 200, 210, 220, 230], below)
  for (let length = 1; length < frames[2].length; length++) {
    const receiver = new Receiver().push(...readsOf(cutAt(frames, 2, length), -40, below))
    const losses = lossesOf(receiver, messages, 2)
    if (receiver.failure !== undefined || losses.lost > 1 || losses.altered > 0) t.fail(`cut after ${length} bytes`, { ...losses, failure: receiver.failure })
  }
})

const anyFrame = fc.oneof(
  fc.integer({ min: 20, max: 1499 }).map((size) => (below: Below) => binary(forward(size, below), below)),
  fc.constant((below: Below) => binary(wrapRouted(packet(100, below), OWN, 1), below)),
  fc.constant((below: Below) => binary(encodeDiscovery({ source: OWN, destination: 1 }), below)),
  fc.uint8Array({ maxLength: MAX_PAYLOAD }).map((payload) => (below: Below) => binary(payload, below)), // not plausible
  fc.constant((below: Below) => ping('candy::linux::6.1.8::host', below)),
  fc.string({ maxLength: 20 }).map((payload) => (below: Below) => ping(payload, below)),
  fc.constant((below: Below) => masked(encoder.pong(Buffer.from('sent\0\0\0\0')), below))
)

t.test('without a cut everything is passed on, whatever the reads', async (t) => {
  fc.assert(fc.property(fc.array(anyFrame, { maxLength: 12 }), fc.integer(), fc.array(fc.integer({ min: 0, max: 1600 }), { minLength: 1, maxLength: 20 }), (makers, seed, sizes) => {
    const below = random(seed)
    const wire = Buffer.concat([...makers.map((maker) => maker(below)), masked(encoder.close(1000, 'end'), below)])
    const receiver = new Receiver()
    for (let at = 0, i = 0; at < wire.length; i++) {
      const next = at + (sizes[i % sizes.length] || (i % sizes.length === 0 ? 1 : 0)) // empty reads as well
      receiver.push(wire.subarray(at, next))
      if (receiver.held > 2 * MAX_FRAME) return false
      at = next
    }
    return Buffer.concat(receiver.passed).equals(wire) && receiver.resync.held === 0 && receiver.skipped.length === 0
  }), { numRuns: 400 })
})

t.test('what is good is not copied', async (t) => {
  const below = random(41)
  const { frames } = streamOf([100, 1300, 400], below)
  const wire = Uint8Array.from(Buffer.concat(frames))
  const { resync } = new Receiver()
  t.equal(resync.push([wire])[0], wire, 'a read of whole frames')
  const [first, ...rest] = resync.push([wire.subarray(0, frames[0].length + 10)])
  t.equal(first.buffer, wire.buffer)
  t.equal(first.length, frames[0].length)
  t.same(rest, [])
  t.equal(resync.held, 10)
  const [joined, views] = resync.push([wire.subarray(frames[0].length + 10)])
  t.same(joined, frames[1], 'only the frame that spans reads is')
  t.not(joined.buffer, wire.buffer)
  t.equal(views.buffer, wire.buffer)
  t.same(views, frames[2])
  t.equal(resync.held, 0)
})

t.test('two cuts in a row', async (t) => {
  const below = random(51)
  const { messages, frames } = streamOf([100, 500, 600, 700, 800, 900], below)
  for (let first = 1; first < frames[2].length; first += 13) {
    for (let second = 1; second < frames[3].length; second += 17) {
      const wire = Buffer.concat([frames[0], frames[1], frames[2].subarray(0, first), frames[3].subarray(0, second), frames[4], frames[5]])
      const receiver = new Receiver().push(wire)
      const losses = lossesOf(receiver, messages, 2) // frame 3 counts as lost
      const mayAlter = frames[2].length - first === second // they make one whole frame
      if (receiver.failure !== undefined || losses.lost > 2 || !losses.isInOrder || (losses.altered > 0 && !mayAlter)) {
        t.fail(`cut after ${first} and ${second} bytes`, { ...losses, failure: receiver.failure })
      }
    }
  }
})

t.test('a ping is cut, or comes behind what is cut', async (t) => {
  const below = random(61)
  const { messages, frames } = streamOf([100, 200, 300, 1400], below)
  const greeting = ping('candy::linux::6.1.8::host', below)
  for (let length = 1; length < greeting.length; length++) {
    const receiver = new Receiver().push(cutAt([frames[0], greeting, ...frames.slice(1)], 1, length))
    const losses = lossesOf(receiver, messages, -1)
    if (receiver.failure !== undefined || losses.lost > 0 || losses.altered > 0 || receiver.pings.length > 0) t.fail(`the ping is cut after ${length} bytes`, losses)
  }
  for (let length = 1; length < frames[1].length; length++) {
    const receiver = new Receiver().push(cutAt([frames[0], frames[1], greeting, ...frames.slice(2)], 1, length))
    const losses = lossesOf(receiver, messages, 1)
    const mayAlter = length === frames[1].length - greeting.length
    if (receiver.failure !== undefined || losses.lost > 1 || (losses.altered > 0 && !mayAlter)) t.fail(`cut before a ping, after ${length} bytes`, losses)
  }
})

t.test('what else a search finds', async (t) => {
  const below = random(71)
  const { frames } = streamOf([500, 300], below)
  const others = { routed: wrapRouted(packet(100, below), OWN, 1), discovery: encodeDiscovery({ source: OWN, destination: 1 }) }
  for (const [name, message] of Object.entries(others)) {
    const receiver = new Receiver().push(frames[0].subarray(0, 200), binary(message, below), ...frames, ...frames)
    t.same(receiver.messages[0], text(message), name)
    t.same(receiver.skipped, [200])
  }
})

t.test('headers that cannot be, before what is plausible', async (t) => {
  const key = '00000000'
  const message = (size: number): string => '01' + toHex(packet(size - 1, random(80)))
  const greeting = toHex(Buffer.from('candy::'.padEnd(126, 'x')))
  const wrong = {
    continuation: '80e4' + key + message(100),
    fragment: '02e4' + key + message(100),
    reserved: 'c2e4' + key + message(100),
    'reserved opcode': '83e4' + key + message(100),
    'no mask': '8264' + key + message(100),
    'long form': '82fe0064' + key + message(100),
    'too large': '82fe05dd' + key + message(1501),
    'eight bytes of length': '82ff0100' + key + message(256),
    'long ping': '89fe007e' + key + greeting
  }
  for (const [name, bytes] of Object.entries(wrong)) {
    const below = random(81)
    const { messages, frames } = streamOf([100, 100, 100], below)
    for (const size of [1, 7, 10_000]) {
      const wire = Buffer.concat([frames[0], hex(bytes), frames[1], frames[2]])
      const receiver = new Receiver()
      for (const read of cut(wire, size)) receiver.push(read)
      // A frame that was passed on before is not taken for the cut one.
      t.same(receiver.skipped, [bytes.length / 2 + (size === 1 ? 0 : frames[0].length)], `${name}, reads of ${size}`)
      t.same(receiver.messages.slice(-2), messages.slice(1))
      t.equal(receiver.failure, undefined)
    }
  }
})

t.test('a payload that looks like frames where the cut frame seems to end', async (t) => {
  const below = random(85)
  const { messages, frames } = streamOf([100, 300, 400, 100], below)
  const length = 200
  const left = frames[1].length - length
  // Two messages of an unknown type: the first has a valid header behind it, but the beginning of a frame before it.
  frames[2].set(hex('82810000000009'.repeat(2) + '00'), left)
  const receiver = new Receiver().push(cutAt(frames, 1, length))
  t.same(receiver.skipped, [length])
  t.same(receiver.messages.filter((_, i) => i !== 1), [messages[0], messages[3]])
  t.equal(receiver.messages[1].length, messages[2].length, 'the one that was made up here')
})

t.test('an implausible message is passed on at once, and with its beginning only when it is clear', async (t) => {
  const below = random(91)
  const good = binary(forward(100, below), below)
  const unknown = binary(Uint8Array.from({ length: 300 }, (_, i) => i === 0 ? 9 : below(256)), below)
  const receiver = new Receiver()
  t.equal(receiver.push(unknown).messages.length, 1)
  t.equal(receiver.push(good, unknown).messages.length, 3)
  t.equal(receiver.push(Buffer.concat([good, good, unknown.subarray(0, 100)])).messages.length, 4)
  t.equal(receiver.resync.held, good.length + 100, 'held with the frame before it')
  t.equal(receiver.push(unknown.subarray(100, 299)).messages.length, 4)
  t.equal(receiver.push(Buffer.concat([unknown.subarray(299), good])).messages.length, 7)
  t.equal(receiver.resync.held, 0)
  // When it turns out to be broken, it is as if both had come together.
  receiver.push(Buffer.concat([good, unknown.subarray(0, 20)])).push(Buffer.concat([unknown.subarray(20), hex('00000000')]))
  t.equal(receiver.messages.length, 7)
  t.equal(receiver.push(good, good).messages.length, 9)
  t.same(receiver.skipped, [good.length + unknown.length + 4])
})

t.test('the next frame is found as soon as its head has come, also where the bogus one is longer', async (t) => {
  const below = random(95)
  const { messages, frames } = streamOf([100, 1400, 200], below)
  const receiver = new Receiver().push(Buffer.concat([frames[0], frames[1].subarray(0, 9), frames[2].subarray(0, 40)]))
  t.equal(receiver.skipped.length, 1)
  t.same(receiver.push(frames[2].subarray(40)).messages, [messages[2]])
  const other = new Receiver().push(frames[0]).push(frames[1].subarray(0, 9)).push(frames[2].subarray(0, 40))
  t.same(other.skipped, [9], 'when the bogus one spans reads')
  t.same(other.push(frames[2].subarray(40)).messages, [messages[0], messages[2]])
})

t.test('text and a close that no decoder takes are never passed on', async (t) => {
  for (const frame of ['818100000000ff', '888100000000ff', '88820000000003ed', '88830000000003e8ff']) {
    const below = random(101)
    const { messages, frames } = streamOf([100, 100], below)
    for (const size of [1, 3, 100]) {
      const receiver = new Receiver().push(frames[0])
      for (const read of cut(hex(frame), size)) receiver.push(read)
      receiver.push(frames[1])
      t.equal(receiver.failure, undefined)
      t.same(receiver.messages, messages)
    }
  }
})

t.test('text of another client is passed on', async (t) => {
  const { messages, frames } = streamOf([100, 100], random(101))
  for (const content of ['', 'still here', 'tschüß']) {
    const frame = encoder.text(content)
    const one = new Receiver().push(Buffer.concat([frames[0], frame, frames[1]]))
    const two = new Receiver().push(Buffer.concat([frames[0], frame])).push(frames[1])
    const cut = Array.from(frame, (_, at) => new Receiver().push(Buffer.concat([frames[0], frame.subarray(0, at)])).push(Buffer.concat([frame.subarray(at), frames[1]])))
    for (const receiver of [one, two, ...cut]) {
      t.same(receiver.messages, messages)
      t.same(receiver.skipped, [])
      t.same(receiver.texts, [content])
    }
  }
})

t.test('the eleventh recovery within a minute is one too many', async (t) => {
  const below = random(111)
  const { frames } = streamOf([100, 200, 300], below)
  const broken = Buffer.concat([frames[0], frames[1].subarray(0, 100), frames[2], frames[0]])
  const receiver = new Receiver()
  for (let i = 0; i < 10; i++) receiver.push(broken)
  t.equal(receiver.skipped.length, 10)
  t.notOk(receiver.resync.gaveUp)
  receiver.clock.advance(60_000)
  receiver.push(broken)
  t.equal(receiver.skipped.length, 11, 'the first one is a minute old')
  t.equal(receiver.failure, undefined)
  receiver.push(broken.subarray(0, 250)).push(broken.subarray(250)).push(broken)
  t.equal(receiver.resync.gaveUp, undefined, 'neither are the others')
  for (let i = 0; i < 7; i++) receiver.push(broken)
  t.equal(receiver.skipped.length, 20)
  receiver.clock.advance(59_999)
  receiver.passed.length = 0
  receiver.push(broken.subarray(0, 250)).push(broken.subarray(250)).push(broken)
  t.equal(receiver.resync.gaveUp, 'more than 10 cut frames in a minute')
  t.equal(receiver.resync.held, 0)
  t.ok(Buffer.concat(receiver.passed).equals(Buffer.concat([broken, broken])), 'unchanged')
  t.equal(receiver.failure, failureOf(broken))
})

t.test('it gives up where no frame begins', async (t) => {
  const below = random(121)
  const { frames } = streamOf([100, 1000, 200], below)
  const garbage = Uint8Array.from({ length: 5000 }, () => below(128)) // no 0x82
  const start = Buffer.concat([frames[0], frames[1].subarray(0, 500)])
  for (const size of [1, 61, 1448, 10_000]) {
    // Begins with the cut frame; one byte later it is out of reach.
    for (const [length, isFound] of [[SEARCH - 500 + 1 - 1, true], [SEARCH - 500 + 1, false]] as const) {
      const wire = Buffer.concat([start, garbage.subarray(0, length), frames[2], frames[2]])
      const receiver = new Receiver()
      receiver.push(start)
      for (const read of cut(wire.subarray(start.length), size)) receiver.push(read)
      if (size === 1) continue // the cut frame was passed on when it seemed whole: the search begins behind it
      t.equal(receiver.resync.gaveUp, isFound ? undefined : 'no frame in the 4096 bytes behind one that was cut', `reads of ${size}, ${length} bytes`)
      t.ok(receiver.held <= SEARCH + MAX_FRAME)
      if (isFound) continue
      t.ok(Buffer.concat(receiver.passed).equals(wire), 'unchanged')
      t.equal(receiver.failure, failureOf(wire))
    }
  }
})

t.test('whatever comes, it holds no more than its bound and makes nothing up', async (t) => {
  const below = random(131)
  const { frames } = streamOf([60, 100, 300, 1400], below)
  const sample = Buffer.concat([...frames, binary(encodeDiscovery({ source: OWN, destination: 1 }), below), ping('candy::x', below)])
  for (let round = 0; round < ROUNDS / 50; round++) {
    const receiver = new Receiver()
    const wires = Array.from({ length: 1 + below(5) }, () => below(8) === 0 ? Uint8Array.from({ length: below(6000) }, () => below(256)) : mutate(sample, below))
    const wire = Buffer.concat(wires)
    for (const read of readsOf(wire, [-4000, -100, 1448, 37][below(4)], below)) receiver.push(read)
    const left = receiver.skipped.reduce((sum, bytes) => sum + bytes, 0) + receiver.resync.held
    if (receiver.held > SEARCH + MAX_FRAME) t.fail(`round ${round}: held ${receiver.held} bytes`)
    if (Buffer.concat(receiver.passed).length + left !== wire.length) t.fail(`round ${round}: bytes are missing`)
    if (receiver.resync.gaveUp !== undefined && receiver.resync.held > 0) t.fail(`round ${round}: held after it gave up`)
  }
})

t.test('limits that cannot be', async (t) => {
  for (const maxPayload of [124, 65_536, 1.5, NaN]) {
    t.throws(() => new FrameResync({ maxPayload, plausible, trusted: () => false, onResync () {} }), { code: 'ERR_OPTION' })
  }
})

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { cases, ends, expand, type Case } from '../../helpers/transforms/websocket-frame-cases.ts'
import { cut, hex, mutate, random, toHex } from '../../helpers/bytes.ts'
import { mutations } from '../../helpers/sample.ts'
import { TruncatedError } from '../../../src/errors.ts'
import { PAGE, simdMemory, simdOf } from '../../../src/buffers/simd/memory.ts'
import { FrameDecoder, FrameEncoder, WebSocketProtocolError, type FrameHandlers } from '../../../src/transforms/websocket-frames/index.ts'
import { applyMask, maskWayOf } from '../../../src/transforms/websocket-frames/mask.ts'

const ROUNDS = mutations()

interface Outcome {
  messages: string[]
  events: string[]
  fails: number | undefined
  /** What `end` throws. */
  end: string
}

const handlers = (events: string[], takesText: boolean): FrameHandlers => ({
  onText: takesText ? (payload) => { events.push(`text ${Buffer.from(payload).toString()}`) } : undefined,
  onPing: (payload) => { events.push(`ping ${toHex(payload)}`) },
  onPong: (payload) => { events.push(`pong ${toHex(payload)}`) },
  onClose: (code, reason) => { events.push(`close ${code} ${reason}`) }
})

function decode ({ role, init, takesText = false }: Case, reads: Iterable<Uint8Array>): Outcome {
  const outcome: Outcome = { messages: [], events: [], fails: undefined, end: '' }
  const decoder = new FrameDecoder({ role: role ?? 'client', ...init }, handlers(outcome.events, takesText))
  for (const read of reads) {
    outcome.messages.push(...decoder.push([read]).map(toHex))
    outcome.fails = decoder.failure?.closeCode
    if (outcome.fails !== undefined) break
  }
  try {
    decoder.end()
  } catch (err) {
    outcome.end = (err as TruncatedError).code
  }
  return outcome
}

const expected = ({ messages = [], events = [], fails }: Case): Outcome =>
  ({ messages: messages.map(expand), events, fails, end: fails === undefined ? '' : 'ERR_WEBSOCKET_PROTOCOL' })

/** Every size for short streams; for long ones those around a header, and some large ones. */
const sizes = (length: number): number[] => length <= 400
  ? Array.from({ length }, (_, i) => i + 1)
  : [...(length <= 3000 ? [1, 2, 3] : []), 13, 14, 15, 16, 17, 1000, length >> 1, length - 1, length]

t.test('RFC 6455, whatever the reads', async (t) => {
  for (const one of cases) {
    const wire = hex(expand(one.wire))
    const wanted = expected(one)
    for (const size of sizes(wire.length)) {
      const outcome = decode(one, cut(wire, size))
      if (JSON.stringify(outcome) !== JSON.stringify(wanted)) t.same(outcome, wanted, `${one.name}, reads of ${size}`)
    }
    t.same(decode(one, [Uint8Array.from(wire)]), wanted, one.name)
  }
})

t.test('all reads in one batch', async (t) => {
  const wire = hex('8203616263 8900 8201 64'.replaceAll(' ', ''))
  const events: string[] = []
  t.same(new FrameDecoder({ role: 'client' }, handlers(events, false)).push([...cut(wire, 2)]).map(toHex), ['616263', '64'])
  t.same(events, ['ping '])
})

t.test('a stream that ends inside a message', async (t) => {
  for (const one of cases) {
    if (one.fails !== undefined) continue
    const wire = hex(expand(one.wire))
    const allowed = ends(one.wire)
    for (let length = 0; length <= wire.length; length += wire.length > 1000 ? 127 : 1) {
      if (allowed.size === 1 && length > 0) break // it says nothing of where the stream may end
      const { end, fails } = decode(one, [Uint8Array.from(wire.subarray(0, length))])
      const wanted = allowed.has(length) ? '' : 'ERR_TRUNCATED'
      if (end !== wanted || fails !== undefined) t.same({ end, fails }, { end: wanted, fails: undefined }, `${one.name}, cut after ${length} bytes`)
    }
    t.pass(one.name)
  }
})

t.test('after a fault', async (t) => {
  const decoder = new FrameDecoder({ role: 'client' })
  t.same(decoder.push([hex('820161c20162')]).map(toHex), ['61'], 'what came before is delivered')
  const { failure } = decoder
  t.match(failure, { name: 'WebSocketProtocolError', code: 'ERR_WEBSOCKET_PROTOCOL', closeCode: 1002 })
  t.throws(() => decoder.push([hex('820161')]), failure as Error)
  t.throws(() => { decoder.end() }, failure as Error)
})

t.test('a handler of text may come and go', async (t) => {
  const heard: string[] = []
  const changing: FrameHandlers = {}
  const decoder = new FrameDecoder({ role: 'client' }, changing)
  changing.onText = (payload) => { heard.push(Buffer.from(payload).toString()) }
  decoder.push([hex('810161')])
  delete changing.onText
  decoder.push([hex('810162')])
  t.same(heard, ['a'])
  t.match(decoder.failure, { closeCode: 1003 })
})

t.test('what a handler throws is not taken for a fault of the other side', async (t) => {
  const boom = new Error('boom')
  const decoder = new FrameDecoder({ role: 'client' }, { onPing () { throw boom } })
  t.throws(() => decoder.push([hex('8900')]), boom)
  t.equal(decoder.failure, undefined)
})

t.test('options that cannot work', async (t) => {
  for (const init of [{ maxPayload: 124 }, { maxPayload: 1.5 }, { maxPayload: NaN }, { maxPayload: Infinity }, { maxFragments: 0 }, { maxFragments: -1 }, { maxFragments: 2.5 }]) {
    t.throws(() => new FrameDecoder({ role: 'client', ...init }), { code: 'ERR_OPTION' }, JSON.stringify(init))
  }
})

t.test('the limit of a message may change', async (t) => {
  const encoder = new FrameEncoder('server')
  const decoder = new FrameDecoder({ role: 'client', maxPayload: 200 })
  t.same(decoder.push(encoder.push([new Uint8Array(200)])).map(({ length }) => length), [200])
  decoder.limitPayload(70_000)
  t.same(decoder.push(encoder.push([new Uint8Array(70_000)])).map(({ length }) => length), [70_000])
  t.throws(() => { decoder.limitPayload(1) }, { code: 'ERR_OPTION' })
  decoder.push(encoder.push([new Uint8Array(70_001)]))
  t.match(decoder.failure, { code: 'ERR_WEBSOCKET_PROTOCOL' })
})

t.test('a message inside one read is a view of it', async (t) => {
  for (const role of ['client', 'server'] as const) {
    const [wire] = new FrameEncoder(role === 'server' ? 'client' : 'server').push([hex('616263'), new Uint8Array(200)])
    for (const message of new FrameDecoder({ role }).push([wire])) t.equal(message.buffer, wire.buffer, role)
  }
})

t.test('a message that spans reads has memory of its own', async (t) => {
  const wire = new FrameEncoder('server').push([new Uint8Array(100).fill(0x61)])[0]
  const decoder = new FrameDecoder({ role: 'client' })
  const read = Buffer.from(wire.subarray(0, 50))
  decoder.push([read])
  read.fill(0xff) // the reader may reuse its memory
  const [message] = decoder.push([wire.subarray(50)])
  t.equal(toHex(message), '61'.repeat(100))
})

/** Frames as the RFC draws them, written without regard to speed. */
function frame (opcode: number, payload: Uint8Array, { fin = true, key }: { fin?: boolean, key?: number } = {}): Buffer {
  const size = payload.length
  const length = size < 126 ? Buffer.of(size) : size < 65_536 ? Buffer.of(126, size >> 8, size & 0xff) : Buffer.from([127, ...hex(size.toString(16).padStart(16, '0'))])
  if (key === undefined) return Buffer.concat([Buffer.of((fin ? 0x80 : 0) | opcode), length, payload])
  length[0] |= 0x80
  const keyBytes = Buffer.alloc(4)
  keyBytes.writeUInt32BE(key)
  return Buffer.concat([Buffer.of((fin ? 0x80 : 0) | opcode), length, keyBytes, payload.map((byte, i) => byte ^ keyBytes[i & 3])])
}

const payloads = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 120, maxLength: 300 }))
const chunks = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 40 })

function * cutBy (wire: Uint8Array, lengths: number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < wire.length; i++) {
    const end = at + lengths[i % lengths.length]
    yield Uint8Array.from(wire.subarray(at, end))
    at = end
  }
}

t.test('what is encoded is decoded, whatever the reads', async (t) => {
  fc.assert(fc.property(fc.array(fc.array(payloads, { maxLength: 4 }), { maxLength: 5 }), chunks, fc.boolean(), (sent, lengths, toServer) => {
    const encoder = new FrameEncoder(toServer ? 'client' : 'server')
    const wire = Buffer.concat(sent.flatMap((batch) => encoder.push(batch)))
    const outcome = decode({ name: '', wire: '', role: toServer ? 'server' : undefined }, cutBy(wire, lengths))
    t.same(outcome, { messages: sent.flat().map(toHex), events: [], fails: undefined, end: '' })
  }), { numRuns: 300, seed: 1 })
})

t.test('fragments, pings and keys of another encoder', async (t) => {
  const message = fc.record({ parts: fc.array(payloads, { minLength: 1, maxLength: 5 }), ping: fc.option(fc.uint8Array({ maxLength: 20 })), key: fc.nat(0xffff_ffff) })
  fc.assert(fc.property(fc.array(message, { maxLength: 5 }), chunks, fc.boolean(), (sent, lengths, toServer) => {
    const wire = Buffer.concat(sent.flatMap(({ parts, ping, key: seed }) => {
      const key = toServer ? seed : undefined
      return parts.flatMap((part, i) => [
        ping === null ? Buffer.alloc(0) : frame(0x9, ping, { key }),
        frame(i === 0 ? 0x2 : 0x0, part, { fin: i === parts.length - 1, key })
      ])
    }))
    t.same(decode({ name: '', wire: '', role: toServer ? 'server' : undefined }, cutBy(wire, lengths)), {
      messages: sent.map(({ parts }) => parts.map(toHex).join('')),
      events: sent.flatMap(({ parts, ping }) => ping === null ? [] : parts.map(() => `ping ${toHex(ping)}`)),
      fails: undefined,
      end: ''
    })
  }), { numRuns: 300, seed: 2 })
})

t.test('masks of every alignment and length', async (t) => {
  const below = random(7)
  const reached = simdMemory(PAGE) as ArrayBuffer
  t.ok(simdOf(reached) !== undefined)
  let wrong = 0
  for (let start = 0; start < 9; start++) {
    for (let from = 0; from < 9; from++) {
      for (let size = 0; size < 90; size++) {
        const all = new Uint8Array(start + from + size + 1 + below(8)).map(() => below(256))
        const key = below(0x1_0000_0000)
        const wanted = all.map((byte, at) => {
          const i = at - start - from
          return i >= 0 && i < size ? byte ^ (key >>> (24 - 8 * (i & 3))) : byte
        })
        for (const memory of [new ArrayBuffer(all.length), reached]) {
          new Uint8Array(memory).set(all)
          const bytes = new Uint8Array(memory, start)
          applyMask(bytes, from, from + size, key | 0, maskWayOf(bytes))
          if (!Buffer.from(memory, 0, all.length).equals(wanted)) wrong++
        }
      }
    }
  }
  t.equal(wrong, 0)
})

t.test('damaged streams', async (t) => {
  const below = random(11)
  const samples = cases.map((one) => ({ one, wire: hex(expand(one.wire)) })).filter(({ wire }) => wire.length < 600)
  const maxPayload = 200
  let most = 0
  for (let round = 0; round < ROUNDS; round++) {
    const { one, wire } = samples[below(samples.length)]
    const damaged = mutate(below(2) === 0 ? wire : Buffer.concat([wire, samples[below(samples.length)].wire]), below)
    const tolerate = { unmasked: below(2) === 0, longControl: false, rawClose: below(2) === 0 }
    const decoder = new FrameDecoder({ role: one.role ?? 'client', maxPayload, maxFragments: 4, tolerate }, handlers([], below(2) === 0))
    try {
      const size = 1 + below(damaged.length + 1)
      for (const read of cut(damaged, size)) {
        for (const message of decoder.push([read])) if (message.length > maxPayload) t.fail(`round ${round}: ${message.length} bytes`)
        most = Math.max(most, decoder.held)
      }
      decoder.end()
    } catch (err) {
      if (!(err instanceof WebSocketProtocolError) && !(err instanceof TruncatedError)) {
        t.fail(`round ${round}: ${String(err)}`)
        return
      }
    }
  }
  // Fragments of a message, and between them a control frame that is not complete.
  t.ok(most <= maxPayload + 14 + 125, `${most} bytes held`)
})

t.test('the memory of an unfinished message is near its size', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const used = (): number => {
    for (let i = 0; i < 4; i++) gc() // memory outside the heap goes some collections later
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const size = 256 * 1024
  const one = Uint8Array.of(0x61)
  for (const [name, head, each] of [
    ['a frame in single bytes', frame(0x2, new Uint8Array(size)).subarray(0, 10), one],
    ['fragments of one byte', frame(0x2, new Uint8Array(1), { fin: false }), frame(0x0, one, { fin: false })]
  ] as Array<[string, Uint8Array, Uint8Array]>) {
    const decoder = new FrameDecoder({ role: 'client', maxPayload: size, maxFragments: size })
    const before = used()
    decoder.push([Uint8Array.from(head)])
    for (let i = 0; i < size - 2; i++) decoder.push([Uint8Array.from(each)])
    const grown = used() - before
    t.ok(decoder.held >= size - 2 && decoder.held <= size + 14, `${name}: ${decoder.held} bytes held`)
    t.ok(grown < 4 * size, `${name}: ${grown} bytes of memory`)
  }
})

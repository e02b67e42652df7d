import { readFileSync } from 'node:fs'
import { crc1, crc16modbus, crc24, crc32 as packageCrc32, crc8, crcjam } from 'crc'
import crc16modbusCalculator from 'crc/calculators/crc16modbus'
import fc from 'fast-check'
import t from 'tap'
import { over, stack } from '../../src/layer.ts'
import {
  ChecksumDecoder, ChecksumEncoder, ChecksumError, checksum, crc32, lengthPrefix, u16be, type ChecksumFunction, type ChecksumInit
} from '../../src/transforms/index.ts'
import { memoryPair } from '../../src/transports/memory/index.ts'
import { cut, hex, mutate, random, toHex } from '../helpers/bytes.ts'
import { mutations } from '../helpers/sample.ts'
import { collect, from, pieces, recordingLink } from '../helpers/links.ts'

const ROUNDS = mutations()

type Kind = 'crc32' | ChecksumFunction

const kinds: Array<[string, Kind, ChecksumInit]> = [
  ['crc32', 'crc32', {}],
  ['crc32 little-endian behind', 'crc32', { order: 'little', position: 'behind' }],
  ['crc16modbus', crc16modbus, { bytes: 2, order: 'little', position: 'behind' }],
  ['a calculator', crc16modbusCalculator, { bytes: 2 }],
  ['crc24', crc24, { bytes: 3 }],
  ['crc8', crc8, { bytes: 1, position: 'behind' }],
  ['crcjam signed', crcjam.signed, { bytes: 4, order: 'little' }]
]

const natpass: Record<string, string> = Object.fromEntries(
  JSON.parse(readFileSync(new URL('../vectors/natpass.json', import.meta.url), 'utf8'))
    .map(({ name, hex }: { name: string, hex: string }) => [name, hex])
)
const framing = stack(lengthPrefix(u16be, { adjust: 4 }), checksum('crc32'))

t.test('known sums', async (t) => {
  const text = Buffer.from('123456789')
  const cases: Array<[Kind, ChecksumInit, string]> = [
    ['crc32', {}, 'cbf43926' + toHex(text)],
    ['crc32', { order: 'little', position: 'behind' }, toHex(text) + '2639f4cb'],
    [crc16modbus, { bytes: 2, order: 'little', position: 'behind' }, toHex(text) + '374b'],
    [crc24, { bytes: 3 }, '21cf02' + toHex(text)],
    [crc8, { bytes: 1 }, 'f4' + toHex(text)],
    [crcjam.signed, { bytes: 4 }, '340bc6d9' + toHex(text)]
  ]
  for (const [kind, init, wire] of cases) {
    t.equal(toHex(new ChecksumEncoder(kind, init).push([text])[0]), wire)
    t.same(new ChecksumDecoder(kind, init).push([hex(wire)]).map(toHex), [toHex(text)])
  }
  // a Modbus RTU request to read ten registers
  const modbus = new ChecksumDecoder(crc16modbus, { bytes: 2, order: 'little', position: 'behind' })
  t.same(modbus.push([hex('01030000000ac5cd')]).map(toHex), ['01030000000a'])
})

t.test('native and JavaScript sums are the same', async (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => crc32(bytes) === packageCrc32(Buffer.from(bytes))))
})

t.test('any frames, and views of what comes in', async (t) => {
  for (const [name, kind, init] of kinds) {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (frames) => {
      const wire = new ChecksumEncoder(kind, init).push(frames)
      const got = new ChecksumDecoder(kind, init).push(wire)
      return got.every((frame, i) => Buffer.compare(frame, frames[i]) === 0 && frame.buffer === wire[i].buffer)
    }), { numRuns: 50 })
    t.pass(name)
  }
  t.same(new ChecksumEncoder('crc32').push([]), [])
})

t.test('any bit that flips is found', async (t) => {
  for (const [name, kind, init] of kinds) {
    const [wire] = new ChecksumEncoder(kind, init).push([hex('0123456789abcdef')])
    let missed = 0
    for (let bit = 0; bit < wire.length * 8; bit++) {
      const bad = Uint8Array.from(wire)
      bad[bit >> 3] ^= 1 << (bit & 7)
      const decoder = new ChecksumDecoder(kind, init)
      if (decoder.push([bad]).length > 0 || !(decoder.failure instanceof ChecksumError)) missed++
    }
    t.equal(missed, 0, name)
  }
})

t.test('frames too short for a checksum', async (t) => {
  for (const [name, kind, init] of kinds) {
    for (let size = 0; size < (init.bytes ?? 4); size++) {
      const decoder = new ChecksumDecoder(kind, init)
      t.same(decoder.push([new Uint8Array(size)]), [])
      t.match(decoder.failure, { name: 'ChecksumError', code: 'ERR_CHECKSUM' }, `${name}, ${size} bytes`)
    }
  }
})

t.test("natpass's frames, byte for byte, in chunks of every size", async (t) => {
  for (const [name, text] of Object.entries(natpass)) {
    const wire = hex(text)
    for (let size = 1; size <= wire.length; size += size < 8 ? 1 : 40) {
      const { source } = over(recordingLink([...cut(wire, size)].map((piece) => [piece])), framing)
      if (name === 'bad_crc_keepalive') {
        await t.rejects(collect(source), { code: 'ERR_CHECKSUM' }, name)
      } else if (name === 'truncated_keepalive') {
        await t.rejects(collect(source), { code: 'ERR_TRUNCATED' }, name)
      } else {
        const got = await collect(source)
        t.same(got.map(toHex), [text.slice(12)], name)
        const lower = recordingLink()
        t.equal(over(lower, framing).port.send(got), 1)
        t.same(lower.sent.map((batch) => batch.map(toHex)), [[text]], `${name} again`)
      }
    }
  }
})

t.test("natpass's largest payload passes, and no larger one", async (t) => {
  const lower = recordingLink()
  const { port, sink } = over(lower, framing)
  t.equal(port.send([new Uint8Array(65535)]), 1)
  t.equal(port.send([new Uint8Array(65536)]), 0)
  await t.rejects(sink(from([[new Uint8Array(65536)]])), { code: 'ERR_FRAME_SIZE' })
  const { source } = over(recordingLink(lower.sent), framing)
  t.equal((await collect(source))[0].length, 65535)
})

t.test('as a layer on a link', async (t) => {
  const [here, there] = memoryPair().map((link) => over(link, framing))
  const frames = [hex('01'), hex(''), hex('ff'.repeat(3000))]
  const [, got] = await Promise.all([here.sink(from([frames])), collect(there.source)])
  t.same(got.map(toHex), frames.map(toHex))
})

t.test('damaged streams end in an error with a code', async (t) => {
  const below = random(3)
  const samples = Object.values(natpass).map(hex)
  for (let round = 0; round < ROUNDS; round++) {
    const wire = mutate(samples[below(samples.length)], below)
    const { source } = over(recordingLink(pieces(wire, [1 + below(40)]).map((piece) => [piece])), framing)
    try {
      for (const frame of await collect(source)) if (frame.length > wire.length) throw new Error('more than came')
    } catch (err) {
      const { code } = err as { code?: string }
      if (code !== 'ERR_CHECKSUM' && code !== 'ERR_TRUNCATED') {
        t.fail(`round ${round}: ${String(err)}`, { wire: toHex(wire) })
        return
      }
    }
  }
})

t.test('options are checked', async (t) => {
  const bad: Array<[any, any]> = [
    ['crc33', {}],
    [undefined, {}],
    [crc1, {}],
    [crc1, { bytes: 0 }],
    [crc1, { bytes: 5 }],
    ['crc32', { position: 'after' }],
    ['crc32', { order: 'middle' }]
  ]
  for (const [kind, init] of bad) t.throws(() => checksum(kind, init), { code: 'ERR_OPTION' })
})

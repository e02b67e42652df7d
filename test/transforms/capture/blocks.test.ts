import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  interfaceDescription, interfaceStatistics, packetLength, sectionHeader, STATISTICS_LENGTH, writePackets, type PacketsInit
} from '../../../src/transforms/capture/blocks.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { readBlocks, readCapture } from '../../helpers/pcapng.ts'

/** One microsecond after the beginning of 2020; its halves are 00059b08 and c1fa4001. */
const TIMESTAMP = 1_577_836_800_000_001

const same = (t: Test, got: Uint8Array, wanted: string, what: string): void => { t.equal(toHex(got), toHex(hex(wanted)), what) }

function encode (packets: Uint8Array[], init: Partial<PacketsInit> = {}): Uint8Array {
  const { interfaceId = 0, direction = 'in', timestamp = 0, snapLength = 262_144 } = init
  const size = packets.reduce((sum, { length }) => sum + packetLength(Math.min(length, snapLength)), 0)
  const out = new Uint8Array(size + 2).fill(0xee)
  const end = writePackets(out, 1, packets, packets.length, { interfaceId, direction, timestamp, snapLength })
  deepEqual([end, out[0], out.at(-1)], [size + 1, 0xee, 0xee], 'as long as was said, and nothing around it changes')
  return out.subarray(1, end)
}

t.test('the blocks, byte for byte', async (t) => {
  same(t, sectionHeader({ hardware: 'x', os: 'ab', application: 'tunpipe 1.2.3' }), `
    0a0d0d0a 44000000 4d3c2b1a 0100 0000 ffffffffffffffff
    0200 0100 78000000
    0300 0200 61620000
    0400 0d00 74756e70 69706520 312e322e 33000000
    0000 0000 44000000`, 'section header')
  same(t, interfaceDescription({ linkType: 'raw', name: 'wire' }, 262_144), `
    01000000 28000000 6500 0000 00000400
    0200 0400 77697265
    0900 0100 06000000
    0000 0000 28000000`, 'interface of raw packets')
  same(t, interfaceDescription({ linkType: 'user0', name: 'ü' }, 96), `
    01000000 28000000 9300 0000 60000000
    0200 0200 c3bc0000
    0900 0100 06000000
    0000 0000 28000000`, 'interface of a kind of its own')
  same(t, interfaceStatistics(1, TIMESTAMP, { received: 2 ** 32 + 5, dropped: 3 }), `
    05000000 34000000 01000000 089b0500 0140fac1
    0400 0800 05000000 01000000
    0500 0800 03000000 00000000
    0000 0000 34000000`, 'statistics')
  same(t, encode([hex('c0ffee')], { interfaceId: 1, direction: 'out', timestamp: TIMESTAMP }), `
    06000000 30000000 01000000 089b0500 0140fac1 03000000 03000000
    c0ffee00
    0200 0400 02000000
    0000 0000 30000000`, 'packet, padded')
})

t.test('packets of a batch, one behind the other', async (t) => {
  same(t, encode([hex('01020304'), hex(''), hex('0102030405 ffffffff')], { snapLength: 5 }), `
    06000000 30000000 00000000 00000000 00000000 04000000 04000000
    01020304
    0200 0400 01000000
    0000 0000 30000000

    06000000 2c000000 00000000 00000000 00000000 00000000 00000000
    0200 0400 01000000
    0000 0000 2c000000

    06000000 34000000 00000000 00000000 00000000 05000000 09000000
    01020304 05000000
    0200 0400 01000000
    0000 0000 34000000`, 'a whole word, nothing at all, and one that is cut')
  t.equal(encode([]).length, 0)
  const some = new Uint8Array(200)
  t.equal(writePackets(some, 0, [hex('01'), hex('02')], 1, { interfaceId: 0, direction: 'in', timestamp: 0, snapLength: 9 }), 48, 'and no more of them than was asked for')
})

t.test('statistics have one length', async (t) => {
  for (const count of [0, 1, Number.MAX_SAFE_INTEGER]) {
    t.equal(interfaceStatistics(4, count, { received: count, dropped: count }).length, STATISTICS_LENGTH)
  }
})

t.test('whatever is encoded is read again', async (t) => {
  const about = { hardware: fc.string({ unit: 'grapheme' }), os: fc.string(), application: fc.string() }
  fc.assert(fc.property(fc.record(about), fc.string({ unit: 'grapheme' }), fc.nat(1000), (origin, name, snapLength) => {
    const file = Buffer.concat([sectionHeader(origin), interfaceDescription({ linkType: 'user0', name }, snapLength)])
    const { version, interfaces, ...read } = readCapture(file)
    deepEqual([version, read, interfaces], [[1, 0], { ...origin, packets: [], statistics: [] }, [{ linkType: 147, snapLength, name, resolution: 6 }]])
  }), { numRuns: 50 })

  const packet = fc.uint8Array({ maxLength: 40 })
  fc.assert(fc.property(fc.array(packet), fc.constantFrom('in', 'out'), fc.maxSafeNat(), fc.integer({ min: 1, max: 50 }), (packets, direction, timestamp, snapLength) => {
    const beginning = [sectionHeader({ hardware: '', os: '', application: '' }), interfaceDescription({ linkType: 'raw', name: 'p' }, snapLength)]
    const read = readCapture(Buffer.concat([...beginning, encode(packets, { direction, timestamp, snapLength })]))
    deepEqual(read.packets, packets.map((bytes) => ({
      interfaceId: 0, timestamp: BigInt(timestamp), direction, originalLength: bytes.length, data: Buffer.from(bytes.subarray(0, snapLength))
    })))
  }), { numRuns: 50 })
})

t.test('the reader of these tests refuses what is wrong', async (t) => {
  const good = Buffer.concat([
    sectionHeader({ hardware: 'x', os: 'y', application: 'z' }), interfaceDescription({ linkType: 'raw', name: 'p' }, 9), encode([hex('010203')]),
    interfaceStatistics(0, 1, { received: 1, dropped: 0 })
  ])
  const blocks = readBlocks(good)
  t.equal(blocks.length, 4)
  t.doesNotThrow(() => readCapture(good))
  const changed = (at: number): Buffer => {
    const bad = Buffer.from(good)
    bad[at < 0 ? bad.length + at : at] ^= 0x10
    return bad
  }
  const packet = good.length - STATISTICS_LENGTH - 48
  const places: Array<[number, string]> = [
    [4, 'the block at 0 ends in another length'],
    [8, 'it is not little-endian'],
    [-4, 'the block at 144 ends in another length'],
    [packet + 8, 'a packet of interface 16, before that is described'],
    [packet + 20, '19 of 3 bytes with a limit of 9'],
    [packet + 31, 'padding is not zero'],
    [packet + 36, 'flags 17'],
    [packet + 42, 'something is behind the end of the options']
  ]
  for (const [at, complaint] of places) t.throws(() => readCapture(changed(at)), { message: `no pcapng: ${complaint}` }, complaint)
  const ends = [56, 96, 144]
  for (let size = 1; size < good.length; size++) {
    const cut = good.subarray(0, size)
    if (ends.includes(size)) t.doesNotThrow(() => readBlocks(cut), 'whole blocks')
    else t.throws(() => readBlocks(cut), /^no pcapng/, `cut at ${size}`)
  }
})

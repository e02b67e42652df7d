/** Checksums of packets: node:zlib against the crc package, alone and in the layer's cores. */
import { crc32 as ofPackage } from 'crc'
import calculator from 'crc/calculators/crc32'
import { ChecksumDecoder, ChecksumEncoder, crc32 } from '../../src/transforms/index.ts'
import { measure } from '../lib/harness.ts'
import type { Run } from '../lib/run.ts'

const unit = 'packet'
const PACKETS = 256

export async function checksumBench (run: Run): Promise<void> {
  for (const size of [64, 1400, 65535]) {
    const params = { size }
    const payload = Buffer.alloc(size, 'tunpipe ')
    const batch = Array(PACKETS).fill(payload)
    let sink = 0

    const sums: Array<[string, (bytes: Buffer) => number]> = [
      ['node:zlib', crc32],
      ['crc package', ofPackage],
      ['crc package, calculator', calculator]
    ]
    const [ours, ...others] = sums.map(([name, sum]) => ({
      name,
      run () {
        for (const packet of batch) sink ^= sum(packet)
        return PACKETS
      }
    }))
    await measure(run, { bench: 'checksum, crc32', params, unit, ...ours }, ...others)

    const [native, packaged] = ([['tunpipe, native', 'crc32'], ['tunpipe, crc package', ofPackage]] as const).map(([name, kind]) => {
      const encoder = new ChecksumEncoder(kind, { bytes: 4 })
      const decoder = new ChecksumDecoder(kind, { bytes: 4 })
      const wire = encoder.push(batch)
      return { name, encode: () => encoder.push(batch).length, decode: () => decoder.push(wire).length }
    })
    for (const way of ['encode', 'decode'] as const) {
      await measure(run, { bench: `checksum, ${way}`, name: native.name, params, unit, run: native[way] }, { name: packaged.name, run: packaged[way] })
    }
    if (sink === 0.5) console.log(sink) // keeps the sums in use
  }
}

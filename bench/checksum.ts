/** Checksums of packets: node:zlib against the crc package, alone and in the layer's cores. */
import { crc32 as ofPackage } from 'crc'
import calculator from 'crc/calculators/crc32'
import { ChecksumDecoder, ChecksumEncoder, crc32 } from '../src/transforms/index.ts'
import { measure } from './harness.ts'

const bench = 'checksum'
const unit = 'packet'
const PACKETS = 256

for (const size of [64, 1400, 65535]) {
  const params = { size }
  const payload = Buffer.alloc(size, 'tunpipe ')
  const batch = Array(PACKETS).fill(payload)
  let sink = 0

  const sums: Array<[string, (bytes: Buffer) => number]> = [
    ['crc32', crc32],
    ['crc32, crc package', ofPackage],
    ['crc32, crc package, calculator', calculator]
  ]
  for (const [name, sum] of sums) {
    await measure({
      bench,
      name,
      params,
      unit,
      run () {
        for (const packet of batch) sink ^= sum(packet)
        return PACKETS
      }
    })
  }

  for (const [name, kind] of [['native', 'crc32'], ['crc package', ofPackage]] as const) {
    const encoder = new ChecksumEncoder(kind, { bytes: 4 })
    const decoder = new ChecksumDecoder(kind, { bytes: 4 })
    const wire = encoder.push(batch)
    await measure({ bench, name: `encode, ${name}`, params, unit, run: () => encoder.push(batch).length })
    await measure({ bench, name: `decode, ${name}`, params, unit, run: () => decoder.push(wire).length })
  }
  if (sink === 0.5) console.log(sink) // keeps the sums in use
}

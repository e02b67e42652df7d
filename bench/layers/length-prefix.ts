/** The length-prefix cores against a decoder that joins what it has with every read, and against it-length-prefixed. */
import { decode, encode } from 'it-length-prefixed'
import { LengthPrefixDecoder, LengthPrefixEncoder, u32be } from '../../src/transforms/index.ts'
import { measure } from '../lib/harness.ts'
import type { Run } from '../lib/run.ts'

const unit = 'frame'
const READ = 65536

/** Reads of 64 KiB, as from a socket: most frames inside one, some across two. */
function reads (size: number): { batches: Buffer[][], frames: number } {
  const frame = Buffer.alloc(4 + size, 'tunpipe ')
  frame.writeUInt32BE(size)
  const frames = Math.ceil(16 * READ / frame.length)
  const wire = Buffer.concat(Array(frames).fill(frame))
  const batches = []
  for (let at = 0; at < wire.length; at += READ) batches.push([wire.subarray(at, at + READ)])
  return { batches, frames }
}

function naive (): (read: Buffer) => Buffer[] {
  let held = Buffer.alloc(0)
  return (read) => {
    held = Buffer.concat([held, read])
    const out = []
    while (held.length >= 4) {
      const end = 4 + held.readUInt32BE(0)
      if (held.length < end) break
      out.push(held.subarray(4, end))
      held = held.subarray(end)
    }
    return out
  }
}

async function wholeReads (run: Run): Promise<void> {
  for (const size of [64, 1400, 262144, 1 << 20]) {
    const params = { size }
    const { batches, frames } = reads(size)
    const decoder = new LengthPrefixDecoder(u32be, { maxFrame: size })
    const rival = naive()
    const { lengthDecoder, lengthEncoder } = u32be()
    const list = batches.flat()

    await measure(run, {
      bench: 'length-prefix, decode',
      name: 'tunpipe',
      params,
      unit,
      run () {
        let got = 0
        for (const batch of batches) got += decoder.push(batch).length
        return got
      }
    }, {
      name: 'naive',
      run () {
        let got = 0
        for (const read of list) got += rival(read).length
        return got
      }
    }, {
      name: 'it-length-prefixed',
      run () {
        let got = 0
        for (const frame of decode(list, { lengthDecoder })) if (frame.subarray().length === size) got++
        return got
      }
    })

    const batch = Array(Math.min(32, frames)).fill(Buffer.alloc(size, 'tunpipe '))
    const encoder = new LengthPrefixEncoder(u32be, { maxFrame: size })
    await measure(run, {
      bench: 'length-prefix, encode',
      name: 'tunpipe',
      params,
      unit,
      run () {
        for (let i = 0; i < 32; i++) encoder.push(batch)
        return 32 * batch.length
      }
    }, {
      name: 'naive',
      run () {
        for (let i = 0; i < 32; i++) Buffer.concat(batch.flatMap((frame) => [lengthEncoder(frame.length), frame]))
        return 32 * batch.length
      }
    }, {
      name: 'it-length-prefixed',
      run () {
        for (let i = 0; i < 32; i++) Buffer.concat([...encode(batch, { lengthEncoder })])
        return 32 * batch.length
      }
    })
  }
}

/** Single bytes are the worst that a sender can do; with small frames, most of them cut a length or end a frame. */
async function singleBytes (run: Run): Promise<void> {
  for (const size of [1, 16384]) {
    const params = { size }
    const frame = Buffer.alloc(4 + size)
    frame.writeUInt32BE(size)
    const wire = Buffer.concat(Array(Math.ceil(16384 / frame.length)).fill(frame))
    const bytes = Array.from(wire, (_, at) => wire.subarray(at, at + 1))
    const decoder = new LengthPrefixDecoder(u32be)
    const rival = naive()
    await measure(run, {
      bench: 'length-prefix, decode single bytes',
      name: 'tunpipe',
      params,
      unit: 'byte',
      run () {
        for (const byte of bytes) decoder.push([byte])
        return bytes.length
      }
    }, {
      name: 'naive',
      run () {
        for (const byte of bytes) rival(byte)
        return bytes.length
      }
    })
  }
}

export async function lengthPrefixBench (run: Run): Promise<void> {
  await wholeReads(run)
  await singleBytes(run)
}

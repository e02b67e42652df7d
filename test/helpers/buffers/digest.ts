/** Masks, takes masks off and cuts in lent memory; prints a digest of what comes of it, and whether SIMD functions reached that memory. */
import { createHash } from 'node:crypto'
import { acquire } from '../../../src/buffers/buffer-pool.ts'
import { simdMemory, simdOf } from '../../../src/buffers/simd/memory.ts'
import { applyMask, maskWayOf } from '../../../src/transforms/websocket-frames/mask.ts'
import { FrameDecoder, FrameEncoder } from '../../../src/transforms/websocket-frames/index.ts'
import { cut } from '../../../src/tun/offload/cut.ts'
import type { Batch } from '../../../src/types.ts'
import { largeOf } from '../tun/packets.ts'

const bytes = (length: number): Uint8Array => new Uint8Array(length).map((_, i) => i * 13 + (i >> 7))
const hash = createHash('sha256')

const [wire] = new FrameEncoder('client', (length) => acquire(length, true)).push([1, 7, 64, 1373, 40_000].map(bytes))
const isReached = simdOf(wire.buffer) !== undefined
for (const message of new FrameDecoder({ role: 'server' }).push([wire])) hash.update(message)

const frame = acquire(20_000, true)
frame.set(bytes(20_000))
applyMask(frame, 3, 19_998, 0x81234567 | 0, maskWayOf(frame))
hash.update(frame)

const { packet, header } = largeOf({ payload: bytes(60_001) }, 1360)
const memory = new Uint8Array(simdMemory(6 * 64 * 1024) ?? new ArrayBuffer(6 * 64 * 1024))
memory.set(packet, 16)
let used = packet.length + 16
const packets: Batch = []
const room = (length: number): Uint8Array => {
  used += length
  return memory.subarray(used - length, used)
}
cut(memory.subarray(16, used), header, room, packets)
for (const each of packets) hash.update(each)

console.log(JSON.stringify({ isReached, digest: hash.digest('hex') }))

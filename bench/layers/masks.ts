/**
 * Masks of WebSocket frames, one behind the other as in a read: ways of putting them on, which is the same as taking them off. The
 * first two are in use, each for memory of its kind.
 */
import { PAGE, simdMemory, simdOf } from '../../src/buffers/simd/memory.ts'
import type { Simd } from '../../src/buffers/simd/functions.ts'
import { applyMask, maskWayOf } from '../../src/transforms/websocket-frames/mask.ts'
import { measure } from '../lib/harness.ts'
import type { Run } from '../lib/run.ts'

const READ = 64 * 1024
const HEADER = 8

const reached = new Uint8Array(simdMemory(PAGE) as ArrayBuffer)
const scratch = new Uint8Array(simdMemory(PAGE) as ArrayBuffer)
const simd = simdOf(scratch.buffer) as Simd
const other = new Uint8Array(READ)

type Apply = (bytes: Uint8Array, from: number, to: number, key: number) => void

function oneByte (bytes: Uint8Array, from: number, to: number, key: number): void {
  const keys = [key >>> 24, key >>> 16 & 0xff, key >>> 8 & 0xff, key & 0xff]
  for (let i = 0; i < to - from; i++) bytes[from + i] ^= keys[i & 3]
}

const keyBytes = new DataView(new ArrayBuffer(8))
const keyWord = new BigUint64Array(keyBytes.buffer)

/** Eight bytes a step; `masks` is the buffer behind, made once for all frames in it. */
function bigWords (bytes: Uint8Array, from: number, to: number, key: number, masks: BigUint64Array): void {
  const lead = Math.min(-(bytes.byteOffset + from) & 7, to - from)
  oneByte(bytes, from, from + lead, key)
  const turned = lead & 3 // the key has turned by as much
  const start = turned === 0 ? key : key << 8 * turned | key >>> 32 - 8 * turned
  keyBytes.setInt32(0, start)
  keyBytes.setInt32(4, start)
  const word = keyWord[0]
  const count = (to - from - lead) >>> 3
  const first = (bytes.byteOffset + from + lead) >>> 3
  for (let i = first; i < first + count; i++) masks[i] ^= word
  oneByte(bytes, from + lead + 8 * count, to, start)
}

/** Words of a DataView, which needs no alignment. */
function dataView (bytes: Uint8Array, from: number, to: number, key: number, view: DataView): void {
  let at = from
  for (const end = to - 3; at < end; at += 4) view.setInt32(at, view.getInt32(at) ^ key)
  oneByte(bytes, at, to, key)
}

/** Of any memory: to that of WebAssembly and back. */
function there (bytes: Uint8Array, from: number, to: number, key: number): void {
  scratch.set(bytes.subarray(from, to))
  applyMask(scratch, 0, to - from, key, simd.mask)
  bytes.set(scratch.subarray(0, to - from), from)
}

/** All frames of a read at once. */
function thereAtOnce (bytes: Uint8Array, frames: number[], size: number): void {
  scratch.set(bytes)
  for (const at of frames) applyMask(scratch, at, at + size, KEY, simd.mask)
  bytes.set(scratch)
}

const KEY = 0x1b2c3d4e
const big = new BigUint64Array(other.buffer)
const view = new DataView(other.buffer)

export async function masksBench (run: Run): Promise<void> {
  for (const size of [16, 64, 1400]) {
    const frames = Array.from({ length: Math.floor(READ / (size + HEADER)) }, (_, i) => HEADER + i * (size + HEADER))
    const each = (bytes: Uint8Array, apply: Apply) => (): Uint8Array => {
      for (const at of frames) apply(bytes, at, at + size, KEY)
      return bytes
    }
    const inUse = (bytes: Uint8Array) => (): Uint8Array => {
      const way = maskWayOf(bytes)
      for (const at of frames) applyMask(bytes, at, at + size, KEY, way)
      return bytes
    }
    const candidates: Record<string, () => Uint8Array> = {
      'in use, WebAssembly in its memory': inUse(reached),
      'in use, words': inUse(other),
      'one byte': each(other, oneByte),
      BigUint64Array: each(other, (bytes, from, to, key) => { bigWords(bytes, from, to, key, big) }),
      DataView: each(other, (bytes, from, to, key) => { dataView(bytes, from, to, key, view) }),
      'WebAssembly, frame by frame there and back': each(other, there),
      'WebAssembly, all of a read there and back': () => {
        thereAtOnce(other, frames, size)
        return other
      }
    }
    const [ours, ...others] = Object.entries(candidates).map(([name, run]) => {
      const bytes = run === candidates['in use, WebAssembly in its memory'] ? reached : other
      const wanted = Uint8Array.from(bytes.fill(0x55))
      for (const at of frames) oneByte(wanted, at, at + size, KEY)
      if (!Buffer.from(run()).equals(wanted)) throw new Error(`${name} is wrong`)
      return {
        name,
        run () {
          for (let i = 0; i < 16; i++) run()
          return 16 * frames.length
        }
      }
    })
    await measure(run, { bench: 'masks', params: { size }, unit: 'frame', ...ours }, ...others)
  }
}

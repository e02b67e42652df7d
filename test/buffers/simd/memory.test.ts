/** What WebAssembly does to memory, against the plainest way to the same; how much there is of such memory, and that all goes without. */
import { fileURLToPath } from 'node:url'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { random } from '../../helpers/bytes.ts'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'
import { startCommand } from '../../helpers/programs/program.ts'
import { MODULE, type Simd } from '../../../src/buffers/simd/functions.ts'
import { PAGE, simdMemory, simdOf } from '../../../src/buffers/simd/memory.ts'

const memory = simdMemory(4 * PAGE) as ArrayBuffer
const simd = simdOf(memory) as Simd
const all = new Uint8Array(memory)
const TARGET = 2 * PAGE

/** The sum of words that begin with their low byte. */
const plainSum = (bytes: Uint8Array): number => bytes.reduce((sum, byte, i) => sum + ((i & 1) === 0 ? byte : byte * 256), 0)

/** Tries everything on these bytes at this address; anything but them, and the copy, has to stay as it is. */
function check (bytes: Uint8Array, from: number, at: number, key: number): boolean {
  const to = from + bytes.length
  const around = (start: number, length: number): Buffer => Buffer.from(memory, start - 16, length + 32)
  const fill = (): void => {
    around(from, bytes.length).fill(0xa5)
    around(at, bytes.length).fill(0x5a)
    all.set(bytes, from)
  }
  const isOnly = (start: number, byte: number, wanted: Uint8Array): boolean =>
    around(start, bytes.length).equals(Buffer.concat([Buffer.alloc(16, byte), wanted, Buffer.alloc(16, byte)]))
  fill()
  if (simd.sum(from, to) >>> 0 !== plainSum(bytes)) return false
  if (simd.copySum(from, to, at) >>> 0 !== plainSum(bytes) || !isOnly(at, 0x5a, bytes) || !isOnly(from, 0xa5, bytes)) return false
  simd.mask(from, to, key)
  return isOnly(from, 0xa5, bytes.map((byte, i) => byte ^ key >>> 8 * (i & 3))) && isOnly(at, 0x5a, bytes)
}

t.test('every length at every alignment', async (t) => {
  const below = random(3)
  let wrong = 0
  for (let length = 0; length <= 300; length++) {
    for (let lead = 0; lead < 17; lead++) {
      if (!check(new Uint8Array(length).map(() => below(256)), 16 + lead, TARGET + below(17), below(0x1_0000_0000) | 0)) wrong++
    }
  }
  t.equal(wrong, 0)
})

t.test('large ones, and those with the largest sums', async (t) => {
  for (const length of [1360, 1361, 65_535, 65_536, 65_537]) {
    t.ok(check(new Uint8Array(length).map((_, i) => i * 7 + (i >> 8)), 17, TARGET + 16, 0x01020384), `${length} bytes`)
    t.ok(check(new Uint8Array(length).fill(0xff), 17, TARGET + 19, -1), `${length} bytes of 0xff`)
  }
  all.fill(0xff)
  t.equal(simd.sum(0, 2 * PAGE) >>> 0, PAGE * 0xffff, 'as much as a sum can be of')
})

t.test('property: any bytes, anywhere', async (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), fc.integer({ min: 16, max: PAGE }), fc.integer({ min: TARGET, max: TARGET + PAGE }), fc.integer(), check), { numRuns: 2000 })
})

t.test('beyond the memory there is nothing to be read or written', async (t) => {
  const { RuntimeError } = (globalThis as any).WebAssembly
  t.throws(() => simd.sum(all.length - 8, all.length + 8), RuntimeError)
  t.throws(() => { simd.mask(-16, 0, 1) }, RuntimeError)
})

t.test('other memory is not reached', async (t) => {
  t.equal(simdOf(new ArrayBuffer(PAGE)), undefined)
  t.equal(simdOf(Buffer.alloc(10).buffer), undefined)
  t.ok((globalThis as any).WebAssembly.validate(MODULE))
})

t.test('there are so many pieces at one time, and those that nobody has any more make room', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  await t.test('', async (t) => {
    const pieces = new Set<ArrayBuffer>()
    for (let piece; (piece = simdMemory(PAGE)) !== undefined;) pieces.add(piece)
    t.ok(pieces.size > 10 && pieces.size < 64, `${pieces.size} pieces`)
  })
  let again
  for (let turns = 0; turns < 1000 && again === undefined; turns++) {
    gc()
    await nextTurn()
    again = simdMemory(PAGE)
  }
  t.ok(again !== undefined)
})

t.test('all goes without, and is the same', async (t) => {
  const hasLimits = process.platform === 'linux'
  const script = fileURLToPath(new URL('../../helpers/buffers/digest.ts', import.meta.url))
  const digest = async (before: string, ...flags: string[]): Promise<any> => {
    const { code, stdout, stderr } = await startCommand(t, 'sh', ['-c', `${before} && exec "$@"`, 'sh', process.execPath, ...flags, ...STRIP_TYPES, script]).ended
    t.equal(code, 0, stderr)
    return JSON.parse(stdout)
  }
  const own = ('typescript' in process.features && process.features.typescript) ? ['--no-experimental-strip-types'] : [] // newer Nodes strip types by WebAssembly
  const [withSimd, without, bounded] = await Promise.all([digest('true'), digest('true', '--jitless', ...own), digest(hasLimits ? 'ulimit -v 100000000' : 'true')])
  t.equal(withSimd.isReached, true)
  t.equal(without.isReached, false, 'this Node is told to have no WebAssembly')
  t.equal(bounded.isReached, !hasLimits, 'there are not many addresses')
  t.equal(without.digest, withSimd.digest)
  t.equal(bounded.digest, withSimd.digest)
})

/** Functions that process memory sixteen bytes at a time. Addresses need no alignment. */
import { again, assemble, type Code, end as done, i32, i32x4, local, loop, v128, when } from './assembler.ts'

/** The functions of one memory. Addresses are offsets in it; ranges are not checked. */
export interface Simd {
  /** XORs `[from, to)` with the four bytes of a key over and over; the key as a number whose lowest byte is the first. */
  readonly mask: (from: number, to: number, key: number) => void
  /** Adds 16-bit words of `[from, to)` whose first byte is the low one; an odd last byte is the low half of a word. For at most 128 KiB. */
  readonly sum: (from: number, to: number) => number
  /** Copies `[from, to)` to `at`, which must not overlap it, and adds its words like `sum`. */
  readonly copySum: (from: number, to: number, at: number) => number
}

/** Loops over `[from, to)` in steps of `bytes`, as long as a whole step is left. */
function steps (bytes: number, from: number, to: number, body: readonly Code[]): Code[] {
  return [
    loop,
    local.get(from), i32.const(bytes), i32.add, local.get(to), i32.leU,
    when, ...body, ...advance(from, bytes), again(1), done,
    done
  ]
}

const advance = (address: number, bytes: number): Code[] => [local.get(address), i32.const(bytes), i32.add, local.set(address)]

const [FROM, TO] = [0, 1]

function mask (): Code[] {
  const [KEY, KEYS] = [2, 3]
  return [
    local.get(KEY), i32x4.splat, local.set(KEYS),
    ...steps(16, FROM, TO, [local.get(FROM), local.get(FROM), v128.load, local.get(KEYS), v128.xor, v128.store]),
    ...steps(4, FROM, TO, [local.get(FROM), local.get(FROM), i32.load, local.get(KEY), i32.xor, i32.store]),
    ...steps(1, FROM, TO, [
      local.get(FROM), local.get(FROM), i32.load8u, local.get(KEY), i32.xor, i32.store8,
      local.get(KEY), i32.const(8), i32.rotr, local.set(KEY)
    ])
  ]
}

/** Adds what is on the stack to a local. */
const addTo = (total: number): Code[] => [local.get(total), i32.add, local.set(total)]
const addLanesTo = (totals: number): Code[] => [i32x4.extaddPairwiseI16x8U, local.get(totals), i32x4.add, local.set(totals)]
const lanes = (totals: number): Code[] => [0, 1, 2, 3].flatMap((lane) => [local.get(totals), i32x4.extractLane(lane), ...(lane > 0 ? [i32.add] : [])])

function sum (): Code[] {
  const [LANES, TOTAL] = [2, 3]
  return [
    ...steps(16, FROM, TO, [local.get(FROM), v128.load, ...addLanesTo(LANES)]),
    ...lanes(LANES), local.set(TOTAL),
    ...steps(2, FROM, TO, [local.get(FROM), i32.load16u, ...addTo(TOTAL)]),
    ...steps(1, FROM, TO, [local.get(FROM), i32.load8u, ...addTo(TOTAL)]),
    local.get(TOTAL)
  ]
}

function copySum (): Code[] {
  const [AT, LANES, VECTOR, TOTAL, WORD] = [2, 3, 4, 5, 6]
  const copyWord = (load: Code, store: Code): Code[] =>
    [local.get(AT), local.get(FROM), load, local.tee(WORD), store, local.get(WORD), ...addTo(TOTAL)]
  return [
    ...steps(16, FROM, TO, [
      local.get(AT), local.get(FROM), v128.load, local.tee(VECTOR), v128.store,
      local.get(VECTOR), ...addLanesTo(LANES), ...advance(AT, 16)
    ]),
    ...lanes(LANES), local.set(TOTAL),
    ...steps(2, FROM, TO, [...copyWord(i32.load16u, i32.store16), ...advance(AT, 2)]),
    ...steps(1, FROM, TO, copyWord(i32.load8u, i32.store8)),
    local.get(TOTAL)
  ]
}

export const MODULE = assemble({
  mask: { parameters: 3, locals: ['v128'], body: mask() },
  sum: { parameters: 2, locals: ['v128', 'i32'], hasResult: true, body: sum() },
  copySum: { parameters: 3, locals: ['v128', 'v128', 'i32', 'i32'], hasResult: true, body: copySum() }
})

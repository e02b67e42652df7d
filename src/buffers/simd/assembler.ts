/**
 * A minimal WebAssembly assembler, for a few functions over one memory, so that no compiler is needed. WebAssembly core specification
 * 2.0, chapter 5 (binary format).
 */

/** Encoded instructions. */
export type Code = readonly number[]

/** Unsigned LEB128. */
function unsigned (value: number): number[] {
  return value < 0x80 ? [value] : [value & 0x7f | 0x80, ...unsigned(value >>> 7)]
}

/** Signed LEB128. */
function signed (value: number): number[] {
  return value >= -0x40 && value < 0x40 ? [value & 0x7f] : [value & 0x7f | 0x80, ...signed(value >> 7)]
}

/** The operands of a memory instruction: alignment 1, offset 0. */
const ANYWHERE = [0, 0]

const simd = (opcode: number, ...operands: number[]): Code => [0xfd, ...unsigned(opcode), ...operands]

const VOID = 0x40

export const end: Code = [0x0b]
export const loop: Code = [0x03, VOID]
export const when: Code = [0x04, VOID]
/** Branches to the start of the loop that is `blocks` labels further out. */
export const again = (depth: number): Code => [0x0c, depth]

export const local = {
  get: (index: number): Code => [0x20, index],
  set: (index: number): Code => [0x21, index],
  tee: (index: number): Code => [0x22, index]
} as const

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  load: [0x28, ...ANYWHERE],
  load8u: [0x2d, ...ANYWHERE],
  load16u: [0x2f, ...ANYWHERE],
  store: [0x36, ...ANYWHERE],
  store8: [0x3a, ...ANYWHERE],
  store16: [0x3b, ...ANYWHERE],
  ltU: [0x49],
  leU: [0x4d],
  add: [0x6a],
  xor: [0x73],
  rotr: [0x78]
} as const

export const v128 = {
  load: simd(0x00, ...ANYWHERE),
  store: simd(0x0b, ...ANYWHERE),
  xor: simd(0x51)
} as const

export const i32x4 = {
  splat: simd(0x11),
  extractLane: (lane: number): Code => simd(0x1b, lane),
  extaddPairwiseI16x8U: simd(0x7f),
  add: simd(0xae)
} as const

const TYPE = { i32: 0x7f, v128: 0x7b, function: 0x60 } as const

/** A function over the memory: number of i32 parameters, types of further locals, an i32 result or none. */
export interface Definition {
  parameters: number
  locals?: ReadonlyArray<'i32' | 'v128'>
  hasResult?: boolean
  body: readonly Code[]
}

const vector = (items: readonly Code[]): number[] => [...unsigned(items.length), ...items.flat()]
const sized = (bytes: readonly number[]): number[] => [...unsigned(bytes.length), ...bytes]
const text = (value: string): number[] => sized([...Buffer.from(value)])

const typeOf = ({ parameters, hasResult = false }: Definition): Code =>
  [TYPE.function, ...vector(Array.from({ length: parameters }, () => [TYPE.i32])), ...vector(hasResult ? [[TYPE.i32]] : [])]

const codeOf = ({ locals = [], body }: Definition): Code =>
  sized([...vector(locals.map((type) => [1, TYPE[type]])), ...body.flat(), ...end])

/** A module that imports its memory as `js.memory` and exports these functions. */
export function assemble (functions: Readonly<Record<string, Definition>>): Uint8Array {
  const definitions = Object.values(functions)
  const section = (id: number, items: readonly Code[]): number[] => [id, ...sized(vector(items))]
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // '\0asm', version 1
    ...section(1, definitions.map(typeOf)),
    ...section(2, [[...text('js'), ...text('memory'), 0x02, 0x00, 1]]), // a memory of one page or more
    ...section(3, definitions.map((_, i) => unsigned(i))), // one type for each function
    ...section(7, Object.keys(functions).map((name, i) => [...text(name), 0x00, ...unsigned(i)])),
    ...section(10, definitions.map(codeOf))
  ])
}

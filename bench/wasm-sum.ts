/** Adds the 16-bit words of a piece of memory in WebAssembly, eight at a time; put together by hand, so that no compiler is needed. */

/**
 * ```wat
 * (func (export "s") (param $at i32) (param $end i32) (result i32) (local $sums v128)
 *   (loop
 *     (local.set $sums (i32x4.add (local.get $sums) (i32x4.extadd_pairwise_i16x8_u (v128.load (local.get $at)))))
 *     (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))
 *   ;; the four sums, added up
 * )
 * ```
 */
const CODE = [
  '01 01 7b', // one local, v128
  '03 40 2002 2000 fd00 04 00 fd7f fdae01 2102', // loop: loads, adds neighbours, adds
  '2000 41 10 6a 2200 2001 49 0d 00 0b', // the next 16 bytes, until the end
  '2002 fd1b00 2002 fd1b01 6a 2002 fd1b02 6a 2002 fd1b03 6a 0b' // the sum of the four
]

const bytesOf = (...lines: string[]): Buffer => Buffer.from(lines.join('').replaceAll(' ', ''), 'hex')

const code = bytesOf(...CODE)

const MODULE = Buffer.concat([
  bytesOf('0061736d 01000000'), // WebAssembly, version 1
  bytesOf('01 07 01 60 02 7f7f 01 7f'), // a type: two i32, and an i32 for it
  bytesOf('02 08 01 016d 016d 02 00 01'), // imports the memory "m" "m" of one page or more
  bytesOf('03 02 01 00'), // a function of that type
  bytesOf('07 05 01 0173 00 00'), // exported as "s"
  Buffer.of(0x0a, code.length + 2, 1, code.length), code
])

/** Node has it; TypeScript knows it only where there is a browser. */
const { WebAssembly } = globalThis as any

export const newMemory = (pages: number): { buffer: ArrayBuffer } => new WebAssembly.Memory({ initial: pages })

/** @returns a function that adds the words of `[at, end)` of this memory as the machine has them; a multiple of 16 bytes */
export function wasmSum (memory: { buffer: ArrayBuffer }): (at: number, end: number) => number {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(MODULE), { m: { m: memory } })
  return exports.s as (at: number, end: number) => number
}

/** Output of a shell of which one sees what is missing: lines of 19 digits, each one more than the one before. */
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

const FIRST = 10n ** 18n

/** Bytes of a line, with its end. */
export const LINE_BYTES = 20

const NEWLINE = 10
const ZERO = 48

/** Milliseconds after which an end that has not spoken has nothing more to say. */
const PATIENCE = 15_000

/** Behind the last line. */
const END = Buffer.from('END')

const numberOf = (line: number): string => String(FIRST + BigInt(line))

/** Makes a terminal that changes nothing, and a shell without a prompt. It says `READY`. */
export const QUIET = "stty -echo -opost; PS1=; echo REA''DY\n"

/** A command that writes so many lines at full speed. */
export const linesAtOnce = (count: number): string => `echo BEG''IN; seq ${numberOf(0)} ${numberOf(count - 1)}; echo EN''D\n`

/** A command that writes blocks of lines, with a pause of 100 ms behind each. */
export const linesInBlocks = (blocks: number, size: number): string =>
  `echo BEG''IN; i=0; while [ $i -lt ${blocks} ]; do seq $((${numberOf(0)} + i * ${size})) $((${numberOf(size - 1)} + i * ${size})); sleep 0.1; i=$((i + 1)); done; echo EN''D\n`

/** The digest of so many lines. */
export function digestOfLines (count: number): string {
  const digest = createHash('sha256')
  const AT_ONCE = 10_000
  for (let line = 0; line < count; line += AT_ONCE) digest.update(Array.from({ length: Math.min(AT_ONCE, count - line) }, (_, i) => `${numberOf(line + i)}\n`).join(''))
  return digest.digest('hex')
}

/** Takes such output, and finds the places where something is missing. */
export class NumberedLines {
  /** Lines that were whole. */
  count = 0
  /** What was found in place of the next line. */
  readonly gaps: string[] = []
  /** Settles at the end of the output. */
  readonly ended: Promise<void>
  readonly #digest = createHash('sha256')
  #rest: Buffer = Buffer.alloc(0)
  #next = 0
  #end: () => void = () => {}

  constructor () {
    this.ended = new Promise((resolve) => { this.#end = resolve })
  }

  push (chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    for (;;) {
      const end = bytes.indexOf(NEWLINE, at)
      if (end < 0) break
      this.#line(bytes.subarray(at, end + 1))
      at = end + 1
    }
    this.#rest = Buffer.from(bytes.subarray(at))
  }

  /** Of all that came up to the end. */
  digest (): string { return this.#digest.digest('hex') }

  #line (line: Buffer): void {
    if (line.subarray(0, -1).equals(END)) return this.#end()
    this.#digest.update(line)
    const number = line.length === LINE_BYTES ? digits(line) : undefined
    if (number === this.#next) {
      this.count++
      this.#next++
      return
    }
    this.gaps.push(`${this.#next}: ${line.toString('latin1', 0, 40).trimEnd()}`)
    if (number !== undefined) this.#next = number + 1
  }
}

/** Waits for the end of output, or for nothing more to come: the originals may have dropped just that. */
export async function endOf (lines: NumberedLines): Promise<string> {
  for (let count = -1; ;) {
    if (await Promise.race([lines.ended.then(() => true), delay(PATIENCE, false)])) return 'whole'
    const now = lines.count + lines.gaps.length
    if (now === count) return 'its end is missing'
    count = now
  }
}

/** The number of a line without its first digit; undefined when it is none. */
function digits (line: Buffer): number | undefined {
  let number = 0
  for (let i = 1; i < LINE_BYTES - 1; i++) {
    const digit = line[i] - ZERO
    if (digit < 0 || digit > 9) return undefined
    number = number * 10 + digit
  }
  return number
}

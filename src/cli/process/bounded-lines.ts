/** What the programs write, to a reader that may stall: lines wait up to a bound, and the rest is dropped and counted. */
import type { Writable } from 'node:stream'

/** Bytes that wait in this process for each of the two; a pipe of Linux holds 64 KiB of its own before that. */
const MAX_QUEUED_BYTES = 1024 * 1024

/** What a write that waits costs beside its bytes. */
const COST_OF_WRITE = 512

export interface BoundedLinesInit {
  /** The line that tells of lines dropped. */
  notice (dropped: number): string
  /** Bytes. Default: 1 MiB. */
  limit?: number
}

export class BoundedLines {
  /** May be replaced by that of a form that is known later. */
  notice: BoundedLinesInit['notice']
  readonly #stream: () => Writable
  readonly #limit: number
  #waiting = 0
  #untold = 0
  #dropped = 0

  /** @param stream is asked for at each line, so that nothing is opened before there is one */
  constructor (stream: () => Writable, { notice, limit = MAX_QUEUED_BYTES }: BoundedLinesInit) {
    this.notice = notice
    this.#stream = stream
    this.#limit = limit
  }

  /** Lines ever. */
  get dropped (): number { return this.#dropped }

  /** A line with its end. */
  write (line: string): void {
    this.#tell()
    if (this.#untold === 0 && this.#put(line)) return
    this.#dropped++
    this.#untold++
  }

  /** In its place among the lines, once half of the room is free again: not after each line that a slow reader takes. */
  #tell (): void {
    if (this.#untold === 0 || this.#waiting > this.#limit / 2) return
    const notice = this.notice(this.#untold)
    this.#untold = 0
    this.#put(notice)
  }

  #put (line: string): boolean {
    const cost = Buffer.byteLength(line) + COST_OF_WRITE
    if (this.#waiting + cost > this.#limit) return false
    this.#waiting += cost
    this.#stream().write(line, () => {
      this.#waiting -= cost
      this.#tell()
    })
    return true
  }
}

const WHY = 'whoever reads them is too slow'

/** In the form of the log, so that whoever reads JSON lines can read it. */
export const stderrLines = new BoundedLines(() => process.stderr, {
  notice: (dropped) => `${JSON.stringify({ level: 40, time: Date.now(), pid: process.pid, dropped, msg: `log lines dropped: ${WHY}` })}\n`
})

export const textNotice = (dropped: number): string => `dropped ${dropped} lines: ${WHY}\n`
export const jsonNotice = (dropped: number): string => `${JSON.stringify({ event: 'dropped', lines: dropped, reason: WHY })}\n`

export const stdoutLines = new BoundedLines(() => process.stdout, { notice: textNotice })

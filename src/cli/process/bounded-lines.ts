/** Output lines for a reader that may stall: lines are queued up to a bound; further ones are dropped and counted. */
import type { Writable } from 'node:stream'

/** Bytes queued in this process for each of stdout and stderr, beside the 64 KiB of a Linux pipe. */
const MAX_QUEUED_BYTES = 1024 * 1024

/** Bytes that a queued write takes beside its text. */
const COST_OF_WRITE = 512

export interface BoundedLinesInit {
  /** The line that reports dropped lines. */
  notice (dropped: number): string
  /** Bytes. Default: 1 MiB. */
  limit?: number
}

export class BoundedLines {
  /** May be replaced once the output format is known. */
  notice: BoundedLinesInit['notice']
  readonly #stream: () => Writable
  readonly #limit: number
  #waiting = 0
  #unreported = 0
  #dropped = 0

  /** @param stream called for each line, so that the stream is not opened before the first one */
  constructor (stream: () => Writable, { notice, limit = MAX_QUEUED_BYTES }: BoundedLinesInit) {
    this.notice = notice
    this.#stream = stream
    this.#limit = limit
  }

  /** Lines dropped since the start. */
  get dropped (): number { return this.#dropped }

  /** Writes a line, which includes its line end. */
  write (line: string): void {
    this.#report()
    if (this.#unreported === 0 && this.#put(line)) return
    this.#dropped++
    this.#unreported++
  }

  /** Reports dropped lines where they are missing, once half of the queue is free: not after each line that a slow reader takes. */
  #report (): void {
    if (this.#unreported === 0 || this.#waiting > this.#limit / 2) return
    const notice = this.notice(this.#unreported)
    this.#unreported = 0
    this.#put(notice)
  }

  #put (line: string): boolean {
    const cost = Buffer.byteLength(line) + COST_OF_WRITE
    if (this.#waiting + cost > this.#limit) return false
    this.#waiting += cost
    this.#stream().write(line, () => {
      this.#waiting -= cost
      this.#report()
    })
    return true
  }
}

const WHY = 'whoever reads them is too slow'

/** In the format of the log, for readers of JSON lines. */
export const stderrLines = new BoundedLines(() => process.stderr, {
  notice: (dropped) => `${JSON.stringify({ level: 40, time: Date.now(), pid: process.pid, dropped, msg: `log lines dropped: ${WHY}` })}\n`
})

export const textNotice = (dropped: number): string => `dropped ${dropped} lines: ${WHY}\n`
export const jsonNotice = (dropped: number): string => `${JSON.stringify({ event: 'dropped', lines: dropped, reason: WHY })}\n`

export const stdoutLines = new BoundedLines(() => process.stdout, { notice: textNotice })

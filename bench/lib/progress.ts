/** How far a bench is: one line that is written anew on a terminal, otherwise a line for each case. */

/** Of `process.stderr`. */
export interface Output {
  isTTY?: boolean
  columns?: number
  write (text: string): unknown
}

export interface Step {
  group: string
  name: string
  /** Whose turn it is. */
  of?: string
  round: number
  rounds: number
}

/** Back to the start of the line, and nothing left of it. */
const CLEAR = '\r\u001b[K'

export class Progress {
  readonly #output: Output
  readonly #start: number
  readonly #now: () => number
  #title = ''

  /** @param now milliseconds */
  constructor (output: Output, now = () => performance.now()) {
    this.#output = output
    this.#now = now
    this.#start = now()
  }

  /** Seconds since the start. */
  get elapsed (): number { return Math.round((this.#now() - this.#start) / 1000) }

  step ({ group, name, of, round, rounds }: Step): void {
    const title = `${group}: ${name}`
    if (this.#output.isTTY === true) {
      const line = `${this.elapsed} s  round ${round} of ${rounds}  ${title}${of === undefined ? '' : `: ${of}`}`
      this.#output.write(CLEAR + line.slice(0, (this.#output.columns || 80) - 1)) // a full line would wrap, and stay; some terminals say that they have no columns
    } else if (title !== this.#title) {
      this.#output.write(`${this.elapsed} s  ${title}, ${rounds === 1 ? 'one round' : `${rounds} rounds`}\n`)
    }
    this.#title = title
  }

  /** Something that stays. */
  say (text: string): void {
    this.clear()
    this.#output.write(`${text}\n`)
  }

  /** Makes room for what others write. */
  clear (): void {
    if (this.#output.isTTY === true) this.#output.write(CLEAR)
  }
}

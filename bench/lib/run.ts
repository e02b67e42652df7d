/** One group while it runs: takes turns, tells how far it is, and keeps the rows. */
import { reason } from '../../src/cli/reason.ts'
import type { Step } from './progress.ts'
import { rowsOf, type Case, type Entry, type LeftOut, type Row } from './row.ts'

export interface RunInit {
  group: string
  /** Everything and in more rounds, not the quick way. */
  full: boolean
  /** How many rounds, in the place of what the group thinks right. */
  rounds?: number
  /** Told before each is measured. */
  watch: (step: Step) => void
  /** Gets each row, and each that could not be, as soon as it is known. */
  tell: (row: Row | LeftOut) => void
}

export interface Turns {
  rounds: number
  /** Rounds before those that count. Default: 0. */
  warmUps?: number
}

export class Run {
  readonly full: boolean
  readonly rows: Row[] = []
  readonly leftOut: LeftOut[] = []
  readonly #init: RunInit

  constructor (init: RunInit) {
    this.#init = init
    this.full = init.full
  }

  /** How many rounds count. */
  rounds (quick: number, full: number): number {
    return this.#init.rounds ?? (this.full ? full : quick)
  }

  /**
   * Measures one after another, and all of them again in the next round, so that a slower moment of the machine meets all. Who
   * fails once takes no further turns, and has no figures.
   *
   * @returns for each subject what was measured of it, round by round
   */
  async inTurn<S extends { name: string }, T> (name: string, { rounds, warmUps = 0 }: Turns, subjects: readonly S[], measure: (subject: S) => T | Promise<T>): Promise<T[][]> {
    const results = subjects.map((): T[] => [])
    const failed = new Set<S>()
    for (let turn = -warmUps; turn < rounds; turn++) {
      for (const [i, subject] of subjects.entries()) {
        if (failed.has(subject)) continue
        this.#init.watch({ group: this.#init.group, name, of: subject.name, round: turn + warmUps + 1, rounds: rounds + warmUps })
        try {
          const result = await measure(subject)
          if (turn >= 0) results[i].push(result)
        } catch (err) {
          failed.add(subject)
          results[i] = []
          this.fail(`${name}: ${subject.name}`, err)
        }
      }
    }
    return results
  }

  add (what: Case, entries: Entry[]): void {
    const broken = entries.filter(({ values }) => !values.every(Number.isFinite))
    for (const { of } of broken) this.fail(`${what.name}: ${of}`, 'what was measured is no number')
    for (const row of rowsOf(this.#init.group, what, entries.filter((entry) => !broken.includes(entry)))) {
      this.rows.push(row)
      this.#init.tell(row)
    }
  }

  /** Something that this machine cannot do, or that nobody has asked for. */
  leaveOut (of: string, why: string): void {
    this.#leave({ group: this.#init.group, of, why, failed: false })
  }

  /** Something that should have worked. */
  fail (of: string, err: unknown): void {
    this.#leave({ group: this.#init.group, of, why: reason(err), failed: true })
  }

  #leave (left: LeftOut): void {
    this.leftOut.push(left)
    this.#init.tell(left)
  }
}

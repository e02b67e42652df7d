/** Measures one case after another and prints a JSON line for each. */
import { report, type Row, type Summary } from './table.ts'

export interface Case {
  /** The file, say; with `name` it tells what a line is about. */
  bench: string
  name: string
  /** What was varied: sizes, counts. Printed along. */
  params?: Record<string, number | string>
  /** What `run` counts. Figures are these a second. Default: `op`. */
  unit?: string
  /** Does a slice of the work, best a tenth of a millisecond or more, and returns how many units that was. */
  run: () => number | Promise<number>
}

/** Everything that was measured in this process, for a table. */
export const measured: Row[] = []

const ROUNDS = 5

/** Length of a round in milliseconds; `BENCH_MS=1000` for steadier figures. */
const ROUND_MS = Number(process.env.BENCH_MS ?? 200)

async function round (run: Case['run']): Promise<number> {
  const start = performance.now()
  let units = 0
  let elapsed = 0
  do {
    const done = run()
    units += typeof done === 'number' ? done : await done // no promise where there is none
    elapsed = performance.now() - start
  } while (elapsed < ROUND_MS)
  return units / elapsed * 1000
}

/** Warms up, takes the median of five rounds, prints and returns it with the extremes. */
export async function measure ({ bench, name, params = {}, unit = 'op', run }: Case): Promise<Summary> {
  await round(run)
  const rates: number[] = []
  for (let i = 0; i < ROUNDS; i++) rates.push(Math.round(await round(run)))
  return report(measured, bench, name, params, rates, `${unit}/s`)
}

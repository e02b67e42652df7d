/** Measures the cores of layers: how much work of a kind is done in a second. */
import type { Run } from './run.ts'

/** What does the work. */
export interface Candidate {
  /** The file, say. */
  bench: string
  /** Who does it. */
  name: string
  /** What was varied: sizes, counts. */
  params?: Record<string, number | string>
  /** What `run` counts. Figures are these a second. Default: `op`. */
  unit?: string
  /** Does a slice of the work, best a tenth of a millisecond or more, and returns how many units that was. */
  run: () => number | Promise<number>
}

async function round (run: Candidate['run'], milliseconds: number): Promise<number> {
  const start = performance.now()
  let units = 0
  let elapsed = 0
  do {
    const done = run()
    units += typeof done === 'number' ? done : await done // no promise where there is none
    elapsed = performance.now() - start
  } while (elapsed < milliseconds)
  return units / elapsed * 1000
}

/** Warms up, and measures in turn. The first is ours, and is compared with each of the others. */
export async function measure (run: Run, ours: Candidate, ...rivals: Array<Pick<Candidate, 'name' | 'run'>>): Promise<void> {
  const { bench, params = {}, unit = 'op' } = ours
  const name = [bench, ...Object.entries(params).map(([key, value]) => typeof value === 'number' ? `${key} ${value}` : value)].join(', ')
  const all = [ours, ...rivals]
  const milliseconds = run.full ? 200 : 40
  const rates = await run.inTurn(name, { rounds: run.rounds(3, 5), warmUps: 1 }, all, (candidate) => round(candidate.run, milliseconds))
  const against = rivals.map((rival) => rival.name)
  run.add({ name, unit: `${unit}/s` }, all.map(({ name }, i) => ({ of: name, ours: i === 0, values: rates[i], against: i === 0 ? against : [] })))
}

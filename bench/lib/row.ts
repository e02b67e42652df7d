/** One figure of a bench, and what it is made from. */

/** What was measured, the same for everybody who is compared in it. */
export interface Case {
  /** Sizes and counts included, as `forwarded, packets of 64 B, 1 pair`. */
  name: string
  /** Of every figure, as `Gbit/s`. */
  unit: string
  lessIsBetter?: boolean
}

/** What one who took part has reached. */
export interface Entry {
  /** Who. */
  of: string
  /** One for each round. None when that has failed, which is told elsewhere. */
  values: number[]
  /** Part of this project. Default: false. */
  ours?: boolean
  /** Whether what went over a network was encrypted; left out where there is no network. */
  encrypted?: boolean
  /** Who of the same case to compare with, the most alike first. */
  against?: string[]
}

/** A figure in relation to that of somebody else: medians and extremes of what was divided round by round. */
export interface Ratio extends Summary {
  rival: string
}

export interface Summary {
  value: number
  min: number
  max: number
}

export interface Row extends Case, Summary {
  group: string
  of: string
  ours: boolean
  encrypted?: boolean
  rounds: number
  ratios: Ratio[]
}

/** What is not among the rows, and why. */
export interface LeftOut {
  group: string
  /** What or who. */
  of: string
  why: string
  /** It was tried, and went wrong. */
  failed: boolean
}

/** Who takes part in a case. */
export type Contestant = Pick<Entry, 'ours' | 'encrypted'> & { name: string }

/** What each has reached, round by round; ours are compared with all the others. */
export function beside (contestants: readonly Contestant[], figures: number[][]): Entry[] {
  const others = contestants.filter(({ ours }) => ours !== true).map(({ name }) => name)
  return contestants.map(({ name, ours, encrypted }, i) => ({ of: name, ours, encrypted, values: figures[i], against: ours === true ? others : [] }))
}

/** Figures are not more precise than that. */
const round = (value: number): number => Number(value.toPrecision(4))

/** The median of some figures, of which there is at least one, with the lowest and the highest. */
export function summary (values: number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
  return { value: round(middle), min: round(sorted[0]), max: round(sorted[sorted.length - 1]) }
}

/** The rows of a case. A rival that has no figures, or zero, is not compared with. */
export function rowsOf (group: string, { name, unit, lessIsBetter }: Case, entries: Entry[]): Row[] {
  return entries.filter(({ values }) => values.length > 0).map(({ of, values, ours = false, encrypted, against = [] }) => {
    const ratios = against.flatMap((rival) => {
      const other = entries.find((entry) => entry.of === rival)?.values ?? []
      const quotients = values.map((value, i) => value / other[i]).filter(Number.isFinite)
      return quotients.length > 0 ? [{ rival, ...summary(quotients) }] : []
    })
    return { group, name, of, ours, encrypted, ...summary(values), unit, lessIsBetter, rounds: values.length, ratios }
  })
}

/**
 * A line for programs.
 *
 * @param about what all lines have in common
 */
export function jsonLine (line: Row | LeftOut, about: object): string {
  if ('why' in line) return JSON.stringify({ ...line, ...about })
  const { ratios, ...rest } = line
  const [first] = ratios
  return JSON.stringify({ ...rest, ...first !== undefined && { ratio: first.value, rival: first.rival }, ratios, ...about })
}

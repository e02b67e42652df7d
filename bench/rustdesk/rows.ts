/** What of the group is measured. */

/** Each can be measured by itself. */
const ROWS = ['relay', 'presence', 'punches', 'registrations', 'peers'] as const

export type Rows = typeof ROWS[number]

/**
 * Reads names with commas; all without a text.
 *
 * @throws {Error} for a name that is none
 */
export function readRows (text: string | undefined): Set<Rows> {
  const named: readonly string[] = text?.split(',') ?? ROWS
  const unknown = named.find((name) => !ROWS.some((rows) => rows === name))
  if (unknown !== undefined) throw new Error(`BENCH_ROWS: no such rows: ${unknown}; there are ${ROWS.join(', ')}`)
  return new Set(ROWS.filter((rows) => named.includes(rows)))
}

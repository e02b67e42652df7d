/** Numbers and tables for people. */
import { columnsOf, shown } from '../../text/shown.ts'

/** `1.2 GB`: at most three digits, in powers of 1000. */
export function bytes (count: number): string { return scaled(count, ['B', 'kB', 'MB', 'GB', 'TB', 'PB']) }

/** Bytes a second as `1.2 Mbit/s`. */
export function rate (bytesPerSecond: number): string { return scaled(bytesPerSecond * 8, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']) }

function scaled (value: number, units: readonly string[]): string {
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : Number(value.toPrecision(2))} ${units[unit]}`
}

/** `3 h 12 min`: the two largest units. */
export function duration (seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** `1 peer`, `2 peers`. */
export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

/** `queue 12, source 3`: counts other than 0, largest first; empty when all are 0. */
export function nonZero (counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts).filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${count}`).join(', ')
}

/** Bytes of a cell, as it may hold text of a client. */
const MAX_CELL = 200

/** Aligned columns, two blanks apart. Control characters are escaped, as texts may come from clients. */
export function table (rows: ReadonlyArray<readonly string[]>): string {
  const clean = rows.map((row) => row.map((cell) => shown(cell, MAX_CELL)))
  const widths = (clean[0] ?? []).map((_, column) => clean.reduce((widest, row) => Math.max(widest, columnsOf(row[column])), 0))
  return clean.map((row) => row.map((cell, column) => cell + ' '.repeat(widths[column] - columnsOf(cell))).join('  ').trimEnd()).join('\n')
}

/** Figures for people. */
import type { LeftOut, Ratio, Row } from './row.ts'

/** As `1,234` or `0.0123`: as many places as the figure has. */
export const figure = (value: number): string => value.toLocaleString('en', { maximumSignificantDigits: Math.abs(value) < 1000 ? 3 : 4 })

/** As `2.4 x socat`. */
export const ratioText = ({ rival, value }: Ratio): string => `${figure(value)} x ${rival}`

/** Whether a row of a network is encrypted; nothing for others. */
export const encryption = ({ encrypted }: Row): string => encrypted === undefined ? '' : encrypted ? 'yes' : 'no'

const COLUMNS: Array<{ title: string, text: (row: Row) => string, right?: boolean }> = [
  { title: 'case', text: ({ name }) => name },
  { title: 'of', text: ({ of }) => of },
  { title: 'encrypted', text: encryption },
  { title: 'median', text: ({ value }) => figure(value), right: true },
  { title: 'min', text: ({ min }) => figure(min), right: true },
  { title: 'max', text: ({ max }) => figure(max), right: true },
  { title: 'rounds', text: ({ rounds }) => String(rounds), right: true },
  { title: 'unit', text: ({ unit }) => unit },
  { title: 'ratio', text: ({ ratios }) => ratios.map(ratioText).join(', ') }
]

/** Columns as wide as they need to be, those left out that no row has anything in; what could not be measured below. */
export function table (rows: Row[], leftOut: LeftOut[]): string {
  const columns = COLUMNS.filter(({ text }) => rows.some((row) => text(row) !== ''))
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ text }) => text(row)))]
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i].length)))
  const lines = cells.map((line) => line.map((cell, i) => columns[i].right === true ? cell.padStart(widths[i]) : cell.padEnd(widths[i])).join('  ').trimEnd())
  return [...rows.length > 0 ? lines : [], ...leftOut.map(leftOutText)].join('\n')
}

export const leftOutText = ({ of, why, failed }: LeftOut): string => `${failed ? 'failed' : 'left out'}: ${of}: ${why}`

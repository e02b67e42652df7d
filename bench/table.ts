/** Figures for people. */

export interface Summary {
  median: number
  min: number
  max: number
}

export type Row = Record<string, number | string> & Summary

const round = (value: number): number => value < 100 ? Math.round(value * 100) / 100 : Math.round(value)

export function summary (values: number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b)
  return { median: round(sorted[sorted.length >> 1]), min: round(sorted[0]), max: round(sorted[sorted.length - 1]) }
}

/** Prints a line for programs, keeps it for the table, and returns it. */
export function report (rows: Row[], bench: string, what: string, params: Record<string, number | string>, values: number[], unit: string): Row {
  const row: Row = { bench, case: what, ...params, ...summary(values), unit, node: process.version }
  console.log(JSON.stringify(row))
  rows.push(row)
  return row
}

/** Columns as wide as they need to be; numbers to the right. Fields that no row has anything in are left out. */
export function table (rows: Row[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) => name !== 'node')
  const text = (value: number | string | undefined): string => typeof value === 'number' ? value.toLocaleString('en') : value ?? ''
  const cells = [names, ...rows.map((row) => names.map((name) => text(row[name])))]
  const widths = names.map((_, column) => Math.max(...cells.map((line) => line[column].length)))
  const isNumber = names.map((name) => rows.some((row) => typeof row[name] === 'number'))
  return cells.map((line) => line.map((cell, i) => isNumber[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i])).join('  ').trimEnd()).join('\n')
}

/**
 * A picture of the rows of a group: for each case a bar for everybody who took part, on one scale from 0, with a thin line from the
 * lowest to the highest round. For the same input it is the same text. It follows the light or dark of whoever looks at it.
 */
import type { LeftOut, Row } from './row.ts'
import { figure, leftOutText, ratioText } from './table.ts'

export interface ChartInit {
  title: string
  /** Below the title, a line each: machine, date and the like. */
  caption: string[]
  rows: Row[]
  leftOut?: LeftOut[]
}

const WIDTH = 900
const MARGIN = 20
/** Where bars begin, and how long the longest is; behind it is room for its figure. */
const BARS = 270
const LONGEST = 460
const BAR = 12
/** From one bar to the next, where there are no lines with ratios between them. */
const ROW = 20
const RATIOS = 14
const LINE = 16

/** Characters that fit, as the widest common fonts have them. */
const CHARS = { label: 36, line: 125, ratios: 95 }

const STYLE = `
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 18px; font-weight: 600 }
.case { font-size: 13px; font-weight: 600 }
.small { font-size: 11px; fill: #59636e }
.ground { fill: #ffffff }
.ours { fill: #0969da }
.rival { fill: #9198a1 }
.spread { stroke: #1f2328 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.small { fill: #9198a1 }
.ground { fill: #0d1117 }
.ours { fill: #4493f8 }
.rival { fill: #656c76 }
.spread { stroke: #f0f6fc }
}
`

/** What XML has no place for, not even escaped. */
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

export const escape = (text: string): string => text.replace(FORBIDDEN, '\ufffd').replace(/[&<>"]/g, (found) => ENTITIES[found])

const clip = (text: string, chars: number): string => text.length > chars ? `${text.slice(0, chars - 1)}…` : text

/** As few lines as hold these, none of which is broken. */
function wrap (parts: string[], chars: number): string[] {
  const lines: string[] = []
  for (const part of parts) {
    const longer = lines.length > 0 ? `${lines[lines.length - 1]} · ${part}` : part
    if (lines.length > 0 && longer.length <= chars) lines[lines.length - 1] = longer
    else lines.push(clip(part, chars))
  }
  return lines
}

const number = (value: number): string => String(Math.round(value * 10) / 10)

/** Lines of text and bars, from top to bottom. */
class Sheet {
  readonly #parts: string[] = []
  /** How far down it is full. */
  #y = MARGIN

  space (height: number): void { this.#y += height }

  line (className: string, text: string, height: number): void {
    this.#y += height
    this.#text(className, MARGIN, this.#y - 4, text)
  }

  /** @param max what the longest bar stands for */
  bar ({ of, value, min, max: most, ours, encrypted, ratios }: Row, max: number): void {
    const at = (figure: number): number => BARS + (max > 0 ? figure / max * LONGEST : 0)
    const [top, base] = [this.#y + 4, this.#y + 14]
    this.#text('', BARS - 10, base, clip(of, CHARS.label), { anchor: 'end' })
    this.#parts.push(`<rect class="${ours ? 'ours' : 'rival'}" x="${BARS}" y="${top}" width="${number(at(value) - BARS)}" height="${BAR}"/>`)
    if (most > min) this.#parts.push(`<line class="spread" x1="${number(at(min))}" x2="${number(at(most))}" y1="${top + BAR / 2}" y2="${top + BAR / 2}"/>`)
    this.#text('', at(most) + 6, base, figure(value), { behind: encrypted === undefined ? '' : encrypted ? 'encrypted' : 'not encrypted' })
    this.#y += ROW
    for (const line of wrap(ratios.map(ratioText), CHARS.ratios)) {
      this.#text('small', BARS, this.#y + 7, line)
      this.#y += RATIOS
    }
  }

  /** @param behind small, on the same line */
  #text (className: string, x: number, y: number, text: string, { anchor, behind = '' }: { anchor?: 'end', behind?: string } = {}): void {
    const attributes = `${className === '' ? '' : ` class="${className}"`} x="${number(x)}" y="${y}"${anchor === undefined ? '' : ` text-anchor="${anchor}"`}`
    this.#parts.push(`<text${attributes}>${escape(text)}${behind === '' ? '' : `<tspan class="small" dx="6">${escape(behind)}</tspan>`}</text>`)
  }

  toSvg (title: string): string {
    const height = this.#y + MARGIN
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(title)}">
<style>${STYLE}</style>
<rect class="ground" width="${WIDTH}" height="${height}"/>
${this.#parts.join('\n')}
</svg>
`
  }
}

/** Rows of the same case, in the order in which cases first appear. */
function cases (rows: Row[]): Row[][] {
  const found = new Map<string, Row[]>()
  for (const row of rows) {
    const key = JSON.stringify([row.name, row.unit])
    found.set(key, [...found.get(key) ?? [], row])
  }
  return [...found.values()]
}

export function chart ({ title, caption, rows, leftOut = [] }: ChartInit): string {
  const sheet = new Sheet()
  sheet.line('title', title, 22)
  for (const text of caption) sheet.line('small', clip(text, CHARS.line), LINE)
  for (const panel of cases(rows)) {
    const [{ name, unit, lessIsBetter }] = panel
    const max = Math.max(...panel.map((row) => row.max))
    sheet.space(10)
    sheet.line('case', clip(`${name}, ${unit}${lessIsBetter === true ? ' (less is better)' : ''}`, CHARS.ratios), 20)
    for (const row of panel) sheet.bar(row, max)
  }
  if (leftOut.length > 0) sheet.space(10)
  for (const left of leftOut) sheet.line('small', clip(leftOutText(left), CHARS.line), LINE)
  return sheet.toSvg(title)
}

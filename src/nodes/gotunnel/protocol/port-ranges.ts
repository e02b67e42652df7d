/** The ports that an identity may register: `10000-20000,30022`. */
import { OptionError } from '../../../errors.ts'

export const MAX_PORT = 65_535

/** The default: no privileged port. */
export const DEFAULT_PORTS = '1024-65535'

/** Whether this is a port number. Port 0 (any free port) is not accepted, as the client would not learn which one it got. */
export const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= MAX_PORT

/** A list of ports and ranges. */
export class PortRanges {
  /** The text it was parsed from. */
  readonly text: string
  readonly #ranges: ReadonlyArray<readonly [number, number]>

  /** @throws {OptionError} when the text is not a list of ports and ranges */
  constructor (text: string) {
    this.text = text
    const ranges = rangesOf(text)
    if (ranges === undefined) throw new OptionError(`ports is a list such as 10000-20000,30022, not ${JSON.stringify(text)}`)
    this.#ranges = ranges
  }

  /** Undefined when the text is not a list of ports and ranges. */
  static parse (text: string): PortRanges | undefined { return rangesOf(text) === undefined ? undefined : new PortRanges(text) }

  includes (port: number): boolean {
    return this.#ranges.some(([from, to]) => port >= from && port <= to)
  }
}

function rangesOf (text: string): Array<readonly [number, number]> | undefined {
  const ranges = text.split(',').map((part) => {
    const [, first, last = first] = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part) ?? []
    return [Number(first), Number(last)] as const
  })
  return ranges.every(([from, to]) => isPort(from) && isPort(to) && from <= to) ? ranges : undefined
}

/** Which ports an identity may register: `10000-20000,30022`. */
import { OptionError } from '../../../errors.ts'

export const MAX_PORT = 65_535

/** What is allowed when nothing is said: no port that needs privileges. */
export const DEFAULT_PORTS = '1024-65535'

/** Whether a port of that number can exist. 0 would be any free one, which nobody would learn. */
export const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= MAX_PORT

export class PortRanges {
  /** As it was given. */
  readonly text: string
  readonly #ranges: ReadonlyArray<readonly [number, number]>

  /** Throws `OptionError` for what is no list of ports and ranges. */
  constructor (text: string) {
    this.text = text
    this.#ranges = text.split(',').map((part) => {
      const [, first, last = first] = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part) ?? []
      const [from, to] = [Number(first), Number(last)]
      if (!isPort(from) || !isPort(to) || from > to) throw new OptionError(`ports is a list such as 10000-20000,30022, not ${JSON.stringify(text)}`)
      return [from, to] as const
    })
  }

  includes (port: number): boolean {
    return this.#ranges.some(([from, to]) => port >= from && port <= to)
  }
}

/** What a program says, one object of JSON a line: a list that one waits for. */

export type Line = Record<string, unknown>

/** Each wait begins where the last one has ended. */
export class JsonLines {
  readonly all: Line[] = []
  #rest = ''
  #read = 0
  #wake: () => void = () => {}

  push (text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() as string
    for (const line of lines) this.all.push(parse(line))
    this.#wake()
  }

  /**
   * The next line whose `key` is `value`.
   *
   * @throws {Error} when it has not come within `patience` milliseconds, or when the program, of that name, is over
   */
  async next (key: string, value: string, { of, over, patience }: { of: string, over: Promise<unknown>, patience: number }): Promise<Line> {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<void>((resolve) => { timer = setTimeout(resolve, patience) })
    const line = await this.#find(key, value, Promise.race([over, timeout]))
    clearTimeout(timer)
    if (line === undefined) throw new Error(`${of} has not said "${value}", but: ${this.all.map((said) => JSON.stringify(said)).join('\n')}`)
    return line
  }

  /** Undefined once `over` has settled without it. */
  async #find (key: string, value: string, over: Promise<unknown>): Promise<Line | undefined> {
    let isOver = false
    const end = over.then(() => { isOver = true })
    for (;;) {
      for (const line of this.all.slice(this.#read)) {
        this.#read++
        if (line[key] === value) return line
      }
      if (isOver) return undefined
      await Promise.race([end, new Promise<void>((resolve) => { this.#wake = resolve })])
    }
  }
}

/** What is no JSON is a complaint of the program's platform. */
function parse (line: string): Line {
  try {
    return JSON.parse(line)
  } catch {
    return { text: line }
  }
}

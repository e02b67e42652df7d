/** So many at a time, the others in a line. */
export class Slots {
  #free: number
  readonly #line: Array<() => void> = []

  constructor (count: number) { this.#free = count }

  /** Settles when there is a slot; whoever got one gives it back. */
  async take (): Promise<void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => { this.#line.push(resolve) })
  }

  give (): void {
    const next = this.#line.shift()
    if (next === undefined) this.#free++
    else next()
  }
}

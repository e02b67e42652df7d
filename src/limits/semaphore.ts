/** So many at a time, the others in a line. */
export class Semaphore {
  #free: number
  readonly #queue: Array<() => void> = []

  constructor (count: number) { this.#free = count }

  /** Settles when there is a slot; whoever got one gives it back. */
  async acquire (): Promise<void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => { this.#queue.push(resolve) })
  }

  release (): void {
    const next = this.#queue.shift()
    if (next === undefined) this.#free++
    else next()
  }
}

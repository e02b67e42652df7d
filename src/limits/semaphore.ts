/** A counting semaphore: at most `count` holders at one time, waiters in the order in which they came. */
export class Semaphore {
  #free: number
  readonly #queue: Array<() => void> = []

  constructor (count: number) { this.#free = count }

  /** Settles when a permit is free. Each permit has to be given back by `release`. */
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

/** What happened to each of many, in order: the last steps of each, within a bound of all. */

export interface KeyedHistoryInit {
  /** Steps of one that are kept; older ones are forgotten. */
  readonly maxSteps: number
  /** Those with steps; beyond it the one to which nothing has happened for longest is forgotten. */
  readonly maxKeys: number
}

/** @typeParam Step plain data; each takes memory until newer ones take its place */
export class KeyedHistory<Step> {
  readonly #init: KeyedHistoryInit
  /** The one to which nothing has happened for longest first. */
  readonly #all = new Map<string, Step[]>()

  constructor (init: KeyedHistoryInit) { this.#init = init }

  get size (): number { return this.#all.size }

  add (key: string, step: Step): void {
    const steps = this.#all.get(key) ?? []
    this.#all.delete(key)
    this.#all.set(key, steps)
    steps.push(step)
    if (steps.length > this.#init.maxSteps) steps.shift()
    if (this.#all.size > this.#init.maxKeys) this.#all.delete(this.#all.keys().next().value as string)
  }

  /** The oldest first. */
  of (key: string): readonly Step[] { return this.#all.get(key) ?? [] }
}

/** What happened to a node at this helper, in order, for people. */

/** One step. */
export interface RelayStep {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly text: string
}

/** The steps of one node that are kept; older ones are forgotten. */
const MAX_STEPS = 8

/** Nodes whose steps are kept; beyond it the one to which nothing has happened for longest is forgotten. */
const MAX_NODES = 4096

export class Histories {
  /** The one to which nothing has happened for longest first. */
  readonly #nodes = new Map<string, RelayStep[]>()

  get size (): number { return this.#nodes.size }

  /** @param key of the id; `at` milliseconds since 1970 */
  add (key: string, at: number, text: string): void {
    const steps = this.#nodes.get(key) ?? []
    this.#nodes.delete(key)
    this.#nodes.set(key, steps)
    steps.push({ at, text })
    if (steps.length > MAX_STEPS) steps.shift()
    if (this.#nodes.size > MAX_NODES) this.#nodes.delete(this.#nodes.keys().next().value as string)
  }

  of (key: string): readonly RelayStep[] { return this.#nodes.get(key) ?? [] }
}

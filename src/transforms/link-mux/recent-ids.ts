/** The ids of links that have ended: frames that were under way are ignored. */

/** Ids kept. */
const LIMIT = 4096

export class RecentIds<Id> {
  readonly #ids = new Set<Id>()

  has (id: Id): boolean { return this.#ids.has(id) }

  delete (id: Id): void { this.#ids.delete(id) }

  /** Forgets the oldest id where there are too many. */
  add (id: Id): void {
    this.#ids.delete(id)
    this.#ids.add(id)
    if (this.#ids.size <= LIMIT) return
    this.#ids.delete(this.#ids.values().next().value as Id)
  }
}

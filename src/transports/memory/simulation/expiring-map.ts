/** A map whose entries end when they were not used for a time. In a list of its own, as a `Map` gets slow where entries change their place often. */

interface Entry<V> {
  readonly key: string
  value: V
  used: number
  before: Entry<V> | undefined
  behind: Entry<V> | undefined
}

export class ExpiringMap<V> {
  readonly #entries = new Map<string, Entry<V>>()
  /** The one that was used longest ago. */
  #oldest: Entry<V> | undefined
  #newest: Entry<V> | undefined

  get size (): number { return this.#entries.size }

  has (key: string): boolean { return this.#entries.has(key) }

  get (key: string): V | undefined { return this.#entries.get(key)?.value }

  /** Adds an entry, or replaces its value; it is used now. Times do not go back. */
  set (key: string, value: V, now: number): void {
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { key, value, used: now, before: undefined, behind: undefined }
      this.#entries.set(key, entry)
    } else {
      this.#unlink(entry)
      entry.value = value
      entry.used = now
    }
    entry.before = this.#newest
    entry.behind = undefined
    if (this.#newest === undefined) this.#oldest = entry
    else this.#newest.behind = entry
    this.#newest = entry
  }

  /** Removes what was not used for a time. */
  expire (now: number, time: number, onGone?: (value: V) => void): void {
    for (let entry = this.#oldest; entry !== undefined && entry.used + time <= now; entry = this.#oldest) {
      this.#unlink(entry)
      this.#entries.delete(entry.key)
      onGone?.(entry.value)
    }
  }

  clear (): void {
    this.#entries.clear()
    this.#oldest = this.#newest = undefined
  }

  #unlink ({ before, behind }: Entry<V>): void {
    if (before === undefined) this.#oldest = behind
    else before.behind = behind
    if (behind === undefined) this.#newest = before
    else behind.before = before
  }
}

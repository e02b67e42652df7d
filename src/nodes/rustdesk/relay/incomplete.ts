/** Messages between TCP and WebSocket that are not complete yet: they count for the buffers of all pairs, and may not exceed their bound. */
import type { BridgeAccount, BufferBudget } from '../../../limits/buffer-budget.ts'

export class IncompleteMessages {
  readonly #buffers: BufferBudget
  /** Pairs that hold any. */
  readonly #holders = new Set<IncompleteAccount>()

  constructor (buffers: BufferBudget) { this.#buffers = buffers }

  /** For one pair. @param source whom its buffers are counted for; `end` ends the pair */
  open (source: string, end: () => void): IncompleteAccount { return new IncompleteAccount(source, this.#buffers.open(source, end), this) }

  /** @internal */
  changed (holder: IncompleteAccount, by: number): void {
    if (holder.held === 0) this.#holders.delete(holder)
    else this.#holders.add(holder)
    if (by > 0) this.relieve()
  }

  /**
   * While the bound is exceeded: ends the pair that holds most, of a source that is over its share. At once, as what waits for the rest of a
   * message is not what a slow receiver will take.
   */
  relieve (): void {
    const buffers = this.#buffers
    while (buffers.held > buffers.limit) {
      let largest: IncompleteAccount | undefined
      for (const holder of this.#holders) {
        if (holder.held > (largest?.held ?? 0) && buffers.heldBy(holder.source) > buffers.share) largest = holder
      }
      if (largest === undefined) return
      this.#holders.delete(largest)
      largest.end()
    }
  }
}

/** What one pair holds. */
export class IncompleteAccount {
  /** Bytes of memory. */
  held = 0
  readonly source: string
  readonly #account: BridgeAccount
  readonly #all: IncompleteMessages
  #isClosed = false

  constructor (source: string, account: BridgeAccount, all: IncompleteMessages) {
    this.source = source
    this.#account = account
    this.#all = all
  }

  /** @param held bytes of memory now */
  update (held: number): void {
    const by = held - this.held
    if (this.#isClosed || by === 0) return
    this.held = held
    this.#account.add(by)
    this.#all.changed(this, by)
  }

  /** Ends the pair. */
  end (): void {
    this.#isClosed = true
    this.#account.end()
  }

  /** The pair has ended. */
  close (): void {
    this.update(0)
    this.#isClosed = true
    this.#account.close()
  }
}

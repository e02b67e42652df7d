/**
 * A bound for the buffers of many bridges together. Each bridge holds what it reads ahead and what it is writing. The more bridges hold
 * something, the less each may read ahead, down to nothing; then a bridge holds one small read. When the whole budget is exceeded, the
 * bridge that has stalled longest is ended.
 *
 * Owners that hold anything have equal shares: an owner over its share loses only its own bridges.
 */
import { verifyBytes } from '../options.ts'
import { systemClock } from '../streams/clock.ts'
import type { Clock, Link, ReadAhead, Timer } from '../types.ts'

/** Read-ahead is this fraction of a share: a bridge may hold a few times as much, and earlier bridges hold more. */
const PART = 16

/** Bytes. Less read-ahead is not worth the buffer of a read. */
const MIN_READ_AHEAD = 16 * 1024

/** Milliseconds between two checks for stalled bridges while the budget is exceeded. */
const CHECK_INTERVAL = 500

/** Bounds in bytes of what the kernel may hold unsent: the read-ahead that a share allows, within these. Such bytes are not counted here. */
const MIN_UNSENT = 32 * 1024
const MAX_UNSENT = 1024 * 1024

export interface BufferBudgetInit {
  /** Maximum bytes that all bridges hold together. */
  limit: number
  /**
   * Milliseconds without progress after which a bridge may be ended. A slow receiver opens its window by a sixteenth of its buffer at a
   * time, so seconds may pass between two steps.
   */
  stalledAfter: number
  /** Default: that of the system. */
  clock?: Clock
}

export class BufferBudget {
  /** Bytes held now. */
  held = 0
  /** Owners of bridges that hold something. */
  busyOwners = 0
  readonly clock: Clock
  readonly #owners = new Map<unknown, Owner>()
  readonly #stalledAfter: number
  #limit: number
  #looking: Timer | undefined

  /** @throws {OptionError} when a limit is out of range */
  constructor ({ limit, stalledAfter, clock = systemClock }: BufferBudgetInit) {
    this.#limit = verifyBytes('limit', limit)
    this.#stalledAfter = stalledAfter
    this.clock = clock
  }

  get limit (): number { return this.#limit }

  set limit (limit: number) {
    this.#limit = verifyBytes('limit', limit)
    this.watch()
  }

  /** Bytes held by the bridges of an owner. */
  heldBy (owner: unknown): number { return this.#owners.get(owner)?.held ?? 0 }

  /** @param end ends the bridge; its account is closed by then */
  open (owner: unknown, end: () => void): BridgeAccount {
    let of = this.#owners.get(owner)
    if (of === undefined) this.#owners.set(owner, of = new Owner(this, owner))
    return new BridgeAccount(of, end)
  }

  /** Forgets an owner without bridges. */
  forget (owner: unknown): void { this.#owners.delete(owner) }

  /** Starts to check for stalled bridges, while the budget is exceeded. */
  watch (): void {
    if (this.held <= this.#limit || this.#looking !== undefined) return
    this.#looking = this.clock.set(CHECK_INTERVAL, () => {
      this.#looking = undefined
      this.relieve()
      this.watch()
    }).unref()
  }

  /** Ends stalled bridges until the total is within the limit, or no bridge of an owner over its share has stalled. */
  relieve (): void {
    if (this.held <= this.#limit) return
    const before = this.clock.now() - this.#stalledAfter
    for (const owner of this.#tooMuch()) {
      for (const account of owner.stalled(before)) {
        if (this.held <= this.#limit) return
        if (owner.held <= this.share) break
        account.end()
      }
    }
  }

  /** Bytes for each owner that holds anything. */
  get share (): number { return this.#limit / Math.max(1, this.busyOwners) }

  /** Owners that hold more than their share, the largest first. */
  #tooMuch (): Owner[] { return [...this.#owners.values()].filter(({ held }) => held > this.share).sort((a, b) => b.held - a.held) }
}

class Owner {
  readonly budget: BufferBudget
  readonly key: unknown
  readonly accounts = new Set<BridgeAccount>()
  held = 0
  /** Bridges that hold something. */
  busy = 0

  constructor (budget: BufferBudget, key: unknown) {
    this.budget = budget
    this.key = key
  }

  /** Bytes that one of its bridges may read ahead. */
  get ahead (): number {
    const { budget } = this
    const { share } = budget
    if (budget.held > budget.limit && this.held > share) return 0
    const ahead = share / PART / Math.max(1, this.busy)
    return ahead < MIN_READ_AHEAD ? 0 : ahead
  }

  add (bytes: number, busy: number): void {
    const { budget } = this
    if (busy !== 0) {
      const before = this.busy
      this.busy += busy
      if (before === 0) budget.busyOwners++
      else if (this.busy === 0) budget.busyOwners--
    }
    this.held += bytes
    budget.held += bytes
    if (bytes > 0 && budget.held > budget.limit) budget.watch()
  }

  /** Bridges without progress since `before`: those that have stalled longest first, the newest of equals. Checks the progress of all. */
  stalled (before: number): BridgeAccount[] {
    for (const account of this.accounts) account.look()
    return [...this.accounts].reverse().filter(({ since }) => since <= before).sort((a, b) => a.since - b.since)
  }
}

/** Accounts for one bridge. */
export class BridgeAccount {
  /** From `a` to `b`, and back. */
  readonly forward: Direction
  readonly backward: Direction
  readonly #owner: Owner
  readonly #end: () => void
  #held = 0
  #isClosed = false

  constructor (owner: Owner, end: () => void) {
    this.#owner = owner
    this.#end = end
    this.forward = new Direction(this)
    this.backward = new Direction(this)
    owner.accounts.add(this)
  }

  get held (): number { return this.#held }

  get ahead (): number { return this.#isClosed ? Infinity : this.#owner.ahead }

  /** Bytes that the kernel may hold unsent in each direction, on top of what is counted here. */
  get unsent (): number { return Math.min(Math.max(this.ahead, MIN_UNSENT), MAX_UNSENT) }

  get now (): number { return this.#owner.budget.clock.now() }

  /** Since when the longer stalled of the two writes makes no progress; Infinity when there is none. */
  get since (): number { return Math.min(this.forward.since, this.backward.since) }

  /** Updates the progress of both writes. */
  look (): void {
    this.forward.look()
    this.backward.look()
  }

  add (bytes: number): void {
    if (this.#isClosed || bytes === 0) return
    const before = this.#held
    this.#held += bytes
    this.#owner.add(bytes, Number(this.#held > 0) - Number(before > 0))
  }

  end (): void {
    this.close()
    this.#end()
  }

  /** Releases what the bridge holds; later reports are ignored. May be called more than once. */
  close (): void {
    if (this.#isClosed) return
    this.add(-this.#held)
    this.#isClosed = true
    const { accounts, budget, key } = this.#owner
    accounts.delete(this)
    if (accounts.size === 0) budget.forget(key)
  }
}

class Direction implements ReadAhead {
  /** Time of the last progress of the current write; Infinity when there is none. */
  since = Infinity
  /** The link that is written to. It acknowledges parts of a write long before the whole write is done. */
  target: Pick<Link, 'delivery'> | undefined
  /** Bytes that the other end had acknowledged at the last check of this write. */
  #acknowledged: number | undefined
  readonly #account: BridgeAccount
  #waiting = 0
  #writing = 0

  constructor (account: BridgeAccount) { this.#account = account }

  get limit (): number { return this.#account.ahead }

  waiting (bytes: number): void {
    this.#account.add(bytes - this.#waiting)
    this.#waiting = bytes
  }

  /** Reports how many bytes are being written now. */
  readonly writing = (bytes: number): void => {
    this.since = bytes === 0 ? Infinity : this.#account.now
    this.#acknowledged = undefined
    this.#account.add(bytes - this.#writing)
    this.#writing = bytes
  }

  /**
   * Checks whether the other end has acknowledged anything since the last check; the first one of a write has nothing to compare, and
   * counts as progress. Where that is unknown, the start of the write counts.
   */
  look (): void {
    if (this.since === Infinity) return
    const acknowledged = this.target?.delivery?.()?.acknowledged
    if (acknowledged !== undefined && acknowledged > (this.#acknowledged ?? -1)) this.since = this.#account.now
    this.#acknowledged = acknowledged
  }
}

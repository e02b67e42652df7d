/** Two connections of one uuid, joined until one of them ends. */
import type { AddressList } from './address-list.ts'
import { PairBandwidth, type Bandwidth } from './bandwidth.ts'
import { endsOf, type PairEnd, type RelayPeer } from './ends.ts'
import type { IncompleteAccount, IncompleteMessages } from './incomplete.ts'
import type { PairEnding, RelayTotals } from './stats.ts'
import { Usage } from './usage.ts'
import { LinkClosedError } from '../../../errors.ts'
import type { BufferBudget } from '../../../limits/buffer-budget.ts'
import { bridge } from '../../../streams/bridge.ts'
import type { Clock } from '../../../types.ts'

/** Milliseconds for an end to take what was sent to it last, and to close. */
const CLOSING = 30_000

/** What all pairs of a relay share. */
export interface PairContext {
  readonly clock: Clock
  readonly settings: { readonly idleTimeout: number, readonly strictOss: boolean }
  readonly bandwidth: Bandwidth
  readonly buffers: BufferBudget
  readonly incomplete: IncompleteMessages
  /** Of addresses whose pairs are slowed, and of those whose pairs end. */
  readonly blacklist: AddressList
  readonly blocklist: AddressList
  readonly totals: RelayTotals
}

export class Pair {
  /** The connection that was there first, and the one that came to it, by which the pair is known. */
  readonly first: RelayPeer
  readonly second: RelayPeer
  readonly usage: Usage
  readonly #context: PairContext
  readonly #bandwidth: PairBandwidth
  readonly #ends: [PairEnd, PairEnd]
  #ending: PairEnding | undefined
  #incomplete: IncompleteAccount | undefined
  /** Messages without content, pings, parts of messages: they are no bytes, but a sign of life. */
  #signs = 0
  /** Bytes and signs as of the last tick, and when they changed last. */
  #seen = 0
  #seenAt: number
  /** What the ends had acknowledged when half of the idle time was over. */
  #acknowledged: number | undefined
  /** Versions of the lists as of the last look. */
  #listed = -1
  #blocked = -1

  constructor (context: PairContext, first: RelayPeer, second: RelayPeer) {
    this.#context = context
    this.first = first
    this.second = second
    const now = context.clock.now()
    this.usage = new Usage(now)
    this.#seenAt = now
    this.#bandwidth = new PairBandwidth(context.bandwidth)
    this.#ends = endsOf(first, second, {
      passesEmpty: !context.settings.strictOss,
      onActivity: () => { this.#signs++ },
      onRead: () => {
        this.#signs++
        this.#incomplete?.update(this.#held)
      }
    })
    this.#look()
  }

  /** Bytes of memory for messages that are not complete yet. */
  get #held (): number { return this.#ends[0].held() + this.#ends[1].held() }

  get isSlowed (): boolean { return this.#bandwidth.isListed || this.#bandwidth.isDowngraded }

  /** Forwards until one of the two ends, then closes the other; never rejects. @param source whom its buffers are counted for */
  async run (source: string): Promise<void> {
    const { clock, buffers, incomplete, totals } = this.#context
    const [a, b] = this.#ends
    const count = (bytes: number): Promise<void> | undefined => {
      this.usage.bytes += bytes
      totals.bytes += bytes
      return this.#bandwidth.wait(bytes)
    }
    const endStalled = (): void => { this.end('stalled') }
    const account = buffers.open(source, endStalled)
    this.#incomplete = incomplete.open(source, endStalled)
    let ending: PairEnding = 'closed'
    try {
      await bridge(a.link, b.link, { forward: count, backward: count, account })
      const timer = clock.set(CLOSING, () => { this.#abort('the other end has closed') })
      await Promise.all([a.drain(), b.drain()])
      clock.clear(timer)
    } catch {
      ending = 'lost' // the bridge has aborted both
    }
    this.#incomplete.close()
    this.#abort('the pair has ended')
    totals.ended[this.#ending ?? ending]++
  }

  /** Ends both connections at once. */
  end (ending: PairEnding): void {
    this.#ending ??= ending
    this.#abort(`the pair was ended: ${ending}`)
  }

  /** Once a second: ends a pair that is idle or blocked, and samples its usage. */
  tick (now: number): void {
    const { usage } = this
    usage.sample(now)
    this.#bandwidth.check(usage.elapsed, usage.sampled)
    if (this.#isIdle(now)) this.end('idle')
    this.#look()
  }

  /** A slow end takes long for what was sent to it last: that it acknowledges some of that is a sign of life. */
  #isIdle (now: number): boolean {
    const { idleTimeout } = this.#context.settings
    const seen = this.usage.bytes + this.#signs
    const quiet = now - this.#seenAt
    const isOver = quiet > idleTimeout
    if (seen !== this.#seen || (isOver && this.#acknowledgedNow > (this.#acknowledged ?? 0))) {
      this.#seen = seen
      this.#seenAt = now
      this.#acknowledged = undefined
      return false
    }
    if (quiet > idleTimeout / 2) this.#acknowledged ??= this.#acknowledgedNow
    return isOver
  }

  get #acknowledgedNow (): number {
    return [this.first, this.second].reduce((sum, { link }) => sum + (link.delivery?.()?.acknowledged ?? 0), 0)
  }

  /** Looks its addresses up in the lists, if those have changed. */
  #look (): void {
    const { blacklist, blocklist } = this.#context
    if (this.#listed !== blacklist.version) {
      this.#listed = blacklist.version
      this.#bandwidth.isListed = this.#isOn(blacklist)
    }
    if (this.#blocked === blocklist.version) return
    this.#blocked = blocklist.version
    if (this.#isOn(blocklist)) this.end('blocked')
  }

  #isOn (list: AddressList): boolean { return list.has(this.first.remote.host) || list.has(this.second.remote.host) }

  #abort (reason: string): void {
    for (const { link } of [this.first, this.second]) link.abort(new LinkClosedError(reason))
  }
}

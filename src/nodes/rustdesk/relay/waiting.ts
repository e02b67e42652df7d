/** A connection that waits for its partner. */
import type { RelayPeer } from './ends.ts'
import type { RustdeskRejectReason } from './stats.ts'
import type { ConnectionSlot } from '../../../limits/connection-limiter.ts'
import type { Clock } from '../../../types.ts'

/** Early bytes that are kept of one connection: then it has to wait before it sends more. */
const MAX_EARLY = 16 * 1024

type Outcome = Extract<RustdeskRejectReason, 'unpaired' | 'left' | 'pending'>

export class Waiting {
  readonly peer: RelayPeer
  readonly #slot: ConnectionSlot
  #settle: (outcome: Outcome | undefined | Promise<undefined>) => void = () => {}

  constructor (peer: RelayPeer, slot: ConnectionSlot) {
    this.peer = peer
    this.#slot = slot
  }

  get link (): RelayPeer['link'] { return this.peer.link }

  get early (): RelayPeer['early'] { return this.peer.early }

  /** Settles when it has ended; undefined when it was paired, and that pair has ended. */
  until (clock: Clock, timeout: number): Promise<Outcome | undefined> {
    return new Promise<Outcome | undefined>((resolve) => {
      const timer = clock.set(timeout, () => { resolve('unpaired') })
      this.#settle = (outcome) => {
        clock.clear(timer)
        resolve(outcome)
      }
      void this.early.watch(MAX_EARLY).then((hasEnded) => { if (hasEnded) this.#settle('left') })
    })
  }

  /** Ends it. */
  end (outcome: Outcome): void { this.#settle(outcome) }

  /** Both connections belong to a pair from now on; settles with it. @param partner - the slot of the other one */
  async pairWith (partner: ConnectionSlot, run: () => Promise<void>): Promise<void> {
    this.early.take()
    this.#slot.establish()
    partner.establish()
    const running = run()
    this.#settle(running.then(() => undefined))
    await running
  }
}

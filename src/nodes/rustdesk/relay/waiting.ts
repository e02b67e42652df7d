/** A connection that waits for its partner. */
import type { RelayPeer } from './ends.ts'
import type { RustdeskRejectReason } from './stats.ts'
import type { ConnectionSlot } from '../../../limits/connection-limiter.ts'
import type { Clock } from '../../../types.ts'

/** Early bytes that are kept of one connection: then it has to wait before it sends more. */
const MAX_EARLY = 16 * 1024

/** Early bytes of all; beyond it a connection ends that has sent more than `MODEST`, which is far more than clients do. */
const MAX_EARLY_TOTAL = 32 * 1024 * 1024
const MODEST = 2048

/** What all that wait have sent. */
export interface EarlyTotal { held: number }

type Outcome = Extract<RustdeskRejectReason, 'unpaired' | 'left' | 'pending' | 'pairs_source'>

export class Waiting {
  readonly peer: RelayPeer
  readonly #slot: ConnectionSlot
  readonly #total: EarlyTotal
  /** Its part of the total. */
  #held = 0
  #settle: (outcome: Outcome | undefined | Promise<undefined>) => void = () => {}

  constructor (peer: RelayPeer, slot: ConnectionSlot, total: EarlyTotal) {
    this.peer = peer
    this.#slot = slot
    this.#total = total
  }

  /** Whom it counts for. */
  get slot (): ConnectionSlot { return this.#slot }

  get link (): RelayPeer['link'] { return this.peer.link }

  get early (): RelayPeer['early'] { return this.peer.early }

  /** Settles when it has ended; undefined when it was paired, and that pair has ended. */
  until (clock: Clock, timeout: number): Promise<Outcome | undefined> {
    return new Promise<Outcome | undefined>((resolve) => {
      let isOver = false
      this.#settle = (outcome) => {
        isOver = true
        clock.clear(timer)
        this.#hold(0)
        resolve(outcome)
      }
      const timer = clock.set(timeout, () => { this.#settle('unpaired') })
      const onRead = (size: number): void => {
        if (isOver) return
        this.#hold(size)
        if (this.#total.held > MAX_EARLY_TOTAL && size > MODEST) this.#settle('pending')
      }
      onRead(this.early.size)
      void this.early.watch(MAX_EARLY, onRead).then((hasEnded) => { if (hasEnded) this.#settle('left') })
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

  #hold (bytes: number): void {
    this.#total.held += bytes - this.#held
    this.#held = bytes
  }
}

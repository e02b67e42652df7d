/** The identities of a relay: a token stands for an identity, with its own ports and limits. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { Shaper } from '../../../limits/shaper.ts'
import type { TokenBucket } from '../../../limits/token-bucket.ts'
import { sharedBudget } from '../protocol/control-budget.ts'
import type { Clock } from '../../../types.ts'
import type { IdentitySettings, VerifiedIdentity } from './settings.ts'
import { newTraffic, type UserTraffic } from './stats.ts'

/** Lives as long as the settings contain its name, also when its token changes. */
export class Identity {
  settings: IdentitySettings
  readonly #clock: Clock
  readonly traffic: UserTraffic = newTraffic()
  /** The message budget of all its control connections. */
  readonly messages: TokenBucket
  /** Current ports. */
  ports = 0
  shaper: { forward: Shaper, backward: Shaper } | undefined

  constructor (settings: IdentitySettings, clock: Clock) {
    this.#clock = clock
    this.messages = sharedBudget(clock)
    this.settings = settings
    this.configure(settings)
  }

  get name (): string { return this.settings.name }

  configure (settings: IdentitySettings): void {
    this.settings = settings
    const { byteRate } = settings
    if (byteRate !== this.shaper?.forward.rate) this.shaper = byteRate === undefined ? undefined : { forward: new Shaper(byteRate, this.#clock), backward: new Shaper(byteRate, this.#clock) }
  }
}

/** A keyed hash of a token. Two proofs are equal when the tokens are. */
export type Proof = Buffer

export const sameProof = (a: Proof, b: Proof): boolean => timingSafeEqual(a, b)

export class Identities implements Iterable<Identity> {
  /** Random for each process: an attacker can neither choose a proof nor learn from the time of a comparison. */
  readonly #key = randomBytes(32)
  readonly #byName = new Map<string, Identity>()
  #proofs: Array<[Proof, Identity]> = []
  readonly #clock: Clock

  constructor (clock: Clock) { this.#clock = clock }

  /** @returns identities that were removed */
  configure (verified: readonly VerifiedIdentity[]): Identity[] {
    const names = new Set(verified.map(([{ name }]) => name))
    const removed = [...this.#byName.values()].filter(({ name }) => !names.has(name))
    for (const { name } of removed) this.#byName.delete(name)
    this.#proofs = verified.map(([settings, token]) => {
      const known = this.#byName.get(settings.name)
      known?.configure(settings)
      const identity = known ?? new Identity(settings, this.#clock)
      this.#byName.set(settings.name, identity)
      return [this.proofOf(token), identity]
    })
    return removed
  }

  /** The identity of that name. */
  named (name: string): Identity | undefined { return this.#byName.get(name) }

  /** Whether the settings still contain it. */
  has (identity: Identity): boolean { return this.#byName.get(identity.name) === identity }

  proofOf (token: string): Proof {
    return createHmac('sha256', this.#key).update(token).digest()
  }

  /** Compares all of them, so that the time is constant. */
  find (proof: Proof): Identity | undefined {
    let found: Identity | undefined
    for (const [known, identity] of this.#proofs) if (sameProof(known, proof)) found = identity
    return found
  }

  [Symbol.iterator] (): Iterator<Identity> { return this.#byName.values() }
}

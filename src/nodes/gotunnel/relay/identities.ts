/** The identities of a relay: a token stands for an identity, with its own ports and limits. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { OptionError } from '../../../errors.ts'
import { Shaper } from '../../../limits/shaper.ts'
import type { TokenBucket } from '../../../limits/token-bucket.ts'
import { sharedBudget } from '../protocol/control-budget.ts'
import { DEFAULT_PORTS, PortRanges } from '../protocol/port-ranges.ts'
import type { Clock } from '../../../types.ts'
import { newTraffic, type UserTraffic } from './stats.ts'

export interface IdentityInit {
  /** For logs, status and metrics; not secret. */
  name: string
  token: string
  /** Ports that it may register, `10000-20000,30022`. Default: 1024-65535. */
  ports?: string
  /** Ports at one time. Default: 64. */
  maxPorts?: number
  /** User connections at one time, over all its ports. Default: only the limit of the relay. */
  maxUsers?: number
  /** User connections that are reserved for it, independent of other identities. Default: a fair share of half of all. */
  reserveUsers?: number
  /** Bytes a second of all its users together, for each direction. Default: no limit. */
  byteRate?: number
}

export const DEFAULT_MAX_PORTS = 64

/** Characters of a token. A first frame holds at most 4096 bytes. */
const MAX_TOKEN = 1024

export interface IdentitySettings {
  name: string
  ports: PortRanges
  maxPorts: number
  maxUsers: number
  /** Undefined: a fair share. */
  reserveUsers: number | undefined
  byteRate: number | undefined
}

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

/** Verified settings, and the token apart from them. */
export type VerifiedIdentity = [settings: IdentitySettings, token: string]

/** @throws {OptionError} when an identity is invalid */
export function verifyIdentities (inits: readonly IdentityInit[]): VerifiedIdentity[] {
  if (inits.length === 0) throw new OptionError('identities: there is none')
  for (const key of ['name', 'token'] as const) {
    const all = new Set(inits.map((init) => init[key]))
    if (all.size < inits.length) throw new OptionError(`identities: two have the same ${key}`)
  }
  return inits.map(({ name, token, ports = DEFAULT_PORTS, maxPorts = DEFAULT_MAX_PORTS, maxUsers = Infinity, reserveUsers, byteRate }) => {
    if (!/^[A-Za-z0-9][\w.@-]{0,63}$/.test(name)) throw new OptionError(`identities: name is at most 64 letters, digits, ".", "_", "@" or "-", not ${JSON.stringify(name)}`)
    if (token === '' || token.length > MAX_TOKEN) throw new OptionError(`identities: the token of ${name} is 1 to ${MAX_TOKEN} characters`)
    for (const [key, count] of Object.entries({ maxPorts, maxUsers })) {
      if (count !== Infinity && (!Number.isSafeInteger(count) || count < 1)) throw new OptionError(`identities: ${key} of ${name} is a whole number of at least 1, not ${String(count)}`)
    }
    if (reserveUsers !== undefined && (!Number.isSafeInteger(reserveUsers) || reserveUsers < 0)) throw new OptionError(`identities: reserveUsers of ${name} is a whole number, not ${String(reserveUsers)}`)
    if (byteRate !== undefined) void new Shaper(byteRate) // throws now
    return [{ name, ports: new PortRanges(ports), maxPorts, maxUsers, reserveUsers, byteRate }, token]
  })
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

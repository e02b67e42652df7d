/** The helpers of a node: registered with several at once, others in reserve for those that do not answer (SHOW CHAIN protocol, section 5.1). */
import { endpointText } from '../../../net/endpoint.ts'
import { isSame } from '../../../nat/stun/transaction.ts'
import type { Clock, Endpoint, Timer } from '../../../types.ts'
import type { RegistrationClient, RegistrationClientInit } from '../protocol/registration-client.ts'
import type { Incoming } from '../protocol/requests.ts'

/** Helpers at one time. */
const MAX_ACTIVE = 4

/** Milliseconds until another one is asked as well, while none has answered. */
const STAGGER = 1000

/** Registered, so that endpoint and id are known. */
export type Helper = RegistrationClient & { readonly endpoint: Endpoint, readonly id: Uint8Array }

export interface HelpersInit {
  clock: Clock
  named: readonly Endpoint[]
  make (init: Pick<RegistrationClientInit, 'named' | 'onRegistered' | 'onLost'>): RegistrationClient
  onRegistered (helper: Helper): void
  onLost (helper: RegistrationClient, reason: string, wait: number): void
}

export class Helpers {
  readonly #init: HelpersInit
  /** In the order in which they are to be asked. */
  readonly all: readonly RegistrationClient[]
  #timer: Timer | undefined
  /** Only as many as are needed are asked. */
  #isHeld = true
  #isClosed = true

  constructor (init: HelpersInit) {
    this.#init = init
    const named = new Map(init.named.map((one) => [endpointText(one), one]))
    this.all = [...named.values()].map((named) => {
      const client: RegistrationClient = init.make({
        named,
        onRegistered: () => {
          this.#init.clock.clear(this.#timer)
          init.onRegistered(client as Helper)
        },
        onLost: (reason, wait) => { this.#lost(client, reason, wait) }
      })
      return client
    })
  }

  /** Those that can be used, the one with the shortest round trip first. */
  get registered (): Helper[] {
    return this.all.filter((client): client is Helper => client.isRegistered).sort((a, b) => (a.roundTrip ?? Infinity) - (b.roundTrip ?? Infinity))
  }

  /** Asks one after the other until one has answered; all others only after `release`. */
  start (): void {
    this.#isClosed = false
    this.#startNext()
  }

  /** Registers with all that are to be used at one time. */
  release (): void {
    if (this.#isClosed) return
    this.#isHeld = false
    this.#init.clock.clear(this.#timer)
    for (let missing = MAX_ACTIVE - this.all.filter(isActive).length; missing > 0; missing--) this.all.find((client) => !isActive(client))?.start()
  }

  /** A registered helper with this endpoint. */
  at (from: Endpoint): Helper | undefined {
    return this.all.find((client): client is Helper => client.isRegistered && isSame(client.endpoint as Endpoint, from))
  }

  /** One that is in use, or is asked, at this endpoint. */
  withEndpoint (at: Endpoint): RegistrationClient | undefined {
    return this.all.find((client) => isActive(client) && client.endpoint !== undefined && isSame(client.endpoint, at))
  }

  /** Looks whether all still know this node, at the endpoint that it has now. */
  check (): void { for (const client of this.all) client.check() }

  /** Takes a 0x100. @returns whether it is of a helper */
  receive (incoming: Incoming): boolean { return this.all.some((client) => client.receive(incoming)) }

  close (): void {
    this.#isClosed = true
    this.#init.clock.clear(this.#timer)
    for (const client of this.all) client.stop()
  }

  #startNext (): void {
    const next = this.all.find((client) => !isActive(client))
    if (this.#isClosed || next === undefined || this.all.filter(isActive).length >= MAX_ACTIVE) return
    next.start()
    if (this.#isHeld) this.#timer = this.#init.clock.set(STAGGER, () => { this.#startNext() })
  }

  /** Another one takes the place of one that does not answer. */
  #lost (client: RegistrationClient, reason: string, wait: number): void {
    const active = this.all.filter(isActive)
    const next = this.all.slice(this.all.indexOf(client)).concat(this.all).find((other) => !isActive(other))
    if (next !== undefined && active.length >= MAX_ACTIVE) client.stop()
    if (next !== undefined && (!this.#isHeld || this.registered.length === 0)) {
      if (next.reason === undefined) next.start()
      else next.startLater() // it has not answered either, so that nobody may be there for long
    }
    this.#init.onLost(client, reason, wait)
  }
}

const isActive = ({ state }: RegistrationClient): boolean => state !== 'idle'

/** A node at one of its helpers: registered by 0x101, kept there by 0x100 (SHOW CHAIN protocol, section 5.1). */
import type { Backoff } from '../../../limits/backoff.ts'
import { isSame } from '../../../nat/stun/transaction.ts'
import type { Clock, Endpoint, Timer } from '../../../types.ts'
import { addressText } from './addresses.ts'
import type { ShowchainMessage } from './messages.ts'
import { Op } from './op.ts'
import { UNKNOWN_ID } from './public-key.ts'
import type { Incoming, OpenRequest, OpenRequests } from './requests.ts'

/** Milliseconds between keep-alives; between those that are not answered, and how many of them are repeated. */
const INTERVAL = 15_000
const REPEAT_INTERVAL = 2000
const MAX_REPEATS = 3

/** Milliseconds between two keep-alives that a helper answers, at least. */
const MIN_INTERVAL = 5000

/**
 * `resolving`: its name is looked up; `asking`: a 0x101 is open; `registered`; `checking`: registered, a keep-alive is not answered yet; `waiting`:
 * until the next attempt.
 */
export type RegistrationState = 'idle' | 'resolving' | 'asking' | 'registered' | 'checking' | 'waiting'

export interface RegistrationClientInit {
  clock: Clock
  requests: OpenRequests
  /** As it was named: the address may be a name. */
  named: Endpoint
  /** Finds the address of a name, again before each attempt. @throws when there is none */
  resolve (named: Endpoint): Promise<Endpoint>
  /** Sends what is not signed. */
  send (message: ShowchainMessage, to: Endpoint): void
  /** The own id. */
  own: Uint8Array
  /** The own NAT kind. */
  kind (): number | undefined
  backoff: Backoff
  /** Registered, for the first time or anew. */
  onRegistered (): void
  /** The helper does not answer; the next attempt follows after `wait` milliseconds. */
  onLost (reason: string, wait: number): void
  /** The helper sees another endpoint than before, where it had seen one. */
  onMapped (endpoint: Endpoint, before: Endpoint | undefined): void
}

export class RegistrationClient {
  readonly named: Endpoint
  readonly #init: RegistrationClientInit
  #state: RegistrationState = 'idle'
  #endpoint: Endpoint | undefined
  #id: Uint8Array | undefined
  #mapped: Endpoint | undefined
  #roundTrip: number | undefined
  #request: OpenRequest | undefined
  #timer: Timer | undefined
  /** When the last keep-alive was sent, and when the next one will be. */
  #keptAt = -Infinity
  #dueAt = 0
  #repeats = 0
  #reason: string | undefined
  #attempt = 0
  #isUntouched = true

  constructor (init: RegistrationClientInit) {
    this.#init = init
    this.named = init.named
  }

  get state (): RegistrationState { return this.#state }

  /** Nothing was sent to it so far. */
  get isUntouched (): boolean { return this.#isUntouched }

  get isRegistered (): boolean { return this.#state === 'registered' || this.#state === 'checking' }

  /** Undefined while the name has no address. */
  get endpoint (): Endpoint | undefined { return this.#endpoint }

  /** The id of the helper; undefined until it has answered. */
  get id (): Uint8Array | undefined { return this.#id }

  /** The endpoint of this node that the helper has seen last. */
  get mapped (): Endpoint | undefined { return this.#mapped }

  /** Milliseconds; smoothed. */
  get roundTrip (): number | undefined { return this.#roundTrip }

  /** Why it is not registered. */
  get reason (): string | undefined { return this.isRegistered ? undefined : this.#reason }

  /** Registers now, also where it is registered or waits. */
  start (): void {
    this.#stopWork()
    void this.#resolve()
  }

  /** Registers after a while, as after an attempt that has failed. */
  startLater (): void {
    this.#stopWork()
    this.#wait()
  }

  stop (): void {
    this.#stopWork()
    this.#state = 'idle'
  }

  /** Looks earlier than usual whether it is still registered at the endpoint that it has now: something that came by the socket has stopped. */
  check (): void {
    if (this.#state === 'registered') this.#keepAfter(Math.min(this.#keptAt + MIN_INTERVAL, this.#dueAt) - this.#init.clock.now())
  }

  /** Takes a 0x100 of the helper. @returns whether it is one */
  receive ({ message: { op, id, ip, port }, from }: Incoming): boolean {
    if (op !== Op.keepAlive || !this.isRegistered || !this.#isHelper(from, id)) return false
    if (this.#state !== 'checking') return true // it answers nothing: that anybody could send
    if (this.#repeats === 0) this.#measured(this.#init.clock.now() - this.#keptAt)
    this.#state = 'registered'
    this.#keepAfter(INTERVAL - (this.#init.clock.now() - this.#keptAt))
    if (ip !== undefined && port !== undefined) this.#see({ host: addressText(ip), port })
    return true
  }

  #isHelper (from: Endpoint, id: Uint8Array | undefined): boolean {
    return this.#endpoint !== undefined && isSame(from, this.#endpoint) && this.#id !== undefined && id !== undefined && Buffer.compare(id, this.#id) === 0
  }

  #stopWork (): void {
    this.#attempt++
    this.#request?.close()
    this.#request = undefined
    this.#init.clock.clear(this.#timer)
  }

  async #resolve (): Promise<void> {
    const attempt = this.#attempt
    this.#state = 'resolving'
    try {
      const endpoint = await this.#init.resolve(this.named)
      if (attempt !== this.#attempt) return
      if (this.#endpoint !== undefined && !isSame(endpoint, this.#endpoint)) this.#id = undefined
      this.#endpoint = endpoint
    } catch (err) {
      if (attempt === this.#attempt) this.#fail((err as Error).message)
      return
    }
    this.#ask()
  }

  /** Twice where the id of the helper is not known yet: the first answer tells it. */
  #ask (): void {
    const { requests, kind } = this.#init
    const to = this.#endpoint as Endpoint
    const target = this.#id ?? UNKNOWN_ID
    this.#state = 'asking'
    this.#isUntouched = false
    this.#request = requests.open({
      op: Op.directRequest,
      to,
      target,
      fields: () => ({ kind: kind() }),
      onAnswer: ({ message: { id, ip, port } }, roundTrip) => {
        this.#request?.close()
        this.#measured(roundTrip)
        this.#id = Uint8Array.from(id as Uint8Array)
        if (target === UNKNOWN_ID) this.#ask()
        else this.#registered()
        if (ip !== undefined && port !== undefined) this.#see({ host: addressText(ip), port })
      },
      onFailed: () => {
        this.#id = undefined // another one may have taken its place
        this.#fail('no answer')
      }
    })
    if (this.#request === undefined) this.#fail('too many requests are open')
  }

  #registered (): void {
    this.#state = 'registered'
    this.#reason = undefined
    this.#init.backoff.online()
    this.#keepAfter(INTERVAL)
    this.#init.onRegistered()
  }

  #fail (reason: string): void {
    this.#reason = reason
    this.#init.onLost(reason, this.#wait())
  }

  #wait (): number {
    this.#state = 'waiting'
    const wait = this.#init.backoff.next()
    this.#timer = this.#init.clock.set(wait, () => { this.start() })
    return wait
  }

  #keepAfter (ms: number): void {
    const { clock } = this.#init
    clock.clear(this.#timer)
    this.#dueAt = clock.now() + ms
    this.#timer = clock.set(Math.max(1, ms), this.#keep)
  }

  readonly #keep = (): void => {
    const { clock, send, own } = this.#init
    if (this.#state === 'registered') {
      this.#state = 'checking'
      this.#repeats = 0
    } else if (this.#repeats++ === MAX_REPEATS) {
      this.start()
      return
    }
    this.#keptAt = clock.now()
    send({ op: Op.keepAlive, id: own, seq: 0, ts: 0 }, this.#endpoint as Endpoint)
    this.#keepAfter(REPEAT_INTERVAL)
  }

  #measured (roundTrip: number): void {
    this.#roundTrip = this.#roundTrip === undefined ? roundTrip : this.#roundTrip * 0.875 + roundTrip * 0.125
  }

  #see (mapped: Endpoint): void {
    const before = this.#mapped
    if (before !== undefined && isSame(mapped, before)) return
    this.#mapped = mapped
    this.#init.onMapped(mapped, before)
  }
}

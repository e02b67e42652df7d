/** Keeps a mapping: asks for it, again before it ends, again after a failure, and for its removal. */
import type { HeldMapping, MappingAnswer, MappingProtocol } from './messages.ts'
import { printable } from '../../text/printable.ts'
import type { Clock, Endpoint, Timer } from '../../types.ts'

/** Milliseconds until a mapping is asked for again, as gateways grant less, and forget all when they start again; and until the next attempt after a failure. */
const RENEW_TIME = 600_000
const RETRY_TIME = 60_000
/** The least, whatever lease a gateway grants. */
const LEAST_RENEW_TIME = 30_000

/** Milliseconds for the removal at the end. */
const CLOSE_TIME = 2000

/** The state of a `PortMapping`. */
export interface PortMappingStatus {
  /** `none`: there is no gateway that can, or its address is not public (double NAT). `failed`: the attempt has failed, or took too long. */
  readonly state: 'off' | 'looking' | 'mapped' | 'none' | 'failed'
  /** The endpoint of this port outside; when it is `mapped`, until the time has ended that the gateway has granted. */
  readonly external?: Endpoint
  readonly by?: MappingProtocol
  /** For people: why there is none, or why the last renewal has failed. */
  readonly reason?: string
}

export interface MappingKeeperInit {
  /** Settles after its signal is aborted as well, and never rejects. */
  ask: (kind: 'map' | 'unmap', held: HeldMapping | undefined, signal: AbortSignal) => Promise<MappingAnswer>
  /** Milliseconds for one attempt. */
  timeout: number
  onChange: ((status: PortMappingStatus) => void) | undefined
  clock: Clock
}

export class MappingKeeper {
  readonly #init: MappingKeeperInit
  readonly #clock: Clock
  #status: PortMappingStatus = { state: 'off' }
  #held: HeldMapping | undefined
  /** Ends what is asked now. */
  #asking: AbortController | undefined
  #attempt: Promise<void> | undefined
  #next: Timer | undefined
  #expiry: Timer | undefined
  #closing: Promise<void> | undefined

  constructor (init: MappingKeeperInit) {
    this.#init = init
    this.#clock = init.clock
  }

  get status (): PortMappingStatus { return this.#status }

  /** False when it has begun, or is closed. */
  start (): boolean {
    if (this.#status.state !== 'off' || this.#closing !== undefined) return false
    this.#set({ state: 'looking' })
    this.#attempt = this.#try()
    return true
  }

  close (): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close (): Promise<void> {
    this.#clock.clear(this.#next)
    this.#clock.clear(this.#expiry)
    this.#asking?.abort(new Error('closed'))
    await this.#attempt
    if (this.#held !== undefined) await this.#ask('unmap', CLOSE_TIME)
    this.#held = undefined
    this.#set({ state: 'off' })
  }

  async #try (): Promise<void> {
    const answer = await this.#ask('map', this.#init.timeout)
    // one that came in spite of the end is to be removed as well
    if (this.#closing === undefined) this.#take(answer)
    else if (answer.kind === 'mapped') this.#held = answer.held
  }

  async #ask (kind: 'map' | 'unmap', time: number): Promise<MappingAnswer> {
    const asking = this.#asking = new AbortController()
    const timer = this.#clock.set(time, () => { asking.abort(new Error(`no result within ${time} ms`)) })
    if (kind === 'map') timer.unref() // a removal holds the process
    const answer = await this.#init.ask(kind, this.#held, asking.signal)
    this.#clock.clear(timer)
    this.#asking = undefined
    return answer
  }

  #take (answer: MappingAnswer): void {
    let next = RETRY_TIME
    if (answer.kind === 'mapped') {
      const { external, held, lease } = answer
      this.#held = held
      this.#clock.clear(this.#expiry)
      this.#expiry = this.#clock.set(lease * 1000, () => { this.#expire() }).unref()
      next = Math.max(LEAST_RENEW_TIME, Math.min(RENEW_TIME, lease * 500))
      this.#set({ state: 'mapped', external, by: held.by })
    } else if (answer.kind !== 'unmapped') {
      const reason = printable(answer.reason)
      if (this.#held !== undefined && !answer.isGone) {
        this.#set({ ...this.#status, reason }) // the gateway has it still
      } else {
        this.#forget()
        this.#set({ state: answer.kind, reason })
        if (answer.kind === 'none') next = RENEW_TIME
      }
    }
    this.#next = this.#clock.set(next, () => { this.#attempt = this.#try() }).unref()
  }

  #expire (): void {
    const { reason = 'its time has ended' } = this.#status
    this.#forget()
    this.#set({ state: 'failed', reason })
  }

  #forget (): void {
    this.#clock.clear(this.#expiry)
    this.#held = undefined
  }

  #set (status: PortMappingStatus): void {
    const { state, external, by } = this.#status
    const isSame = state === status.state && by === status.by && external?.host === status.external?.host && external?.port === status.external?.port
    this.#status = status
    if (!isSame) this.#init.onChange?.(status)
  }
}

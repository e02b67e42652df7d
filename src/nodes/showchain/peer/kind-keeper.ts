/** When the kind of the own NAT is looked for, by which socket and which helpers (SHOW CHAIN protocol, section 4.1). */
import { normalizeAddress } from '../../../net/client-address.ts'
import type { NatKind } from '../../../nat/index.ts'
import type { Clock, Endpoint, Timer } from '../../../types.ts'
import type { OpenRequests } from '../protocol/requests.ts'
import type { RegistrationClient } from '../protocol/registration-client.ts'
import type { Helper, Helpers } from './helpers.ts'
import { askForId, findKind, type KindReport, type KnownHelper } from './kind-finder.ts'

/** Milliseconds until it is looked for again, when something could not be tested; doubled each time, up to the second. */
const RETRY = 30_000
const LONGEST_RETRY = 300_000

/** Milliseconds between two times, at least, when the mapped endpoint changes all the time. */
const MIN_INTERVAL = 30_000

/** Milliseconds for which the second helper may keep others waiting, at the start. */
const MAX_HOLD = 15_000

/** A further socket, for a moment. */
export interface Scout {
  readonly requests: OpenRequests
  close (): void
}

export interface KindKeeperInit {
  clock: Clock
  helpers: Helpers
  /** Of the socket of the node. */
  requests: OpenRequests
  openScout (): Promise<Scout>
  resolve (named: Endpoint): Promise<Endpoint>
  /** Another kind, or another endpoint outside. */
  onChanged (): void
  onFound (report: KindReport): void
}

export class KindKeeper {
  readonly #init: KindKeeperInit
  readonly #abort = new AbortController()
  #report: KindReport | undefined
  #isRunning = false
  #isStale = true
  /** Endpoints outside, so far. */
  #changes = 0
  #ranAt = -Infinity
  #retry = RETRY
  #timer: Timer | undefined
  #holdTimer: Timer | undefined

  constructor (init: KindKeeperInit) {
    this.#init = init
    this.#holdTimer = init.clock.set(MAX_HOLD, () => { if (!this.#isRunning) init.helpers.release() }) // else that does it: a filter that is tested must not be opened meanwhile
  }

  /** What was found out last. */
  get report (): KindReport | undefined { return this.#report }

  get kind (): NatKind | undefined { return this.#report?.kind }

  /** It is being looked for. */
  get isRunning (): boolean { return this.#isRunning }

  /** A helper is registered, or sees another endpoint of this node. */
  look (hasChanged: boolean): void {
    if (hasChanged) {
      this.#isStale = true
      this.#changes++
      this.#retry = RETRY
      this.#init.onChanged()
    }
    if (this.#isStale) this.#start()
  }

  close (): void {
    this.#init.clock.clear(this.#timer)
    this.#init.clock.clear(this.#holdTimer)
    this.#abort.abort()
  }

  #start (): void {
    const { clock, helpers } = this.#init
    if (this.#isRunning || this.#abort.signal.aborted) return
    const [first] = helpers.registered
    if (first === undefined) return
    const early = this.#ranAt + MIN_INTERVAL - clock.now()
    if (early > 0) {
      this.#again(early)
      return
    }
    const second = this.#second(first)
    if (second === undefined) {
      helpers.release() // which may find a second one
      return
    }
    clock.clear(this.#timer)
    this.#isRunning = true
    this.#ranAt = clock.now()
    this.#run(first, second).catch(() => {}).finally(() => {
      this.#isRunning = false
      this.#ended()
    })
  }

  /** One that nothing was sent to, if there is one; at another address, if there is one. */
  #second (first: Helper): RegistrationClient | undefined {
    const others = this.#init.helpers.all.filter((client) => client !== first && (isFresh(client) || client.isRegistered))
    const isElsewhere = ({ endpoint, named }: RegistrationClient): boolean => normalizeAddress((endpoint ?? named).host) !== normalizeAddress(first.endpoint.host)
    return others.find((client) => isFresh(client) && isElsewhere(client)) ?? others.find((client) => client.isRegistered && isElsewhere(client)) ?? others[0]
  }

  async #run (first: Helper, second: RegistrationClient): Promise<void> {
    const { clock, requests, openScout } = this.#init
    const { signal } = this.#abort
    const scout = await openScout()
    try {
      const known = await this.#known(second, scout)
      if (known === undefined || signal.aborted) return
      // A filter of the node's own socket is open for those that it has sent to: then another socket shows what the NAT does
      const isUntouched = second.isUntouched
      const by = isUntouched ? requests : scout.requests
      const change = this.#changes
      const report = await findKind({ clock, requests: by, helpers: [{ endpoint: first.endpoint, id: first.id }, known], signal })
      const { kind } = this.#report ?? {}
      if (report.kind === undefined && kind !== undefined) return
      if (change !== this.#changes || isUntouched !== second.isUntouched) return // it is not what was tested any more
      this.#report = report
      this.#isStale = !report.isCertain
      this.#init.onFound(report)
      if (report.kind !== kind) this.#init.onChanged()
    } finally {
      scout.close()
    }
  }

  async #known ({ endpoint, id, named, isUntouched }: RegistrationClient, { requests }: Scout): Promise<KnownHelper | undefined> {
    if (endpoint !== undefined && id !== undefined) return { endpoint, id }
    if (!isUntouched) return undefined // the other socket would open its own filter
    const at = await this.#init.resolve(named)
    const answered = await askForId(requests, at)
    return answered === undefined ? undefined : { endpoint: at, id: answered }
  }

  #ended (): void {
    const { clock, helpers } = this.#init
    clock.clear(this.#holdTimer)
    helpers.release()
    if (!this.#isStale || this.#abort.signal.aborted) return
    this.#again(this.#retry)
    this.#retry = Math.min(LONGEST_RETRY, 2 * this.#retry)
  }

  #again (ms: number): void {
    const { clock } = this.#init
    clock.clear(this.#timer)
    this.#timer = clock.set(ms, () => { this.#start() })
  }
}

/** Nothing was sent to it, and nobody is about to. */
const isFresh = ({ isUntouched, state }: RegistrationClient): boolean => isUntouched && state === 'idle'

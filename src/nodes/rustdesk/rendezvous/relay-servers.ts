/** The relays that peers are told, in turn: those that are alive, and not much slower to reach than the fastest. */
import { ProbeTimes } from './probe-times.ts'
import { readEndpoint, readHost } from '../../../net/endpoint.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { Clock, Endpoint } from '../../../types.ts'

/** The port of a relay that is named without one. */
const DEFAULT_PORT = 21117

/** Relays that are kept. */
const MOST_RELAYS = 256

/** Whether a relay accepts connections. Settles within a bounded time. */
export type Probe = (relay: Endpoint) => Promise<boolean>

/** Where to connect to; undefined for what is neither a host nor a host with a port. */
export function relayEndpoint (text: string): Endpoint | undefined {
  const host = readHost(text)
  if (host !== undefined) return { host, port: DEFAULT_PORT }
  const endpoint = readEndpoint(text)
  return endpoint === undefined || endpoint.port === 0 ? undefined : endpoint
}

export interface RelayServersInit {
  /** See {@link RelayServers.isPlain}. Default: false. */
  isPlain?: boolean
  /** Of the times that probes take. Default: that of the system. */
  clock?: Clock
}

export class RelayServers {
  /** All that are alive are told, however slow they are, as by the original. */
  isPlain: boolean
  #all: readonly string[] = []
  #told: readonly string[] = []
  #turn = 0
  /** Changes with the list, so that a check of an older one does not count. */
  #version = 0
  #isChecking = false
  readonly #times = new ProbeTimes()
  readonly #clock: Clock

  constructor ({ isPlain = false, clock = systemClock }: RelayServersInit = {}) {
    this.isPlain = isPlain
    this.#clock = clock
  }

  /** All of them. */
  get all (): readonly string[] { return this.#all }

  /** Those that are told, in their order. */
  get live (): readonly string[] { return this.#told }

  /** Replaces the list. What names no host is left out; none of the names is looked up here, so that one that does not resolve now may do so later. */
  configure (texts: readonly string[]): void {
    this.#all = this.#told = texts.filter((text) => relayEndpoint(text) !== undefined).slice(0, MOST_RELAYS)
    this.#times.clear()
    this.#version++
  }

  /** The next one in turn; empty: there is none. */
  readonly next = (): string => {
    const told = this.#told
    if (told.length < 2) return told[0] ?? ''
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER
    return told[(this.#turn - 1) % told.length]
  }

  /** Finds out which are alive, and how long they take, where there are several. With none alive all stays as it was. Never rejects. */
  async check (probe: Probe): Promise<void> {
    if (this.#all.length < 2 || this.#isChecking) return
    this.#isChecking = true
    const version = this.#version
    const before = this.#clock.now()
    const live: string[] = []
    await Promise.all(this.#all.map(async (text) => {
      const isAlive = await probe(relayEndpoint(text) as Endpoint).catch(() => false)
      if (version !== this.#version) return
      if (isAlive) {
        live.push(text)
        this.#times.add(text, this.#clock.now() - before)
      } else {
        this.#times.forget(text)
      }
    }))
    this.#isChecking = false
    if (version === this.#version && live.length > 0) this.#told = this.isPlain ? live : this.#times.quick(live)
  }
}

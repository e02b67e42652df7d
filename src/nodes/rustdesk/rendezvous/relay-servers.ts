/** The relays that peers are told, in turn: those that are alive. */
import { readEndpoint, readHost } from '../../../net/endpoint.ts'
import type { Endpoint } from '../../../types.ts'

/** The port of a relay that is named without one. */
const DEFAULT_PORT = 21117

/** Relays that are kept. */
const MOST_RELAYS = 256

/** Whether a relay accepts connections. Never rejects. */
export type Probe = (relay: Endpoint) => Promise<boolean>

/** Where to connect to; undefined for what is neither a host nor a host with a port. */
export function relayEndpoint (text: string): Endpoint | undefined {
  const host = readHost(text)
  if (host !== undefined) return { host, port: DEFAULT_PORT }
  const endpoint = readEndpoint(text)
  return endpoint === undefined || endpoint.port === 0 ? undefined : endpoint
}

export class RelayServers {
  #all: readonly string[] = []
  #live: readonly string[] = []
  #turn = 0
  /** Changes with the list, so that a check of an older one does not count. */
  #version = 0
  #isChecking = false

  /** All of them. */
  get all (): readonly string[] { return this.#all }

  /** Those that are told, in their order. */
  get live (): readonly string[] { return this.#live }

  /** Replaces the list. What names no host is left out; none of the names is looked up here. */
  configure (texts: readonly string[]): void {
    this.#all = this.#live = texts.filter((text) => relayEndpoint(text) !== undefined).slice(0, MOST_RELAYS)
    this.#version++
  }

  /** The next one in turn; empty: there is none. */
  readonly next = (): string => {
    const live = this.#live
    if (live.length < 2) return live[0] ?? ''
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER
    return live[(this.#turn - 1) % live.length]
  }

  /** Finds out which are alive, where there are several. With none alive all stays as it was. */
  async check (probe: Probe): Promise<void> {
    if (this.#all.length < 2 || this.#isChecking) return
    this.#isChecking = true
    const version = this.#version
    const live: string[] = []
    await Promise.all(this.#all.map(async (text) => {
      if (await probe(relayEndpoint(text) as Endpoint)) live.push(text)
    }))
    this.#isChecking = false
    if (version === this.#version && live.length > 0) this.#live = live
  }
}

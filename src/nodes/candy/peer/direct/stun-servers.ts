/** The servers of STUN of a peer: their names, and what they have said. */
import { lookup } from 'node:dns/promises'
import { isIPv4 } from 'node:net'
import { isSame } from './path.ts'
import type { StunResult } from '../../../../nat/index.ts'
import { endpointText } from '../../../../net/endpoint.ts'
import type { Logger } from '../../../../log.ts'
import { reasonOf } from '../../../../text/printable.ts'
import type { Endpoint } from '../../../../types.ts'

/** A server by its name. */
export interface StunServer {
  /** As it was named. */
  readonly name: string
  /** Undefined when the name has no address. */
  readonly address: Endpoint | undefined
  /** Why it was not found when it was looked up last. */
  readonly error?: string
}

/** What a server has said. */
export interface DirectStunStatus {
  /** `HOST:PORT`, as it was named. */
  readonly server: string
  readonly status: StunResult['status'] | 'not found'
  /** Of the socket, as the server sees it. */
  readonly endpoint?: string
  /** Milliseconds. */
  readonly roundTrip?: number
  /** For people. */
  readonly error?: string
}

/** Milliseconds between two times that names are looked up. */
const LOOKUP_INTERVAL = 30_000

/** Finds an IPv4 address of a name. */
export type FindAddress = (host: string) => Promise<string>

const findAddress: FindAddress = async (host) => (await lookup(host, { family: 4 })).address

export interface StunServersInit {
  named: readonly Endpoint[]
  log: Pick<Logger, 'warn'>
  /** Default: by the resolver of the machine. */
  find?: FindAddress
}

/** Servers, whose names are looked up when that is of use. */
export class StunServers {
  readonly #init: Required<StunServersInit>
  #all: readonly StunServer[]
  #addresses: readonly Endpoint[]
  #lookedUpAt = -Infinity
  #isLookingUp = false

  constructor ({ named, log, find = findAddress }: StunServersInit) {
    this.#init = { named, log, find }
    this.#all = named.map((server) => ({ name: endpointText(server), address: isIPv4(server.host) ? server : undefined }))
    this.#addresses = addressesOf(this.#all)
  }

  get all (): readonly StunServer[] { return this.#all }

  /** Those that are known; the same array as long as they are the same. */
  get addresses (): readonly Endpoint[] { return this.#addresses }

  /** A name has no address, as far as is known. */
  get isIncomplete (): boolean { return this.#all.some(({ address }) => address === undefined) }

  /** Names were asked for not long ago, and are not answered yet. */
  isWaiting (now: number, patience: number): boolean { return this.#isLookingUp && now - this.#lookedUpAt < patience }

  /** Looks the names up, but not again soon. */
  lookUp (now: number): void {
    if (this.#isLookingUp || now - this.#lookedUpAt < LOOKUP_INTERVAL || this.#init.named.every(({ host }) => isIPv4(host))) return
    this.#isLookingUp = true
    this.#lookedUpAt = now
    void this.#lookUp()
  }

  async #lookUp (): Promise<void> {
    const all = await Promise.all(this.#init.named.map((server, i) => this.#find(server, this.#all[i])))
    this.#isLookingUp = false
    this.#all = all
    const addresses = addressesOf(all)
    if (addresses.length !== this.#addresses.length || addresses.some((address, i) => !isSame(this.#addresses[i], address))) this.#addresses = addresses
  }

  /** A name that is not found keeps the address that it had. */
  async #find ({ host, port }: Endpoint, { name, address, error: before }: StunServer): Promise<StunServer> {
    try {
      return { name, address: { host: await this.#init.find(host), port } }
    } catch (err) {
      const error = reasonOf(err as Error)
      if (error !== before) this.#init.log.warn({ server: name, reason: error }, 'STUN server not found')
      return { name, address, error }
    }
  }
}

const addressesOf = (servers: readonly StunServer[]): readonly Endpoint[] => servers.flatMap(({ address }) => address ?? [])

/** @param results of those servers that have an address, in their order */
export function stunStatus (servers: readonly StunServer[], results: readonly StunResult[]): DirectStunStatus[] {
  let next = 0
  return servers.map(({ name, address, error }): DirectStunStatus => {
    if (address === undefined) return error === undefined ? { server: name, status: 'pending' } : { server: name, status: 'not found', error }
    const result = results[next++]
    if (result === undefined) return { server: name, status: 'pending' }
    const { status, reflexive, roundTrip, error: said } = result
    return {
      server: name,
      status,
      ...(reflexive !== undefined && { endpoint: endpointText(reflexive) }),
      ...(roundTrip !== undefined && { roundTrip }),
      ...(said !== undefined && { error: said })
    }
  })
}

/** Where members reach this peer: the endpoint that servers of STUN see, a mapped port, and the addresses of the machine. */
import { isLocalAddress } from './path.ts'
import { formatAddress, parseAddress } from '../../../../net/ipv4.ts'
import type { Datagram, Endpoint } from '../../../../types.ts'
import { StunClient, type StunResult } from '../../../../nat/index.ts'
import { MAX_CANDIDATES, type CandidateEndpoint } from '../../protocol/introduction.ts'

/** Milliseconds for which an answer counts: a NAT keeps a mapping at least that long. */
const FRESH = 10_000

export interface OwnEndpointInit {
  /** Addresses of servers of STUN; may be none. */
  servers: readonly Endpoint[]
  /** The port of the socket. */
  port: number
  /** Addresses of the machine, the best first. */
  hosts (): readonly string[]
  /** The endpoint that a gateway forwards to the socket; undefined: none. */
  mapped (): Endpoint | undefined
}

export class OwnEndpoint {
  readonly #init: OwnEndpointInit
  readonly #stun: StunClient | undefined
  #startedAt = -Infinity
  #knownAt = -Infinity

  constructor (init: OwnEndpointInit) {
    this.#init = init
    this.#stun = init.servers.length === 0 ? undefined : new StunClient({ servers: init.servers })
  }

  /** What servers of STUN have said. */
  get results (): readonly StunResult[] { return this.#stun?.results ?? [] }

  /** Asks for the endpoint, unless the answer is new. */
  prepare (now: number): void {
    if (this.#stun === undefined || now - this.#knownAt < FRESH || (!this.#stun.isDone && now - this.#startedAt < FRESH)) return
    this.#startedAt = now
    this.#stun.start(now)
  }

  /** Whether the endpoint is known, or will not be. */
  isPrepared (now: number): boolean { return this.#stun === undefined || now - this.#knownAt < FRESH || (this.#startedAt > -Infinity && this.#stun.isDone) }

  poll (now: number): Datagram[] { return this.#stun?.poll(now) ?? [] }

  /** Whether the datagram was an answer of a server of STUN. */
  receive (datagram: Datagram, now: number): boolean {
    if (this.#stun?.receive(datagram, now) !== true) return false
    if (this.#stun.reflexive !== undefined) this.#knownAt = now
    return true
  }

  /** The endpoint outside; where nobody has told one, that of the machine. Undefined when there is none at all. */
  get endpoint (): Endpoint | undefined { return this.#stun?.reflexive ?? this.#init.mapped() ?? this.local }

  /** The endpoint in the own network. */
  get local (): Endpoint | undefined {
    const [host] = this.#init.hosts()
    return host === undefined ? undefined : { host, port: this.#init.port }
  }

  /** All of them, the best first. */
  get candidates (): CandidateEndpoint[] {
    const candidates: CandidateEndpoint[] = []
    const add = (kind: CandidateEndpoint['kind'], endpoint: Endpoint | undefined): void => {
      const address = endpoint === undefined ? undefined : parseAddress(endpoint.host)
      if (address === undefined || endpoint === undefined || candidates.some((other) => other.address === address && other.port === endpoint.port)) return
      candidates.push({ kind, address, port: endpoint.port })
    }
    for (const host of this.#init.hosts()) add('host', { host, port: this.#init.port })
    add('mapped', this.#init.mapped())
    add('reflexive', this.#stun?.reflexive)
    return candidates.slice(0, MAX_CANDIDATES)
  }
}

/** Whether members may be sent datagrams at an address that somebody has told: that of a host. */
export function isUsable (address: number, port: number): boolean {
  const first = address >>> 24
  return port > 0 && first !== 0 && first !== 127 && first < 224
}

/** As a remote endpoint; undefined where nothing is to be sent. */
export const endpointOf = (address: number, port: number): { host: string, port: number, isLocal: boolean } | undefined =>
  isUsable(address, port) ? { host: formatAddress(address), port, isLocal: isLocalAddress(address) } : undefined

/** Where members reach this peer: the endpoint that servers of STUN see, a mapped port, and the addresses of the machine. */
import type { RemoteEndpoint } from './path.ts'
import { gatherCandidates, isLocalAddress, scopeOf, StunClient, type Candidate, type CandidatesInit, type StunResult } from '../../../../nat/index.ts'
import { formatAddress } from '../../../../net/ipv4.ts'
import type { Datagram, Endpoint } from '../../../../types.ts'

/** Milliseconds for which an answer counts: a NAT keeps a mapping at least that long. */
const FRESH = 10_000

export interface OwnEndpointInit {
  /** Addresses of servers of STUN; may be none. */
  servers: readonly Endpoint[]
  /** The port of the socket. */
  port: number
  /** Those of the machine that members may know. */
  interfaces (): CandidatesInit['interfaces']
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
  get local (): Endpoint | undefined { return this.candidates.find(({ type }) => type === 'host') }

  /** All of them, the best first. */
  get candidates (): Candidate[] {
    const { port, interfaces, mapped } = this.#init
    const reflexive = this.#stun?.reflexive
    return gatherCandidates({ port, interfaces: interfaces(), mapped: mapped(), reflexive: reflexive === undefined ? [] : [reflexive] })
  }
}

/** An endpoint that somebody has told. Undefined where no host can be. */
export function endpointOf (address: number, port: number): RemoteEndpoint | undefined {
  return port === 0 || scopeOf(address) === 'special' ? undefined : { host: formatAddress(address), port, isLocal: isLocalAddress(address) }
}

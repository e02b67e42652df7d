/** Where members reach this peer: the endpoint that servers of STUN see, a mapped port, and the addresses of the machine. */
import { isSame, type RemoteEndpoint } from './path.ts'
import { gatherCandidates, isLocalAddress, NatDetection, scopeOf, StunClient, type Candidate, type CandidatesInit } from '../../../../nat/index.ts'
import { stunStatus, type DirectStunStatus, type StunServer } from './stun-servers.ts'
import { formatAddress } from '../../../../net/ipv4.ts'
import { decodeNat, encodeNat, type NatKind } from '../../protocol/nat-code.ts'
import type { Datagram, Endpoint } from '../../../../types.ts'

/** Milliseconds for which an answer counts: a NAT keeps a mapping at least that long. */
const FRESH = 10_000

/** Milliseconds until a server is asked again, doubled each time. */
const STUN_TIMEOUT = 250

export interface OwnEndpointInit {
  /** May be none. */
  servers: readonly StunServer[]
  /** How often each is asked. */
  tries: number
  /** The port of the socket. */
  port: number
  /** Those of the machine that members may know. */
  interfaces (): CandidatesInit['interfaces']
  /** The endpoint that a gateway forwards to the socket; undefined: none. */
  mapped (): Endpoint | undefined
  /** An address of the loopback: only peers of this machine are members, and it is the only candidate. */
  loopback?: string | undefined
}

export class OwnEndpoint {
  readonly #init: OwnEndpointInit
  readonly #stun: StunClient | undefined
  readonly #servers: readonly Endpoint[]
  #detection: NatDetection | undefined
  /** The endpoint whose NAT `#detection` looks at. */
  #detected: Endpoint | undefined
  #startedAt = -Infinity
  #knownAt = -Infinity

  constructor (init: OwnEndpointInit) {
    this.#init = init
    this.#servers = init.servers.flatMap(({ address }) => address ?? [])
    this.#stun = this.#servers.length === 0 ? undefined : new StunClient({ servers: this.#servers, tries: init.tries, timeout: STUN_TIMEOUT })
  }

  /** What servers of STUN have said. */
  get results (): DirectStunStatus[] { return stunStatus(this.#init.servers, this.#stun?.results ?? []) }

  /** The byte of an introduction for the NAT of this peer. */
  get nat (): number { return this.#detection === undefined ? 0 : encodeNat(this.#detection.behaviour) }

  get natKind (): NatKind { return decodeNat(this.nat) }

  /** Asks for the endpoint, unless the answer is new. */
  prepare (now: number): void {
    if (this.#stun === undefined || now - this.#knownAt < FRESH || (!this.#stun.isDone && now - this.#startedAt < FRESH)) return
    this.#startedAt = now
    this.#stun.start(now)
  }

  /** Whether the endpoint is known, or will not be. */
  isPrepared (now: number): boolean { return this.#stun === undefined || now - this.#knownAt < FRESH || (this.#startedAt > -Infinity && this.#stun.isDone) }

  poll (now: number): Datagram[] {
    if (this.#stun === undefined) return []
    const { reflexive, isDone } = this.#stun
    if (isDone && reflexive !== undefined && !isSame(this.#detected, reflexive)) this.#detect(reflexive, now)
    return [...this.#stun.poll(now), ...this.#detection?.poll(now) ?? []]
  }

  /** Whether the datagram was an answer of a server of STUN. */
  receive (datagram: Datagram, now: number): boolean {
    if (this.#stun?.receive(datagram, now) !== true) return this.#detection?.receive(datagram, now) === true
    if (this.#stun.reflexive !== undefined) this.#knownAt = now
    return true
  }

  /** Looks at the NAT once the endpoint outside is known, and when it has changed: then it is another NAT. */
  #detect (reflexive: Endpoint, now: number): void {
    this.#detected = reflexive
    this.#detection = new NatDetection({ servers: this.#servers, local: this.candidates.filter(({ type }) => type === 'host') })
    this.#detection.start(now)
  }

  /** The endpoint outside; where nobody has told one, that of the machine. Undefined when there is none at all. */
  get endpoint (): Endpoint | undefined { return this.#stun?.reflexive ?? this.#init.mapped() ?? this.local }

  /** The endpoint in the own network. */
  get local (): Endpoint | undefined { return this.candidates.find(({ type }) => type === 'host') }

  /** All of them, the best first. */
  get candidates (): Candidate[] {
    const { port, interfaces, mapped, loopback } = this.#init
    if (loopback !== undefined) return [{ type: 'host', host: loopback, port, scope: 'special', priority: 0 }]
    const reflexive = this.#stun?.reflexive
    return gatherCandidates({ port, interfaces: interfaces(), mapped: mapped(), reflexive: reflexive === undefined ? [] : [reflexive] })
  }
}

/** 127/8. */
export const isLoopback = (address: number): boolean => address >>> 24 === 127

/**
 * An endpoint that somebody has told. Undefined where no host can be.
 *
 * @param isOnLoopback all members are peers of this machine: an endpoint is on its loopback, or there is none
 */
export function endpointOf (address: number, port: number, isOnLoopback = false): RemoteEndpoint | undefined {
  const isUsable = isOnLoopback ? isLoopback(address) : scopeOf(address) !== 'special'
  return port === 0 || !isUsable ? undefined : { host: formatAddress(address), port, isLocal: isLocalAddress(address) }
}

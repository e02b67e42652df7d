/** Where members reach this peer: the endpoint that servers of STUN see, a mapped port, and the addresses of the machine. */
import { isIPv4 } from 'node:net'
import type { RemoteEndpoint } from './path.ts'
import { gatherCandidates, isLocalAddress, NatDetection, scopeOf, StunClient, type Candidate, type CandidatesInit, type PortMappingStatus } from '../../../../nat/index.ts'
import { stunStatus, type DirectStunStatus, type StunServers } from './stun-servers.ts'
import { formatAddress } from '../../../../net/ipv4.ts'
import { decodeNat, encodeNat, type NatKind } from '../../protocol/nat-code.ts'
import type { Datagram, Endpoint } from '../../../../types.ts'

/** Milliseconds for which an answer counts: a NAT keeps a mapping at least that long. */
const FRESH = 10_000

/** Milliseconds until a server is asked again, doubled each time. */
const STUN_TIMEOUT = 250

/** Milliseconds that an attempt, which has ten seconds for this, waits for servers, for their addresses, and for a gateway. */
const ANSWER_TIME = 6000
const LOOKUP_TIME = 3000
const MAPPING_TIME = 1500

export interface OwnEndpointInit {
  /** May be none. */
  servers: StunServers
  /** How often each is asked. */
  tries: number
  /** The port of the socket. */
  port: number
  /** Those of the machine that members may know. */
  interfaces (): CandidatesInit['interfaces']
  /** Begins to ask a gateway for a port, where that is of use and was not done before. */
  map (): void
  mapping (): PortMappingStatus
  /** An address of the loopback: only peers of this machine are members, and it is the only candidate. */
  loopback?: string | undefined
}

export class OwnEndpoint {
  readonly #init: OwnEndpointInit
  /** Of the servers that are asked. */
  #addresses: readonly Endpoint[] = []
  #stun: StunClient | undefined
  #detection: NatDetection | undefined
  /** The address outside of the NAT that `#detection` looks at. */
  #detected: string | undefined
  #startedAt = -Infinity
  #knownAt = -Infinity
  #mappingAt: number | undefined

  constructor (init: OwnEndpointInit) {
    this.#init = init
  }

  /** What servers of STUN have said. */
  get results (): DirectStunStatus[] { return stunStatus(this.#init.servers.all, this.#stun?.results ?? []) }

  /** The byte of an introduction for the NAT of this peer. */
  get nat (): number { return this.#detection === undefined ? 0 : encodeNat(this.#detection.behaviour) }

  get natKind (): NatKind { return decodeNat(this.nat) }

  /** Asks servers of STUN, unless the answer is new; looks for servers where none is of use. */
  ask (now: number): void {
    const { servers } = this.#init
    if (servers.isIncomplete || (this.#stun?.isDone === true && this.#stun.results.every(({ status }) => status === 'no answer'))) servers.lookUp(now)
    if (this.#takeServers(now) || this.#stun === undefined || now - this.#knownAt < FRESH || (!this.#stun.isDone && now - this.#startedAt < FRESH)) return
    this.#start(this.#stun, now)
  }

  /** Begins to find out the endpoint, for an attempt with a member. */
  prepare (now: number): void {
    this.#init.map()
    this.#mappingAt ??= now
    this.ask(now)
  }

  /** Whether the endpoint is known, or will not be. */
  isPrepared (now: number): boolean {
    const { servers, mapping } = this.#init
    if (this.#mappingAt !== undefined && now - this.#mappingAt < MAPPING_TIME && mapping().state === 'looking') return false
    if (this.#stun !== undefined && now - this.#knownAt < FRESH) return true
    if (servers.isWaiting(now, LOOKUP_TIME) || servers.addresses !== this.#addresses) return false
    return this.#stun === undefined || (this.#startedAt > -Infinity && (this.#stun.isDone || now - this.#startedAt >= ANSWER_TIME))
  }

  poll (now: number): Datagram[] {
    this.#takeServers(now)
    if (this.#stun === undefined) return []
    const { isDone } = this.#stun
    const reflexive = this.#reflexive
    if (isDone && reflexive !== undefined && !this.#stun.results.some((result) => result.reflexive?.host === this.#detected)) this.#detect(reflexive.host, now)
    return [...this.#stun.poll(now), ...this.#detection?.poll(now) ?? []]
  }

  /** Whether the datagram was an answer of a server of STUN. */
  receive (datagram: Datagram, now: number): boolean {
    if (this.#stun?.receive(datagram, now) !== true) return this.#detection?.receive(datagram, now) === true
    if (this.#reflexive !== undefined) this.#knownAt = now
    return true
  }

  /** Asks other servers, when other addresses were found; false when they are the same. */
  #takeServers (now: number): boolean {
    const { servers: { addresses }, tries } = this.#init
    if (addresses === this.#addresses) return false
    this.#addresses = addresses
    if (addresses.length === 0) return false
    this.#start(this.#stun = new StunClient({ servers: addresses, tries, timeout: STUN_TIMEOUT }), now)
    return true
  }

  #start (stun: StunClient, now: number): void {
    this.#startedAt = now
    stun.start(now)
  }

  /**
   * Looks at the NAT once the address outside is known, and when it has changed: then it is another NAT. Another port alone is another
   * mapping of the same one. Mappings of another NAT let in what was sent to since, which are the servers.
   */
  #detect (outside: string, now: number): void {
    this.#detected = outside
    this.#detection = new NatDetection({ servers: this.#addresses, sentTo: this.#addresses, local: this.candidates.filter(({ type }) => type === 'host') })
    this.#detection.start(now)
  }

  /** What servers have seen; the socket has IPv4 only, so another endpoint is none of it. */
  get #reflexive (): Endpoint | undefined {
    const { reflexive, results = [] } = this.#stun ?? {}
    return [reflexive, ...results.map(({ reflexive }) => reflexive)].find((endpoint) => endpoint !== undefined && isIPv4(endpoint.host))
  }

  /** The endpoint outside; where nobody has told one, that of the machine. Undefined when there is none at all. */
  get endpoint (): Endpoint | undefined { return this.#reflexive ?? this.#init.mapping().external ?? this.local }

  /** The endpoint in the own network. */
  get local (): Endpoint | undefined { return this.candidates.find(({ type }) => type === 'host') }

  /** All of them, the best first. */
  get candidates (): Candidate[] {
    const { port, interfaces, mapping, loopback } = this.#init
    if (loopback !== undefined) return [{ type: 'host', host: loopback, port, scope: 'special', priority: 0 }]
    const reflexive = this.#reflexive
    return gatherCandidates({ port, interfaces: interfaces(), mapped: mapping().external, reflexive: reflexive === undefined ? [] : [reflexive] })
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

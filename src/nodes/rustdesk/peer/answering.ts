/** What a controlled peer does when its server wants a path to another one (RustDesk protocol, section 6.5). */
import { randomUUID } from 'node:crypto'
import { CLIENT_VERSION } from './client-version.ts'
import { meet, PATIENCE, type MeetInit } from './meeting.ts'
import type { PeerPath, Reached } from './paths.ts'
import { dialRelay, readRelay, relayBeside } from './relay-leg.ts'
import { ServerConnection, type DialServerInit } from './server-connection.ts'
import { NatType } from '../protocol/enums.ts'
import { mangleAddress, unmangleAddress } from '../protocol/mangled-address.ts'
import { frames, type Members, type RendezvousMessage } from '../protocol/messages.ts'
import { over } from '../../../layer.ts'
import { wait } from '../../../streams/clock.ts'
import { SourceCounts } from '../../../limits/source-counts.ts'
import { TokenBucket } from '../../../limits/token-bucket.ts'
import type { Logger } from '../../../log.ts'
import { clientKey } from '../../../net/client-address.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { reasonOf } from '../../../text/printable.ts'
import type { Clock, Endpoint } from '../../../types.ts'
import type { PeerTransport } from './transport.ts'

/** Attempts at one time, and those that begin in a second: a datagram that claims to be the server's makes one. */
const MAX_ATTEMPTS = 64
const ATTEMPTS_PER_SECOND = 16

/** Of them those for one address, or one IPv6 /64. */
const MAX_PER_ADDRESS = 16

/** Milliseconds for which another push for the same peer is the same one. */
const DUPLICATE = 100

/** Milliseconds in which the first packet of a connection has opened the NAT. */
const PUNCH_TIME = 30

export interface AnsweringInit {
  transport: PeerTransport
  clock: Clock
  log: Logger
  /** As it was named. */
  server: Endpoint
  /** Of connections to it. */
  dial (): Promise<DialServerInit>
  id: string
  /** What the relay has to be told. */
  key: string
  /** The relay to use in place of that which the server tells. */
  relay: Endpoint | undefined
  /** Other paths than those by the relay are tried. */
  isDirect: boolean
  natType (): number
  /** Microseconds, for addresses in messages. */
  micros (): number
  /** A connection is there. @returns whether it has become a session */
  onReached (reached: Reached): Promise<boolean>
}

/** What the server has wanted of a peer. */
export interface AnsweringStats {
  /** What the server has wanted. */
  pushes: number
  /** Of them those that were dropped: the same again, too many, of no use. */
  dropped: number
}

export class Answering {
  readonly stats: AnsweringStats = { pushes: 0, dropped: 0 }
  readonly #init: AnsweringInit
  readonly #bucket: TokenBucket
  readonly #stop = new AbortController()
  readonly #latest = new Map<string, number>()
  readonly #byAddress = new SourceCounts()
  #attempts = 0

  constructor (init: AnsweringInit) {
    this.#init = init
    this.#bucket = new TokenBucket({ rate: ATTEMPTS_PER_SECOND, burst: MAX_ATTEMPTS }, init.clock.now())
  }

  /** Takes a message of the server. */
  take (message: RendezvousMessage): void {
    const [work, from] = this.#workFor(message)
    if (work === undefined) return
    this.stats.pushes++
    this.#bucket.refill(this.#init.clock.now())
    const source = clientKey(from.host)
    if (this.#stop.signal.aborted || this.#isDuplicate(from) || this.#attempts >= MAX_ATTEMPTS || !this.#byAddress.hasRoom(source, MAX_PER_ADDRESS) || !this.#bucket.take(1)) {
      this.stats.dropped++
      return
    }
    this.#attempts++
    this.#byAddress.add(source)
    work().catch((err: Error) => {
      this.#init.log.warn({ other: endpointText(from), reason: reasonOf(err) }, 'no path to a peer that wants to connect')
    }).finally(() => {
      this.#attempts--
      this.#byAddress.remove(source)
    })
  }

  close (reason: Error): void { this.#stop.abort(reason) }

  #workFor (message: RendezvousMessage): [work: (() => Promise<void>) | undefined, from: Endpoint] {
    const { punch_hole: punch, fetch_local_addr: local, request_relay: relay } = message as RendezvousMessage & Partial<Members>
    const other = punch?.socket_addr ?? local?.socket_addr ?? relay?.socket_addr ?? new Uint8Array(0)
    const from = unmangleAddress(other)
    if (punch != null) return [() => this.#punch(punch, from), from]
    if (local != null) return [() => this.#tellLocal(local, from), from]
    if (relay != null) return [() => this.#relayAsked(relay), from]
    return [undefined, from]
  }

  #isDuplicate (from: Endpoint): boolean {
    const now = this.#init.clock.now()
    for (const [key, at] of this.#latest) {
      if (now - at < DUPLICATE) break // the oldest are the first
      this.#latest.delete(key)
    }
    const key = endpointText(from)
    if (this.#latest.has(key)) return true
    if (this.#latest.size < MAX_ATTEMPTS) this.#latest.set(key, now)
    return false
  }

  /** Both are behind one NAT, or in one network: the other one connects to the address here. */
  async #tellLocal ({ relay_server: relay }: Members['fetch_local_addr'], from: Endpoint): Promise<void> {
    const { id, isDirect, micros } = this.#init
    if (!isDirect) {
      await this.#offerRelay(relay, from, 'direct paths are off')
      return
    }
    const connection = await ServerConnection.dial(await this.#init.dial())
    const { local } = connection
    await this.#meet({
      at: local,
      kind: 'local',
      why: 'the server sees both at one address',
      announce: async () => {
        connection.send({ local_addr: { socket_addr: mangleAddress(from, micros()), local_addr: mangleAddress(local, micros()), relay_server: this.#relayText(relay), id, version: CLIENT_VERSION } })
        await connection.close()
      }
    })
  }

  /** The other one is elsewhere: a packet to it opens the NAT here. */
  async #punch ({ relay_server: relay, nat_type: other, force_relay: isForced }: Members['punch_hole'], from: Endpoint): Promise<void> {
    const { id, isDirect, natType, transport, clock, micros } = this.#init
    const why = !isDirect
      ? 'direct paths are off'
      : isForced
        ? 'the other peer wants a relay'
        : other === NatType.symmetric ? 'the NAT of the other peer is symmetric, or it wants a relay' : natType() === NatType.symmetric ? 'the NAT here is symmetric' : from.port === 0 ? 'the address of the other peer is not known' : undefined
    if (why !== undefined) {
      await this.#offerRelay(relay, from, why)
      return
    }
    const connection = await ServerConnection.dial(await this.#init.dial())
    const { local } = connection
    const ended = new AbortController()
    const outgoing = transport.dial({ ...from, localHost: local.host, localPort: local.port, sharesPort: true, timeout: PATIENCE, signal: AbortSignal.any([ended.signal, this.#stop.signal]) })
    await Promise.race([outgoing.catch(() => {}), wait(clock, PUNCH_TIME)]) // the NAT is open by then
    try {
      await this.#meet({
        at: local,
        kind: 'direct',
        why: 'the NATs let both in',
        outgoing,
        announce: async () => {
          connection.send({ punch_hole_sent: { socket_addr: mangleAddress(from, micros()), id, relay_server: this.#relayText(relay), nat_type: natType(), version: CLIENT_VERSION } })
          await connection.close()
        }
      })
    } finally {
      ended.abort()
    }
  }

  async #meet ({ kind, why, ...init }: Pick<MeetInit, 'at' | 'announce' | 'outgoing'> & Pick<PeerPath, 'kind' | 'why'>): Promise<void> {
    const { transport, clock, onReached } = this.#init
    await meet({
      transport,
      clock,
      ...init,
      signal: this.#stop.signal,
      onLink: (link) => onReached({ link: over(link, frames), path: { kind, endpoint: link.remote, why } })
    })
  }

  /** The other one is told a relay, in place of an address. */
  async #offerRelay (told: string, from: Endpoint, why: string): Promise<void> {
    const { id, micros } = this.#init
    const uuid = randomUUID()
    const connection = await ServerConnection.dial(await this.#init.dial())
    connection.send({ relay_response: { socket_addr: mangleAddress(from, micros()), uuid, relay_server: this.#relayText(told), id, version: CLIENT_VERSION } })
    await connection.close()
    await this.#byRelay(told, uuid, why)
  }

  /** The other one has found no other way. */
  async #relayAsked ({ relay_server: relay, uuid, socket_addr: other }: Members['request_relay']): Promise<void> {
    const { micros } = this.#init
    const connection = await ServerConnection.dial(await this.#init.dial())
    connection.send({ relay_response: { socket_addr: mangleAddress(unmangleAddress(other), micros()), version: CLIENT_VERSION } })
    await connection.close()
    await this.#byRelay(relay, uuid, 'the other peer has found no direct path, or wants a relay')
  }

  async #byRelay (told: string, uuid: string, why: string): Promise<void> {
    const { transport, key, onReached } = this.#init
    const relay = this.#relayOf(told)
    const link = await dialRelay({ transport, relay, uuid, key, signal: this.#stop.signal })
    await onReached({ link, path: { kind: 'relay', endpoint: relay, why } })
  }

  /** The one of this peer, else the one that is told, else the one beside the server. */
  #relayOf (told: string): Endpoint {
    const { relay, server } = this.#init
    return relay ?? readRelay(told) ?? relayBeside(server)
  }

  #relayText (told: string): string { return endpointText(this.#relayOf(told)) }
}

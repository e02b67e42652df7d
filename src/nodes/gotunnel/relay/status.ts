/** The status of a relay: its identities, clients and rates. Plain data, made on request. */
import type { Identity } from './identities.ts'
import type { ServerStatus } from '../../common/status.ts'
import type { MappedPort } from './port.ts'
import type { Session } from './session.ts'
import { newTraffic, type GotunnelRelayStats, type UserTraffic } from './stats.ts'
import { remoteText } from '../../../net/endpoint.ts'
import { TrafficRateMeter, type TrafficRates } from '../../../limits/rate-meter.ts'

/** One mapped port. */
export interface GotunnelPortStatus extends UserTraffic, TrafficRates {
  port: number
  /** The name that its client gave itself. */
  client: string
  /** Address and port of the client. */
  source: string
  mode: 'strict' | 'compatible'
  /** `offline`: its client says that the service is down; `busy`: another program on this machine uses the port. */
  state: 'online' | 'offline' | 'busy'
  /** Seconds since the client registered it. */
  connected: number
}

/** One identity, with its ports. */
export interface GotunnelIdentityStatus extends UserTraffic, TrafficRates {
  name: string
  /** The ports that it may register, as in the settings. */
  allowed: string
  /** Current ports, and their maximum. */
  ports: number
  maxPorts: number
  /** Undefined: only the limit of the relay. */
  maxUsers: number | undefined
  /** Bytes buffered for its users. */
  bufferedBytes: number
  /** Rejected users. */
  turnedAway: GotunnelRelayStats['turnedAway']
  /** By number. */
  mapped: GotunnelPortStatus[]
}

/** A relay, with its identities. */
export interface GotunnelRelayStatus extends GotunnelRelayStats {
  identities: GotunnelIdentityStatus[]
}

/** A relay on a port. */
export interface GotunnelServerStatus extends GotunnelRelayStatus, ServerStatus {}

/** The parts of a relay that have a status. */
export interface StatusSource {
  readonly stats: GotunnelRelayStats
  readonly identities: Iterable<Identity>
  readonly ports: Iterable<MappedPort>
  /** Clients without a port so far. */
  readonly waiting: Session[]
  bufferedBy (identity: Identity): number
  rejectedOf (identity: Identity): GotunnelRelayStats['turnedAway']
}

/** Makes the status of a relay, with rates between the last two samples. */
export class StatusSampler {
  readonly #relay: StatusSource
  readonly #rates = new WeakMap<UserTraffic, TrafficRateMeter>()

  constructor (relay: StatusSource) { this.#relay = relay }

  /** @param now milliseconds of the relay's clock */
  sample (now: number): void {
    for (const { traffic } of [...this.#relay.identities, ...this.#relay.ports]) {
      const rates = this.#rates.get(traffic)
      if (rates === undefined) this.#rates.set(traffic, new TrafficRateMeter(now, traffic))
      else rates.sample(traffic, now)
    }
  }

  /** @param now milliseconds of the relay's clock */
  status (now: number): GotunnelRelayStatus {
    const mapped = [
      ...Array.from(this.#relay.ports, (port) => ({ identity: port.identity, status: this.#port(port.owner, stateOf(port), port.traffic, now) })),
      ...this.#relay.waiting.map((session) => ({ identity: session.identity, status: this.#port(session, 'busy', newTraffic(), now) }))
    ].sort((a, b) => a.status.port - b.status.port)
    return {
      ...this.#relay.stats,
      identities: Array.from(this.#relay.identities, (identity) => this.#identity(identity, mapped.filter((port) => port.identity === identity).map(({ status }) => status)))
    }
  }

  #identity (identity: Identity, mapped: GotunnelPortStatus[]): GotunnelIdentityStatus {
    const { name, traffic, ports: count, settings: { ports, maxPorts, maxUsers } } = identity
    return {
      name,
      allowed: ports.text,
      ports: count,
      maxPorts,
      maxUsers: maxUsers === Infinity ? undefined : maxUsers,
      bufferedBytes: this.#relay.bufferedBy(identity),
      turnedAway: this.#relay.rejectedOf(identity),
      ...this.#traffic(traffic),
      mapped
    }
  }

  #port ({ remotePort, name, remote, isStrict, since }: Session, state: GotunnelPortStatus['state'], traffic: UserTraffic, now: number): GotunnelPortStatus {
    return {
      port: remotePort,
      client: name,
      source: remoteText(remote),
      mode: isStrict ? 'strict' : 'compatible',
      state,
      connected: Math.max(0, Math.round((now - since) / 1000)),
      ...this.#traffic(traffic)
    }
  }

  #traffic (traffic: UserTraffic): UserTraffic & TrafficRates {
    return { ...traffic, drops: { ...traffic.drops }, ...(this.#rates.get(traffic)?.perSecond ?? { rateIn: 0, rateOut: 0 }) }
  }
}

const stateOf = ({ isListening, wantsOnline }: MappedPort): GotunnelPortStatus['state'] => isListening ? 'online' : wantsOnline ? 'busy' : 'offline'

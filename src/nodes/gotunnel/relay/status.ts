/** The status of a relay: its identities, clients and rates. Plain data, made on request. */
import type { Identity } from './identities.ts'
import type { MappedPort } from './port.ts'
import type { GotunnelRelay } from './relay.ts'
import type { Session } from './session.ts'
import { newTraffic, type GotunnelRelayStats, type UserTraffic } from './stats.ts'
import { remoteText } from '../../../net/endpoint.ts'
import { every, type Interval } from '../../../streams/clock.ts'
import { TrafficRateMeter, type TrafficRates } from '../../../limits/rate-meter.ts'

/** Milliseconds between two samples of the counters. */
const SAMPLE_INTERVAL = 1000

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

export interface GotunnelRelayStatus extends GotunnelRelayStats {
  identities: GotunnelIdentityStatus[]
}

/** Samples the counters of a relay once a second, for rates. */
export class StatusSampler {
  readonly #relay: GotunnelRelay
  readonly #rates = new WeakMap<UserTraffic, TrafficRateMeter>()
  readonly #timer: Interval

  constructor (relay: GotunnelRelay) {
    this.#relay = relay
    const { clock } = relay
    this.sample(clock.now())
    this.#timer = every(clock, SAMPLE_INTERVAL, () => { this.sample(clock.now()) }).unref()
  }

  /** @param now milliseconds of the relay's clock */
  sample (now: number): void {
    for (const { traffic } of [...this.#relay.identities, ...this.#relay.ports]) {
      const rates = this.#rates.get(traffic)
      if (rates === undefined) this.#rates.set(traffic, new TrafficRateMeter(now, traffic))
      else rates.sample(traffic, now)
    }
  }

  status (now = this.#relay.clock.now()): GotunnelRelayStatus {
    const mapped = [
      ...Array.from(this.#relay.ports, (port) => ({ identity: port.identity, status: this.#port(port.owner, stateOf(port), port.traffic, now) })),
      ...this.#relay.waiting.map((session) => ({ identity: session.identity, status: this.#port(session, 'busy', newTraffic(), now) }))
    ].sort((a, b) => a.status.port - b.status.port)
    return {
      ...this.#relay.stats,
      identities: Array.from(this.#relay.identities, (identity) => this.#identity(identity, mapped.filter((port) => port.identity === identity).map(({ status }) => status)))
    }
  }

  close (): void { this.#timer.stop() }

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

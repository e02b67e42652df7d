/** What a relay tells about itself to whoever runs it: who is there, and what it does. Plain data, made when it is asked for. */
import type { Identity } from './identities.ts'
import type { MappedPort } from './port.ts'
import type { GotunnelRelay } from './relay.ts'
import type { Session } from './session.ts'
import { newTraffic, type GotunnelRelayStats, type UserTraffic } from './stats.ts'
import { remoteText } from '../../../net/endpoint.ts'
import { every, type Interval } from '../../../streams/clock.ts'
import { TrafficRateMeter, type TrafficRates } from '../../../limits/rate-meter.ts'

/** Milliseconds between two looks at the counters. */
const SAMPLE_INTERVAL = 1000

export interface GotunnelPortStatus extends UserTraffic, TrafficRates {
  port: number
  /** What its client calls itself. */
  client: string
  /** Address and port that the client comes from. */
  source: string
  mode: 'strict' | 'compatible'
  /** `offline`: its client says that there is no service; `busy`: something else on this machine has the port. */
  state: 'online' | 'offline' | 'busy'
  /** Seconds since its client has registered it. */
  connected: number
}

export interface GotunnelIdentityStatus extends UserTraffic, TrafficRates {
  name: string
  /** The ports that it may have, as in the settings. */
  allowed: string
  /** How many ports it has, and may have at one time. */
  ports: number
  maxPorts: number
  /** Undefined: no limit of its own. */
  maxUsers: number | undefined
  /** Bytes that are kept for its users. */
  bufferedBytes: number
  /** Users that were not let in. */
  turnedAway: GotunnelRelayStats['turnedAway']
  /** By their number. */
  mapped: GotunnelPortStatus[]
}

export interface GotunnelRelayStatus extends GotunnelRelayStats {
  identities: GotunnelIdentityStatus[]
}

/** Looks at a relay once a second, so that there are rates to tell. */
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

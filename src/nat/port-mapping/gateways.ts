/** Asks gateways for a mapping by `@achingbrain/nat-port-mapper`: one request, by all ways. */
import type { Gateway } from '@achingbrain/nat-port-mapper'
import { MOST_URL, type HeldMapping, type MappingAnswer, type MappingProtocol, type MappingTask } from './messages.ts'
import { searchGateways } from './search.ts'
import { timeLimit } from './time-limit.ts'
import { scopeOf } from '../address-scope.ts'
import { parseAddress } from '../../net/ipv4.ts'
import { systemClock } from '../../streams/clock.ts'

/** Requests by NAT-PMP, which is over UDP, and milliseconds for each; the package sends none again. */
const TRIES = 3
const TRY_TIME = 800

const UPNP_TIME = 5000
const DESCRIPTION = 'tunpipe'
const NAT_PMP_PORT = 5351

/** Bytes of answers of NAT-PMP, RFC 6886 section 3; a refusal may end behind the time. */
const MAPPED_BYTES = 16
const ADDRESS_BYTES = 12
const REFUSED_BYTES = 8
const MAPPED = 129

export type PortMapper = typeof import('@achingbrain/nat-port-mapper')

/** Of the version of the package that package.json names: what it does not declare. */
interface PmpInternals extends Gateway {
  on (event: 'error', listener: () => void): void
  onMessage (message: Buffer, from: { address: string, port: number }): void
}
interface UpnpInternals extends Gateway {
  getGateway (): Promise<{ run (device: string, action: string, args: Array<[string, string | number]>, options: object): Promise<unknown> }>
}
const WAN_CONNECTION = 'urn:schemas-upnp-org:service:WANIPConnection:2'

/** What a gateway has made, in its words. */
interface Asked { host: string, lease: number, held: HeldMapping }

export class Gateways {
  readonly #mapper: PortMapper
  readonly #task: MappingTask
  readonly #hosts: Set<string>

  /** @param hosts - of `boundedFetch`, by which the package asks: it gets the host of each gateway */
  constructor (mapper: PortMapper, task: MappingTask, hosts: Set<string>) {
    this.#mapper = mapper
    this.#task = task
    this.#hosts = hosts
  }

  /** Asks by each protocol, until a gateway makes a mapping; by that of the mapping which is renewed first. */
  async map (): Promise<MappingAnswer> {
    const { protocols, held: before } = this.#task
    const refusals: string[] = []
    const order: MappingProtocol[] = before?.by === 'upnp' ? ['upnp', 'nat-pmp'] : ['nat-pmp', 'upnp']
    for (const by of order.filter((name) => protocols.includes(name))) {
      const asked = await (by === 'upnp' ? this.#byUpnp() : this.#byNatPmp()).catch((err) => { refusals.push(`${by}: ${String((err as Error)?.message).slice(0, 100)}`) })
      if (asked === undefined) continue
      const { host, lease, held } = asked
      const address = parseAddress(host)
      if (address !== undefined && scopeOf(address) === 'public' && isPort(held.port) && lease > 0) return { kind: 'mapped', external: { host, port: held.port }, held, lease }
      await this.unmap(held)
      return address === undefined || !['private', 'shared'].includes(scopeOf(address))
        ? { kind: 'failed', reason: `${by}: the gateway names no endpoint`, isGone: true }
        : { kind: 'none', reason: `double NAT: the address of the gateway, ${host}, is not public`, isGone: true }
    }
    return { kind: 'none', reason: refusals.length === 0 ? 'no gateway has answered' : refusals.join('; '), isGone: false }
  }

  async unmap (held: HeldMapping): Promise<MappingAnswer> {
    const { address, port } = this.#task
    const removed = held.by === 'nat-pmp'
      ? again(() => this.#askNatPmp(held.gateway, (gateway, signal) => gateway.map(port, address, { protocol: 'udp', autoRefresh: false, ttl: 0, signal })))
      : this.#removeByUpnp(held)
    await removed.catch(() => {}) // its time will end
    return { kind: 'unmapped' }
  }

  async #byNatPmp (): Promise<Asked | undefined> {
    const { gateway: host, address, port, lease } = this.#task
    if (host === undefined) return undefined
    let granted = lease
    const tell = (seconds: number): void => { granted = Math.min(lease, seconds) }
    // the package writes `ttl` as it is, where the protocol has seconds
    const { externalPort } = await again(() => this.#askNatPmp(host, (gateway, signal) => gateway.map(port, address, { protocol: 'udp', autoRefresh: false, ttl: lease, signal }), tell))
    const external = await again(() => this.#askNatPmp(host, (gateway, signal) => gateway.externalIp({ signal })))
    return { host: external, lease: granted, held: { by: 'nat-pmp', port: externalPort, gateway: host } }
  }

  /** By a socket of its own. The package gets answers alone, whole and from the gateway. */
  async #askNatPmp<T> (host: string, how: (gateway: Gateway, signal: AbortSignal) => Promise<T>, tellLease?: (seconds: number) => void): Promise<T> {
    const gateway = this.#mapper.pmpNat(host) as PmpInternals
    gateway.on('error', () => {})
    const { onMessage } = gateway
    gateway.onMessage = (message, from) => {
      if (from.address !== host || from.port !== NAT_PMP_PORT || message.length < REFUSED_BYTES) return
      const isMapped = message[1] === MAPPED
      if (message.readUInt16BE(2) === 0) {
        if (message.length < (isMapped ? MAPPED_BYTES : ADDRESS_BYTES)) return
        if (isMapped && message.readUInt16BE(8) !== this.#task.port) return
        if (isMapped) tellLease?.(message.readUInt32BE(12))
      }
      onMessage.call(gateway, message, from)
    }
    try {
      return await how(gateway, timeLimit(TRY_TIME))
    } finally {
      await gateway.stop().catch(() => {})
    }
  }

  async #byUpnp (): Promise<Asked | undefined> {
    const { address, port, lease, held } = this.#task
    for (const location of await searchGateways(address, systemClock)) {
      const signal = timeLimit(UPNP_TIME)
      const gateway = await this.#gatewayAt(location, signal).catch(() => undefined)
      if (gateway === undefined || location.href.length > MOST_URL) continue
      // a renewal is for the port that it has, where the gateway chose another one than ours
      const externalPort = held?.by === 'upnp' ? held.port : port
      const mapped = await gateway.map(port, address, { externalPort, protocol: 'udp', autoRefresh: false, ttl: lease * 1000, description: DESCRIPTION, signal })
      return { host: await gateway.externalIp({ signal }), lease, held: { by: 'upnp', port: mapped.externalPort, gateway: location.href } }
    }
  }

  async #gatewayAt (location: URL, signal: AbortSignal): Promise<UpnpInternals> {
    this.#hosts.clear()
    this.#hosts.add(location.hostname)
    return await this.#mapper.upnpNat().getGateway(location, { signal }) as UpnpInternals
  }

  /** `unmap` of the package names no protocol, and the port of this side. */
  async #removeByUpnp ({ gateway, port }: HeldMapping): Promise<void> {
    const signal = timeLimit(UPNP_TIME)
    const device = await (await this.#gatewayAt(new URL(gateway), signal)).getGateway()
    await device.run(WAN_CONNECTION, 'DeletePortMapping', [['NewRemoteHost', ''], ['NewExternalPort', port], ['NewProtocol', 'UDP']], { signal })
  }
}

const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port <= 65_535

async function again<T> (ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask()
    } catch (err) {
      if (tries === TRIES) throw err
    }
  }
}

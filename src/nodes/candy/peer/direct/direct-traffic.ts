/** Direct traffic of a peer: opened when the peer has its first address, and kept while it connects to the server again. */
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os'
import { loadSealing } from '../../../../crypto/index.ts'
import { gatherCandidates, PortMapping } from '../../../../nat/index.ts'
import { readUrl } from '../../../../net/endpoint.ts'
import { parseAddress, parseCidr, type Cidr } from '../../../../net/ipv4.ts'
import type { Tun } from '../../../../tun/device.ts'
import { bindUdp } from '../../../../transports/udp/index.ts'
import { reasonOf } from '../../../../text/printable.ts'
import type { DatagramSocket, Endpoint } from '../../../../types.ts'
import { STUN_PORT } from '../options.ts'
import type { PeerSettings } from '../settings.ts'
import { DirectPaths, type DirectPathsInit } from './direct-paths.ts'
import { explainPath, type PathExplanation } from './explain.ts'
import { isLoopback } from './own-endpoint.ts'
import { mappingStatus, type DirectStatus } from './status.ts'
import { findStunServers, type StunServer } from './stun-servers.ts'
import { decodeNat } from '../../protocol/nat-code.ts'

/** How often servers of STUN are asked: those that were named, and the one that may be none. */
const NAMED_TRIES = 5
const GUESSED_TRIES = 3

export interface DirectTrafficInit extends Pick<DirectPathsInit, 'secret' | 'routes' | 'stats' | 'tap' | 'clock' | 'log' | 'toServer' | 'isOnline' | 'deliver' | 'onPath'> {
  settings: PeerSettings
  tun: Pick<Tun, 'name' | 'mtu'>
  bindUdp: ((at: Endpoint) => Promise<DatagramSocket>) | undefined
}

const CLOSED = { isOpen: false, port: undefined, endpoint: undefined, candidates: [], stun: [], nat: decodeNat(0) }

export class DirectTraffic {
  readonly #init: DirectTrafficInit
  #paths: DirectPaths | undefined
  /** The address that `#paths` is for, or will be. */
  #address: string | undefined
  #mapping: PortMapping | undefined
  #isClosed = false
  /** Why there is none. */
  #problem: string | undefined

  constructor (init: DirectTrafficInit) {
    this.#init = init
  }

  /** Undefined while there are none. */
  get paths (): DirectPaths | undefined { return this.#paths }

  /** Why there are none, for people. */
  get problem (): string | undefined { return this.#problem }

  /** The peer has this address now. */
  addressed (cidr: string): void {
    if (cidr === this.#address || this.#isClosed) return
    this.#address = cidr
    this.#paths?.close()
    this.#paths = undefined
    this.#open(parseCidr(cidr) as Cidr, cidr).catch((err: Error) => {
      this.#problem = reasonOf(err)
      this.#address = undefined // tried again with the next connection
      this.#init.log.warn({ reason: this.#problem }, 'no direct paths')
    })
  }

  /** What this peer tells of itself. */
  get status (): DirectStatus {
    const own = this.#paths?.ownStatus() ?? CLOSED
    return { ...own, reason: this.#problem, mapping: mappingStatus(this.#mapping?.status ?? { state: 'off' }) }
  }

  explain (address: number): PathExplanation {
    const own = this.status
    return this.#paths?.explain(address, own) ?? explainPath({ address, peer: undefined, nextHop: 0, own, now: 0 })
  }

  /** Settles when the router has taken its port back. */
  async close (): Promise<void> {
    this.#isClosed = true
    this.#paths?.close()
    this.#paths = undefined
    await this.#mapping?.close()
  }

  async #open (own: Cidr, cidr: string): Promise<void> {
    const { settings, tun, log, bindUdp: bind = (at: Endpoint) => bindUdp({ ...at, fragment: false }), ...init } = this.#init
    const [sealing, servers] = await Promise.all([loadSealing(), this.#servers()])
    const { localhost, port, discovery, route } = settings
    const loopback = localhost !== undefined && isLoopback(parseAddress(localhost) ?? 0) ? localhost : undefined
    const socket = await bind({ host: loopback ?? '0.0.0.0', port })
    if (this.#isClosed || this.#address !== cidr) {
      socket.close()
      return
    }
    const mapping = this.#mapping = this.#startMapping(socket)
    const paths = this.#paths = new DirectPaths({
      ...init,
      own,
      sealing,
      socket,
      servers,
      tries: settings.stun === undefined ? GUESSED_TRIES : NAMED_TRIES,
      mtu: tun.mtu,
      cost: route,
      discovery: discovery * 1000,
      log,
      interfaces: () => interfacesOf(localhost, tun.name),
      mapped: () => mapping?.status.external,
      loopback
    })
    this.#problem = undefined
    try {
      await paths.run()
    } finally {
      if (this.#paths === paths) this.#paths = undefined
      paths.close()
      await mapping?.close()
    }
  }

  /** Asks the router for a port, where it may be of use: not in a simulated network, nor with a server on this machine, nor on a host that everybody reaches. */
  #startMapping (socket: DatagramSocket): PortMapping | undefined {
    const { settings: { url, noPortMapping, localhost }, tun, bindUdp, clock } = this.#init
    if (noPortMapping || bindUdp !== undefined || /^(?:localhost$|127\.|::1$)/.test(readUrl(url)?.host ?? '')) return undefined
    const hosts = gatherCandidates({ port: socket.local.port, interfaces: interfacesOf(localhost, tun.name) })
    if (hosts.length === 0 || hosts.some(({ scope }) => scope === 'public')) return undefined
    const mapping = new PortMapping({ address: hosts[0].host, port: socket.local.port, clock })
    mapping.start()
    return mapping
  }

  /** What is asked for the endpoint outside. What has no address is told in the log. */
  async #servers (): Promise<StunServer[]> {
    const { settings: { stun, url }, log } = this.#init
    const named = stun ?? [{ host: readUrl(url)?.host ?? '', port: STUN_PORT }]
    const servers = await findStunServers(named.filter((server) => server !== 'none'))
    for (const { name, error } of servers) if (error !== undefined) log.warn({ server: name, reason: error }, 'STUN server not found')
    return servers
  }
}

/** The interfaces of the machine without the tunnel itself, or the address that was named. */
const interfacesOf = (localhost: string | undefined, tunnel: string): NodeJS.Dict<NetworkInterfaceInfo[]> => localhost === undefined
  ? { ...networkInterfaces(), [tunnel]: [] }
  : { localhost: [{ address: localhost, netmask: '', family: 'IPv4', mac: '', internal: false, cidr: null }] }

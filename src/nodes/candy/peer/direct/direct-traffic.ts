/** Direct traffic of a peer: opened when the peer has its first address, and kept while it connects to the server again. */
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os'
import { loadSealing } from '../../../../crypto/index.ts'
import { Backoff, type BackoffInit } from '../../../../limits/backoff.ts'
import { gatherCandidates, PortMapping } from '../../../../nat/index.ts'
import { readUrl } from '../../../../net/endpoint.ts'
import { parseAddress, parseCidr, type Cidr } from '../../../../net/ipv4.ts'
import { wait } from '../../../../streams/clock.ts'
import type { Tun } from '../../../../tun/device.ts'
import { bindUdp } from '../../../../transports/udp/index.ts'
import { reasonOf } from '../../../../text/printable.ts'
import type { DatagramSocket, Endpoint } from '../../../../types.ts'
import { STUN_PORT } from '../options.ts'
import type { PeerSettings } from '../settings.ts'
import { DirectPaths, type DirectPathsInit } from './direct-paths.ts'
import { explainPath, type PathExplanation } from './explain.ts'
import { mappingStatus, type DirectStatus } from './status.ts'
import { isLoopback, OwnEndpoint } from './own-endpoint.ts'
import { StunServers } from './stun-servers.ts'
import { decodeNat } from '../../protocol/nat-code.ts'

/** How often servers of STUN are asked: those that were named, and the one that may be none. */
const NAMED_TRIES = 5
const GUESSED_TRIES = 3

/** Of a mapping that was not asked for. */
const OFF = { state: 'off' } as const

export interface DirectTrafficInit extends Pick<DirectPathsInit, 'secret' | 'routes' | 'stats' | 'tap' | 'clock' | 'log' | 'toServer' | 'isOnline' | 'deliver' | 'onPath'> {
  settings: PeerSettings
  tun: Pick<Tun, 'name' | 'mtu'>
  bindUdp: ((at: Endpoint) => Promise<DatagramSocket>) | undefined
  /** Delays after a socket that could not be opened, or has failed. */
  backoff: BackoffInit | undefined
}

const CLOSED = { isOpen: false, port: undefined, endpoint: undefined, candidates: [], stun: [], nat: decodeNat(0) }

export class DirectTraffic {
  readonly #init: DirectTrafficInit
  readonly #backoff: Backoff
  #paths: DirectPaths | undefined
  /** The address that `#paths` is for, or will be. */
  #address: string | undefined
  /** Aborted when there is another address, and at the end. */
  #serving = new AbortController()
  /** Settles when nothing is open any more. */
  #running: Promise<void> | undefined
  #mapping: PortMapping | undefined
  #isClosed = false
  /** Why there is none. */
  #problem: string | undefined

  constructor (init: DirectTrafficInit) {
    this.#init = init
    this.#backoff = new Backoff({ clock: init.clock, ...init.backoff })
  }

  /** Undefined while there are none. */
  get paths (): DirectPaths | undefined { return this.#paths }

  /** The peer has this address now. */
  addressed (cidr: string): void {
    if (cidr === this.#address || this.#isClosed) return
    this.#address = cidr
    this.#end()
    this.#running ??= this.#run()
  }

  /** What this peer tells of itself. */
  get status (): DirectStatus {
    const own = this.#paths?.ownStatus() ?? CLOSED
    return { ...own, reason: this.#problem, mapping: mappingStatus(this.#mapping?.status ?? OFF) }
  }

  explain (address: number): PathExplanation {
    const own = this.status
    return this.#paths?.explain(address, own) ?? explainPath({ address, peer: undefined, nextHop: 0, own, now: 0 })
  }

  /** Settles when the router has taken its port back. */
  async close (): Promise<void> {
    this.#isClosed = true
    this.#end()
    await this.#running
  }

  #end (): void {
    this.#serving.abort()
    this.#paths?.close()
    this.#paths = undefined
  }

  /** Serves one address after the other, as all of them may have the same port; tries again where that fails. */
  async #run (): Promise<void> {
    while (!this.#isClosed) {
      const { signal } = this.#serving = new AbortController()
      try {
        await this.#serve(parseCidr(this.#address as string) as Cidr, signal)
        if (!signal.aborted) throw new Error('the UDP socket was closed')
      } catch (err) {
        if (signal.aborted) continue
        this.#problem = reasonOf(err as Error)
        const delay = this.#backoff.next()
        this.#init.log.warn({ reason: this.#problem, wait: Math.round(delay) }, 'no direct paths')
        await wait(this.#init.clock, delay, { signal, ref: false }).catch(() => {})
      }
    }
  }

  async #serve (own: Cidr, signal: AbortSignal): Promise<void> {
    const { settings, tun, log, bindUdp: bind = (at: Endpoint) => bindUdp({ ...at, fragment: false }), ...init } = this.#init
    const sealing = await loadSealing()
    if (signal.aborted) return
    const { localhost, port, discovery, route, stun } = settings
    const loopback = localhost !== undefined && isLoopback(parseAddress(localhost) ?? 0) ? localhost : undefined
    const socket = await bind({ host: loopback ?? '0.0.0.0', port })
    if (signal.aborted) {
      socket.close()
      return
    }
    const endpoint = new OwnEndpoint({
      servers: new StunServers({ named: this.#servers(), log }),
      tries: stun === undefined ? GUESSED_TRIES : NAMED_TRIES,
      port: socket.local.port,
      interfaces: () => interfacesOf(localhost, tun.name),
      map: () => { if (!signal.aborted) this.#mapping ??= this.#map(socket.local.port) },
      mapping: () => this.#mapping?.status ?? OFF,
      loopback
    })
    let paths: DirectPaths
    try {
      paths = this.#paths = new DirectPaths({ ...init, own, sealing, socket, endpoint, mtu: tun.mtu, cost: route, discovery: discovery * 1000, log, loopback })
    } catch (err) {
      socket.close()
      throw err
    }
    this.#problem = undefined
    this.#backoff.online()
    try {
      await paths.run()
    } finally {
      if (this.#paths === paths) this.#paths = undefined
      paths.close()
      await this.#mapping?.close()
      this.#mapping = undefined
    }
  }

  /** Asks the router for a port, where it may be of use: not in a simulated network, nor with a server on this machine, nor on a host that everybody reaches. */
  #map (port: number): PortMapping | undefined {
    const { settings: { url, noPortMapping, localhost }, tun, bindUdp, clock } = this.#init
    if (noPortMapping || bindUdp !== undefined || /^(?:localhost$|127\.|::1$)/.test(readUrl(url)?.host ?? '')) return undefined
    const hosts = gatherCandidates({ port, interfaces: interfacesOf(localhost, tun.name) })
    if (hosts.length === 0 || hosts.some(({ scope }) => scope === 'public')) return undefined
    const mapping = new PortMapping({ address: hosts[0].host, port, clock })
    mapping.start()
    return mapping
  }

  /** What is asked for the endpoint outside. */
  #servers (): Endpoint[] {
    const { stun, url } = this.#init.settings
    const named = stun ?? [{ host: readUrl(url)?.host ?? '', port: STUN_PORT }]
    return named.filter((server) => server !== 'none')
  }
}

/** The interfaces of the machine without the tunnel itself, or the address that was named. */
function interfacesOf (localhost: string | undefined, tunnel: string): NodeJS.Dict<NetworkInterfaceInfo[]> {
  if (localhost !== undefined) return { localhost: [{ address: localhost, netmask: '', family: 'IPv4', mac: '', internal: false, cidr: null }] }
  try {
    return { ...networkInterfaces(), [tunnel]: [] }
  } catch {
    return {} // the system tells none, as without a free descriptor
  }
}

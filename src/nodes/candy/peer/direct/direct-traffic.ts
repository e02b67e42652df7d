/** Direct traffic of a peer: opened when the peer has its first address, and kept while it connects to the server again. */
import { lookup } from 'node:dns/promises'
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os'
import { loadSealing } from '../../../../crypto/index.ts'
import { readUrl } from '../../../../net/endpoint.ts'
import { parseCidr, type Cidr } from '../../../../net/ipv4.ts'
import type { Tun } from '../../../../tun/device.ts'
import { bindUdp } from '../../../../transports/udp/index.ts'
import { reasonOf } from '../../../../text/printable.ts'
import type { DatagramSocket, Endpoint } from '../../../../types.ts'
import { STUN_PORT } from '../options.ts'
import type { PeerSettings } from '../settings.ts'
import { DirectPaths, type DirectPathsInit } from './direct-paths.ts'

export interface DirectTrafficInit extends Pick<DirectPathsInit, 'secret' | 'routes' | 'stats' | 'tap' | 'clock' | 'log' | 'toServer' | 'deliver' | 'onPath'> {
  settings: PeerSettings
  tun: Pick<Tun, 'name' | 'mtu'>
  bindUdp: ((at: Endpoint) => Promise<DatagramSocket>) | undefined
}

export class DirectTraffic {
  readonly #init: DirectTrafficInit
  #paths: DirectPaths | undefined
  /** The address that `#paths` is for, or will be. */
  #address: string | undefined
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

  close (): void {
    this.#isClosed = true
    this.#paths?.close()
    this.#paths = undefined
  }

  async #open (own: Cidr, cidr: string): Promise<void> {
    const { settings, tun, log, bindUdp: bind = (at: Endpoint) => bindUdp({ ...at, fragment: false }), ...init } = this.#init
    const [sealing, servers] = await Promise.all([loadSealing(), this.#servers()])
    const socket = await bind({ host: '0.0.0.0', port: settings.port })
    if (this.#isClosed || this.#address !== cidr) {
      socket.close()
      return
    }
    const { localhost, discovery, route } = settings
    const paths = this.#paths = new DirectPaths({
      ...init,
      own,
      sealing,
      socket,
      servers,
      mtu: tun.mtu,
      cost: route,
      discovery: discovery * 1000,
      log,
      interfaces: () => localhost === undefined ? interfacesExcept(tun.name) : { localhost: [{ address: localhost, netmask: '', family: 'IPv4', mac: '', internal: false, cidr: null }] },
      mapped: () => undefined
    })
    this.#problem = undefined
    try {
      await paths.run()
    } finally {
      if (this.#paths === paths) this.#paths = undefined
      paths.close()
    }
  }

  /** Addresses of the servers of STUN. What has none is left out, and told in the log. */
  async #servers (): Promise<Endpoint[]> {
    const { settings: { stun, url }, log } = this.#init
    const named = stun ?? [{ host: readUrl(url)?.host ?? '', port: STUN_PORT }]
    const found = await Promise.all(named.map(async (server): Promise<Endpoint[]> => {
      if (server === 'none') return []
      try {
        const { address } = await lookup(server.host, { family: 4 })
        return [{ host: address, port: server.port }]
      } catch (err) {
        log.warn({ server: server.host, reason: reasonOf(err as Error) }, 'STUN server not found')
        return []
      }
    }))
    return found.flat()
  }
}

/** The interfaces of the machine, without the tunnel itself. */
const interfacesExcept = (name: string): NodeJS.Dict<NetworkInterfaceInfo[]> => ({ ...networkInterfaces(), [name]: [] })

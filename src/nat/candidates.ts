/** The endpoints by which others may reach a UDP socket of this machine, in the order in which they should try them. IPv4. */
import type { NetworkInterfaceInfo } from 'node:os'
import { isLinkLocal, scopeOf, type AddressScope } from './address-scope.ts'
import { parseAddress } from '../net/ipv4.ts'
import { verifyPort } from '../options.ts'
import type { Endpoint } from '../types.ts'

/** In all, and those that are not of an interface. */
const MOST = 8
const MOST_OUTSIDE = 4

/** Type preferences, RFC 8445 section 5.1.2.2. A mapping is as good as what a NAT makes by itself, and others may begin. */
const PREFERENCES: Readonly<Record<Candidate['type'], number>> = { host: 126, mapped: 110, reflexive: 100 }

/** Bridges of containers and virtual machines, which others rarely reach. */
const VIRTUAL = /^(?:docker|br-|virbr|veth|cni|flannel|cali|lxc|lxd|podman|vmnet|vboxnet|vEthernet)/i

/** Tunnels. A path through another tunnel would look like one in the LAN, and be preferred to what that tunnel itself goes over. */
const TUNNEL = /^(?:tun|tap|wg|utun|zt|tailscale|candy)/i

/** Of interfaces without link-layer addresses: tunnels whatever their names are, and dial-up. No LAN is behind them. */
const NO_MAC = '00:00:00:00:00:00'

/** `host`: of an interface. `mapped`: a gateway was asked for it. `reflexive`: what a server of STUN has seen. */
export interface Candidate extends Endpoint {
  readonly type: 'host' | 'mapped' | 'reflexive'
  readonly scope: AddressScope
  /** As in RFC 8445, section 5.1.2.1: the higher, the better. */
  readonly priority: number
}

/** What is known of a socket. */
export interface CandidatesInit {
  /** The local port of the socket. */
  port: number
  /** Of the machine, as `os.networkInterfaces()` tells them. */
  interfaces: Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>
  /** Names of interfaces to leave out, as that of the tunnel itself. */
  exclude?: ReadonlySet<string>
  mapped?: Endpoint | undefined
  reflexive?: readonly Endpoint[]
}

/**
 * The candidates, the best first, at most 8, each endpoint once. Endpoints that are not IPv4, have no port, or that nobody else can reach
 * (loopback, addresses of one link), and private ones of tunnels, are left out.
 *
 * @throws {OptionError} when `port` is not 1 to 65535
 */
export function gatherCandidates ({ port, interfaces, exclude, mapped, reflexive = [] }: CandidatesInit): Candidate[] {
  verifyPort('port', port, 1)
  const found: Candidate[] = []
  const add = (type: Candidate['type'], { host, port }: Endpoint, local: number): void => {
    const address = parseAddress(host)
    if (address === undefined || isLinkLocal(address) || !Number.isInteger(port) || port < 1 || port > 65_535) return
    const scope = scopeOf(address)
    if (scope === 'special' || found.some((other) => other.host === host && other.port === port)) return
    found.push({ type, host, port, scope, priority: PREFERENCES[type] * 2 ** 24 + local * 2 ** 8 + 255 })
  }
  const hosts = Object.entries(interfaces).flatMap(([name, all = []]) => {
    if (exclude?.has(name) === true) return []
    const isLan = ({ address, mac }: NetworkInterfaceInfo): boolean => (mac !== NO_MAC && !TUNNEL.test(name)) || scopeOf(parseAddress(address) ?? 0) === 'public'
    return all.filter((info) => !info.internal && isLan(info)).map(({ address }) => ({ address, isVirtual: VIRTUAL.test(name) }))
  })
  let local = 0xffff
  for (const wanted of [false, true]) {
    for (const { address, isVirtual } of hosts) if (isVirtual === wanted) add('host', { host: address, port }, local--)
  }
  const inside = found.length
  if (mapped !== undefined) add('mapped', mapped, 0xffff)
  for (const [i, endpoint] of reflexive.slice(0, MOST).entries()) add('reflexive', endpoint, 0xffff - i)
  const outside = found.splice(inside).slice(0, MOST_OUTSIDE)
  return [...found.slice(0, MOST - outside.length), ...outside]
}

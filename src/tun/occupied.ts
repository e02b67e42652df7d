/** The networks that a machine uses by other interfaces: a server must not route them into the tunnel. */
import type { Libc } from '../net/native/libc.ts'
import { TunError, type OccupiedNetwork } from './device.ts'
import { indexOf, nameOfIndex } from './ifreq.ts'
import { formatCidr, maskOf } from '../net/ipv4.ts'
import { nameServers, RESOLV_CONF } from './name-servers.ts'
import { withNetlink } from './netlink-socket.ts'
import { decodeAddresses, decodeHops, listAddresses, listHops, type KernelAddress, type KernelHop } from './rtnetlink-lists.ts'

/** Maximum number of networks: a router with more is not supported. */
const MAX_NETWORKS = 65_536

/** Shorter prefixes directly on an interface stand for a default route, as the two /1 that some tunnels set. */
const MIN_NETWORK_PREFIX = 8

export interface MachineFacts {
  addresses: readonly KernelAddress[]
  hops: readonly KernelHop[]
  nameServers: readonly number[]
}

/** Networks, addresses and next hops of all interfaces but `except`, and the name servers. `nameOf` returns the name of an index. */
export function occupiedBy ({ addresses, hops, nameServers }: MachineFacts, except: number, nameOf: (device: number) => string): OccupiedNetwork[] {
  const found = new Map<string, OccupiedNetwork>()
  const add = (address: number, prefix: number, owner: string): void => {
    const network = formatCidr({ address: (address & maskOf(prefix)) >>> 0, prefix })
    if (!found.has(network)) found.set(network, { network, owner })
  }
  // Networks before addresses in them: the first overlap is the one that is reported.
  for (const { address, peer, prefix, device } of addresses) {
    if (device === except) continue
    if (prefix > 0) add(peer, prefix, nameOf(device))
    add(address, 32, nameOf(device))
  }
  for (const { network, prefix, gateway, device, isLocal } of hops) {
    if (device === except || isLocal) continue
    if (gateway !== 0) add(gateway, 32, nameOf(device))
    else if (prefix >= MIN_NETWORK_PREFIX) add(network, prefix, nameOf(device))
  }
  for (const server of nameServers) add(server, 32, RESOLV_CONF)
  return [...found.values()]
}

/**
 * Reads them from the kernel, and from resolv.conf.
 *
 * @throws {TunError} when the kernel does not answer
 */
export function occupiedNetworks (libc: Libc, name: string): OccupiedNetwork[] {
  const addresses = new Map<string, KernelAddress>()
  const hops = new Map<string, KernelHop>()
  const keep = <T>(into: Map<string, T>, item: T, ...key: number[]): void => {
    into.set(key.join(), item)
    if (into.size > MAX_NETWORKS) throw tooMany()
  }
  withNetlink(libc, name, (netlink) => {
    const errnos = [
      netlink.ask(listAddresses, decodeAddresses, ({ item }) => { keep(addresses, item, item.address, item.prefix, item.device) }),
      netlink.ask((sequence) => listHops(sequence), decodeHops, ({ item }) => {
        if (item.isLocal || (item.gateway === 0 && item.prefix < MIN_NETWORK_PREFIX)) return
        // a router has many networks behind few next hops
        if (item.gateway === 0) keep(hops, item, item.network, item.prefix, item.device)
        else keep(hops, item, item.gateway, item.device)
      })
    ]
    for (const errno of errnos) if (errno !== 0) throw netlink.error(errno)
  })
  const names = new Map<number, string>()
  const nameOf = (device: number): string => {
    const known = names.get(device) ?? nameOfIndex(libc, device) ?? `interface ${device}`
    names.set(device, known)
    return known
  }
  return occupiedBy({ addresses: [...addresses.values()], hops: [...hops.values()], nameServers: nameServers() }, indexOf(libc, name), nameOf)
}

const tooMany = (): TunError => new TunError('ERR_TUN_SYSTEM', `this machine has more than ${MAX_NETWORKS} networks or next hops`)

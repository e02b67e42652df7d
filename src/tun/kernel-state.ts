/** Compares the state of an interface in the kernel with its configuration. */
import type { TunLoss, VerifiedRoute } from './device.ts'
import { clearAddress, indexOf, isUp, setAddress } from './ifreq.ts'
import { formatAddress, type Cidr } from '../net/ipv4.ts'
import { presentRoutes } from './kernel-routes.ts'
import type { Libc } from '../net/native/libc.ts'
import { withNetlink } from './netlink-socket.ts'
import { decodeAddresses, decodeHops, listAddresses, listHops } from './rtnetlink-lists.ts'

/** The configuration: an address, and the routes that the kernel has accepted. */
export interface GivenState {
  address: Cidr
  routes: readonly VerifiedRoute[]
}

/**
 * What is missing of the configuration.
 *
 * @throws {TunError} when the kernel does not answer
 */
export function lossOf (libc: Libc, name: string, { address, routes }: GivenState): TunLoss {
  const device = indexOf(libc, name)
  const present = routes.length === 0 ? new Set() : presentRoutes(libc, name)
  return {
    address: !hasAddress(libc, name, device, address),
    down: !isUp(libc, name),
    routes: routes.filter(({ route: { destination }, gateway }) => !present.has(`${destination} ${formatAddress(gateway)}`)).map(({ route }) => route)
  }
}

/** Includes the routes that the kernel makes of an address: without them the address is not reachable. */
function hasAddress (libc: Libc, name: string, device: number, { address, prefix, network }: Cidr): boolean {
  let isThere = false
  let isLocal = false
  let reachesNetwork = prefix === 32
  withNetlink(libc, name, (netlink) => {
    const errnos = [
      netlink.ask(listAddresses, decodeAddresses, ({ item }) => { isThere ||= item.device === device && item.address === address && item.prefix === prefix }),
      netlink.ask((sequence) => listHops(sequence, device), decodeHops, ({ item }) => {
        if (item.device !== device || item.gateway !== 0) return
        if (item.isLocal) isLocal ||= item.network === address && item.prefix === 32
        else reachesNetwork ||= item.network === network && item.prefix === prefix
      })
    ]
    for (const errno of errnos) if (errno !== 0) throw netlink.error(errno)
  })
  return isThere && isLocal && reachesNetwork
}

/** Sets the address again, and brings the interface up; not the routes. An incomplete address is removed first. */
export function restoreAddress (libc: Libc, name: string, address: Cidr, loss: TunLoss): void {
  if (loss.address && !loss.down) clearAddress(libc, name)
  setAddress(libc, name, address)
}

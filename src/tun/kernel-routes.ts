/** Sets the routes of a Linux interface over rtnetlink(7), without the `ip` program. */
import { constants } from 'node:os'
import { type RefusedRoute, TunError, type VerifiedRoute } from './device.ts'
import { indexOf, systemError } from './ifreq.ts'
import { formatAddress, formatCidr } from '../net/ipv4.ts'
import type { Libc } from '../net/native/libc.ts'
import { type NetlinkSocket, withNetlink } from './netlink-socket.ts'
import { addRoute, decodeAnswers, type KernelRoute, listRoutes, removeRoute } from './rtnetlink.ts'

/**
 * The metric of all routes: larger than those that other programs set (NetworkManager up to 20 700, systemd-networkd 1024, the kernel 0),
 * so that of two routes to one network that of the machine is used.
 */
const ROUTE_METRIC = 50_000

const { EEXIST, ENOENT, ESRCH } = constants.errno

/** Requests about routes. */
class RouteSocket {
  readonly #socket: NetlinkSocket

  constructor (socket: NetlinkSocket) {
    this.#socket = socket
  }

  list (device: number): KernelRoute[] {
    const routes: KernelRoute[] = []
    const errno = this.#socket.ask((sequence) => listRoutes(sequence, device), decodeAnswers, (answer) => { if ('route' in answer) routes.push(answer.route) })
    if (errno !== 0 && errno !== ENOENT) throw this.#socket.error(errno) // ENOENT: there is no route yet
    return routes.filter((route) => route.device === device)
  }

  /** Returns the errno of a rejection, or 0. */
  add (route: KernelRoute, beside: boolean): number {
    return this.#change((sequence) => addRoute(sequence, route, beside))
  }

  remove (route: KernelRoute): void {
    const errno = this.#change((sequence) => removeRoute(sequence, route))
    if (errno !== 0 && errno !== ESRCH) throw this.#socket.error(errno) // ESRCH: another program has removed it
  }

  #change (encode: (sequence: number) => Uint8Array): number {
    return this.#socket.ask(encode, decodeAnswers, () => {})
  }
}

const networkOf = ({ network, prefix }: KernelRoute): string => formatCidr({ address: network, prefix })
const keyOf = (route: KernelRoute): string => `${networkOf(route)} ${route.gateway} ${route.metric}`

/**
 * Makes the routes through an interface equal to `wanted`: adds what is missing, then removes the others, and leaves those that exist.
 * Added first, so that packets take no other path in between. The state of the kernel counts, not earlier calls: routes disappear with an
 * address, and stay on a device that outlives its program.
 *
 * @returns the routes that the kernel has rejected
 * @throws {TunError} when it rejects all of them: the interface is gone, or permission is missing
 */
export function replaceRoutes (libc: Libc, name: string, wanted: readonly VerifiedRoute[]): RefusedRoute[] {
  const device = indexOf(libc, name)
  return withNetlink(libc, name, (netlink) => {
    const socket = new RouteSocket(netlink)
    const present = socket.list(device)
    const stale = new Map(present.map((route) => [keyOf(route), route]))
    const reached = new Set(present.map(networkOf))
    const refused: RefusedRoute[] = []
    for (const { network, prefix, gateway, route } of wanted) {
      const missing: KernelRoute = { network, prefix, gateway, metric: ROUTE_METRIC, device }
      if (stale.delete(keyOf(missing))) continue
      const errno = socket.add(missing, reached.has(networkOf(missing)))
      if (errno !== 0) refused.push({ route, reason: rejection(name, route.destination, errno) })
    }
    for (const route of stale.values()) socket.remove(route)
    return refused
  })
}

/** The routes of {@link replaceRoutes} that an interface has, such as `172.16.0.0/16 10.77.0.2`. */
export function presentRoutes (libc: Libc, name: string): Set<string> {
  const device = indexOf(libc, name)
  const present = withNetlink(libc, name, (netlink) => new RouteSocket(netlink).list(device))
  return new Set(present.filter(({ metric }) => metric === ROUTE_METRIC).map((route) => `${networkOf(route)} ${formatAddress(route.gateway)}`))
}

/** The reason why the kernel rejects one route; throws when it concerns all routes. */
function rejection (name: string, destination: string, errno: number): TunError {
  if (errno === EEXIST) return new TunError('ERR_TUN_SYSTEM', `there is a route to ${destination} with the metric ${ROUTE_METRIC} already`)
  const err = systemError('RTM_NEWROUTE', destination, errno)
  if (err.code !== 'ERR_TUN_SYSTEM') throw systemError('RTM_NEWROUTE', name, errno)
  return err
}

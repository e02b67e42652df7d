/** Gives an interface of Linux its routes over a socket of rtnetlink(7), so that no `ip` program is needed. */
import { constants } from 'node:os'
import { type RefusedRoute, TunError, type VerifiedRoute } from './device.ts'
import { indexOf, systemError, withSocket } from './ifreq.ts'
import { formatCidr } from './ipv4.ts'
import type { Libc } from './libc.ts'
import { addRoute, decodeAnswers, type KernelRoute, listRoutes, removeRoute } from './rtnetlink.ts'

/**
 * The metric of all routes: larger than what programs give to those of the machine itself (NetworkManager up to 20 700,
 * systemd-networkd 1024, the kernel 0), so that of two routes to one network the machine's own is used.
 */
export const ROUTE_METRIC = 50_000

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0o4000
const SOL_NETLINK = 270
const NETLINK_GET_STRICT_CHK = 12

/** More than the kernel puts into one read, 32 KiB. */
const READ_BYTES = 64 * 1024

const { EEXIST, EINTR, ENOENT, ESRCH } = constants.errno

const ONE = new Uint8Array(Int32Array.of(1).buffer)

/** Requests of one socket, one after the other. The kernel answers before `write` returns, so nothing ever waits. */
class RouteSocket {
  readonly #libc: Libc
  readonly #fd: number
  /** Of the interface that this is about, for errors. */
  readonly #name: string
  readonly #into = new Uint8Array(READ_BYTES)
  #sequence = 0

  constructor (libc: Libc, fd: number, name: string) {
    this.#libc = libc
    this.#fd = fd
    this.#name = name
    // Then it lists only what it is asked for. Kernels before 4.20 do not know this.
    libc.setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, ONE, ONE.length)
  }

  list (device: number): KernelRoute[] {
    const { routes, errno } = this.#ask((sequence) => listRoutes(sequence, device))
    if (errno !== 0 && errno !== ENOENT) throw this.#error(errno) // ENOENT: nobody has made a route yet
    return routes.filter((route) => route.device === device)
  }

  /** Returns the errno of the refusal, or 0. */
  add (route: KernelRoute, beside: boolean): number {
    return this.#ask((sequence) => addRoute(sequence, route, beside)).errno
  }

  remove (route: KernelRoute): void {
    const { errno } = this.#ask((sequence) => removeRoute(sequence, route))
    if (errno !== 0 && errno !== ESRCH) throw this.#error(errno) // ESRCH: somebody else has removed it
  }

  #ask (encode: (sequence: number) => Uint8Array): { routes: KernelRoute[], errno: number } {
    const sequence = ++this.#sequence
    const message = encode(sequence)
    if (this.#libc.write(this.#fd, message, message.length) < 0) throw this.#error(this.#libc.errno())
    const routes: KernelRoute[] = []
    for (;;) {
      for (const answer of decodeAnswers(this.#read(), sequence)) {
        if ('errno' in answer) return { routes, errno: answer.errno }
        routes.push(answer.route)
      }
    }
  }

  #read (): Uint8Array {
    for (;;) {
      const length = this.#libc.read(this.#fd, this.#into, this.#into.length)
      if (length > 0) return this.#into.subarray(0, length)
      if (length === 0) throw new TunError('ERR_TUN_SYSTEM', `rtnetlink ${this.#name}: no answer`)
      const errno = this.#libc.errno()
      if (errno !== EINTR) throw this.#error(errno)
    }
  }

  #error (errno: number): TunError { return systemError('rtnetlink', this.#name, errno) }
}

const networkOf = ({ network, prefix }: KernelRoute): string => formatCidr({ address: network, prefix })
const keyOf = (route: KernelRoute): string => `${networkOf(route)} ${route.gateway} ${route.metric}`

/**
 * Brings the routes through an interface in line with these: adds what is missing, then removes what is too much, and leaves
 * alone what is there already. New before old, so that packets do not leave by another way in between. What the kernel has
 * counts, not what was set before: routes go away with an address, and on a device that outlives its program they stay.
 *
 * Returns those that the kernel refused. Throws `TunError` when it refuses all of them: the interface is gone, or there is no
 * permission.
 */
export function replaceRoutes (libc: Libc, name: string, wanted: readonly VerifiedRoute[]): RefusedRoute[] {
  const device = indexOf(libc, name)
  return withSocket(libc, name, (fd) => {
    const socket = new RouteSocket(libc, fd, name)
    const present = socket.list(device)
    const stale = new Map(present.map((route) => [keyOf(route), route]))
    const reached = new Set(present.map(networkOf))
    const refused: RefusedRoute[] = []
    for (const { network, prefix, gateway, route } of wanted) {
      const missing: KernelRoute = { network, prefix, gateway, metric: ROUTE_METRIC, device }
      if (stale.delete(keyOf(missing))) continue
      const errno = socket.add(missing, reached.has(networkOf(missing)))
      if (errno !== 0) refused.push({ route, reason: refusal(name, route.destination, errno) })
    }
    for (const route of stale.values()) socket.remove(route)
    return refused
  }, AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK)
}

/** Why the kernel does not take one route; throws when that concerns all routes. */
function refusal (name: string, destination: string, errno: number): TunError {
  if (errno === EEXIST) return new TunError('ERR_TUN_SYSTEM', `there is a route to ${destination} with the metric ${ROUTE_METRIC} already`)
  const err = systemError('RTM_NEWROUTE', destination, errno)
  if (err.code !== 'ERR_TUN_SYSTEM') throw systemError('RTM_NEWROUTE', name, errno)
  return err
}

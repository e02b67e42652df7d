/** The routes of a candy peer on its interface: those that the system accepted and that no other program has removed. */
import { formatAddress, formatCidr } from '../../../net/ipv4.ts'
import type { Tun, TunRoute } from '../../../tun/device.ts'
import type { Route } from '../protocol/routes.ts'
import type { CandyPeerStats } from './stats.ts'

export interface InstalledRoutesInit {
  tun: Pick<Tun, 'setRoutes'>
  stats: Pick<CandyPeerStats, 'routes'>
  /** Logs an event once in each connection. */
  logOnce (what: string, fields: object, message: string): void
}

export class InstalledRoutes {
  readonly #init: InstalledRoutesInit
  /** The routes last passed to the interface; undefined before. */
  #wanted: readonly Route[] | undefined
  #inForce: readonly TunRoute[] = []
  /** Destinations of routes that another program has removed. */
  #lost = new Set<string>()

  constructor (init: InstalledRoutesInit) { this.#init = init }

  /** The routes last passed to the interface; undefined before. */
  get wanted (): readonly Route[] | undefined { return this.#wanted }

  get inForce (): readonly TunRoute[] { return this.#lost.size === 0 ? this.#inForce : this.#inForce.filter(({ destination }) => !this.#lost.has(destination)) }

  /** Another program has removed these from the interface; none: all are restored. */
  lost (routes: readonly TunRoute[]): void {
    this.#lost = new Set(routes.map(({ destination }) => destination))
    this.#count()
  }

  /** Replaces all routes on the interface; synchronously where the interface allows. Never rejects. */
  async set (routes: readonly Route[]): Promise<void> {
    const { tun, logOnce } = this.#init
    this.#wanted = routes
    try {
      const wanted = routes.map(asTunRoute)
      const refused = await tun.setRoutes(wanted)
      this.#inForce = wanted.filter((route) => !refused.some(({ route: { destination } }) => destination === route.destination))
      this.#lost.clear()
      this.#count()
      for (const { route, reason } of refused) logOnce(`refused ${route.destination}`, { route: `${route.destination} via ${route.gateway}`, reason: reason.message }, 'route refused by the system')
    } catch (err) {
      const { code, message } = err as Error & { code?: string }
      if (code === 'ERR_TUN_CLOSED' || code === 'ERR_TUN_GONE') this.#inForce = [] // the routes are gone with the interface
      else logOnce('failed', { reason: message }, 'routes not set')
      this.#count()
    }
  }

  /** Removes all routes from the interface. Never rejects. */
  async clear (): Promise<void> {
    if (this.#wanted !== undefined) await this.set([])
  }

  #count (): void { this.#init.stats.routes = this.inForce.length }
}

const asTunRoute = ({ destination, nexthop }: Route): TunRoute => ({ destination: formatCidr(destination), gateway: formatAddress(nexthop) })

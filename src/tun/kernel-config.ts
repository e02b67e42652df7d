/** Configures address and routes of a Linux interface, restores them while it is watched, and tells when it is gone. */
import { LinkBusyError } from '../errors.ts'
import { type OccupiedNetwork, type RefusedRoute, TunError, type TunLoss, type TunWatcher, type VerifiedRoute } from './device.ts'
import { Guard } from './guard.ts'
import { clearAddress, indexOf, setAddress } from './ifreq.ts'
import type { Cidr } from '../net/ipv4.ts'
import { replaceRoutes } from './kernel-routes.ts'
import { lossOf, restoreAddress } from './kernel-state.ts'
import type { Libc } from '../net/native/libc.ts'
import { LinkMonitor, type LinkMonitorInit, LINKS, LINKS_ADDRESSES_ROUTES } from './link-monitor.ts'
import { occupiedNetworks } from './occupied.ts'
import type { Poller } from '../net/native/poller.ts'

const NO_LOSS: TunLoss = { address: false, down: false, routes: [] }

export const closed = (name: string): TunError => new TunError('ERR_TUN_CLOSED', `the interface ${name} is closed`)

/** What the system, or whatever takes its place, keeps of an interface. */
export interface InterfaceConfig {
  /** Calls `onChange` when the interface has changed, or may have, until `close`. @throws {TunError} when that is not possible */
  monitor (on: Pick<LinkMonitorInit, 'onChange' | 'onFailure'>): void
  setAddress (address: Cidr): void
  clearAddress (): void
  setRoutes (routes: readonly VerifiedRoute[]): RefusedRoute[]
  /** See `Tun.occupied`. */
  occupied (): OccupiedNetwork[]
  /** Restores what other programs remove, until the returned function is called. */
  watch (watcher: TunWatcher): () => void
  /** Rejects later changes, and stops watching. */
  close (): Promise<void>
  removeRoutes (): void
}

export class KernelConfig implements InterfaceConfig {
  readonly #libc: Libc
  readonly #poller: Poller
  readonly #name: string
  #address: Cidr | undefined
  /** The routes of `setRoutes`. */
  #routes: readonly VerifiedRoute[] = []
  /** Those of them that the system has rejected. */
  #refused: readonly RefusedRoute[] = []
  #monitor: LinkMonitor | undefined
  #stopWatching: (() => Promise<void>) | undefined
  #isClosed = false

  constructor (libc: Libc, poller: Poller, name: string) {
    this.#libc = libc
    this.#poller = poller
    this.#name = name
  }

  monitor ({ onChange, onFailure }: Pick<LinkMonitorInit, 'onChange' | 'onFailure'>): void {
    this.#monitor = new LinkMonitor(this.#libc, this.#poller, indexOf(this.#libc, this.#name), { groups: LINKS, onChange, onFailure })
  }

  setAddress (address: Cidr): void {
    this.#assertOpen()
    setAddress(this.#libc, this.#name, address)
    this.#address = address
    // with the last address of an interface the kernel removes all routes through it
    if (this.#routes.length > 0) this.#refused = replaceRoutes(this.#libc, this.#name, this.#routes)
  }

  clearAddress (): void {
    this.#assertOpen()
    this.#address = undefined
    clearAddress(this.#libc, this.#name)
  }

  setRoutes (routes: readonly VerifiedRoute[]): RefusedRoute[] {
    this.#assertOpen()
    this.#routes = routes
    const refused = replaceRoutes(this.#libc, this.#name, routes)
    this.#refused = refused
    return refused
  }

  occupied (): OccupiedNetwork[] { return occupiedNetworks(this.#libc, this.#name) }

  watch (watcher: TunWatcher): () => void {
    this.#assertOpen()
    if (this.#stopWatching !== undefined) throw new LinkBusyError('an interface is watched by one at a time')
    const guard = new Guard({ loss: () => this.#loss(), restore: () => { this.#restore() }, watcher })
    const monitor = new LinkMonitor(this.#libc, this.#poller, indexOf(this.#libc, this.#name), {
      groups: LINKS_ADDRESSES_ROUTES,
      onChange: guard.noticed,
      onOthers: () => { watcher.onOthers?.() },
      onFailure: watcher.onFailure
    })
    const stop = this.#stopWatching = async () => {
      if (this.#stopWatching === stop) this.#stopWatching = undefined
      guard.close()
      await monitor.close()
    }
    return () => { if (this.#stopWatching === stop) void stop() }
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await this.#stopWatching?.()
    await this.#monitor?.close()
  }

  /** Routes disappear with the interface, but an interface that was created before stays. */
  removeRoutes (): void {
    if (this.#routes.length === 0) return
    try {
      replaceRoutes(this.#libc, this.#name, [])
    } catch {
      // the interface is gone, or the process has lost its permission
    }
  }

  #loss (): TunLoss {
    const address = this.#address
    if (address === undefined) return NO_LOSS
    const routes = this.#routes.filter(({ route }) => !this.#refused.some(({ route: { destination } }) => destination === route.destination))
    return lossOf(this.#libc, this.#name, { address, routes })
  }

  #restore (): void {
    if (this.#address === undefined) return
    restoreAddress(this.#libc, this.#name, this.#address, this.#loss())
    if (this.#routes.length > 0) this.#refused = replaceRoutes(this.#libc, this.#name, this.#routes)
  }

  #assertOpen (): void {
    if (this.#isClosed) throw closed(this.#name)
  }
}

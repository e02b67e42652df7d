/** Address and routes of an interface of Linux: what it was given, and that it keeps this while somebody watches. */
import { LinkBusyError } from '../errors.ts'
import { type RefusedRoute, TunError, type TunLoss, type TunWatcher, type VerifiedRoute } from './device.ts'
import { Guard } from './guard.ts'
import { clearAddress, indexOf, setAddress } from './ifreq.ts'
import type { Cidr } from '../net/ipv4.ts'
import { replaceRoutes } from './kernel-routes.ts'
import { lossOf, restoreAddress } from './kernel-state.ts'
import type { Libc } from '../net/native/libc.ts'
import { LinkMonitor } from './link-monitor.ts'
import type { Poller } from '../net/native/poller.ts'

const NO_LOSS: TunLoss = { address: false, down: false, routes: [] }

export const closed = (name: string): TunError => new TunError('ERR_TUN_CLOSED', `the interface ${name} is closed`)

export class KernelConfig {
  readonly #libc: Libc
  readonly #poller: Poller
  readonly #name: string
  #address: Cidr | undefined
  /** What is to be reached through the interface. */
  #routes: readonly VerifiedRoute[] = []
  /** Those of them that the system has not taken. */
  #refused: readonly RefusedRoute[] = []
  #stopWatching: (() => Promise<void>) | undefined
  #isClosed = false

  constructor (libc: Libc, poller: Poller, name: string) {
    this.#libc = libc
    this.#poller = poller
    this.#name = name
  }

  setAddress (address: Cidr): void {
    this.#mustBeOpen()
    setAddress(this.#libc, this.#name, address)
    this.#address = address
    // with the last address of an interface the kernel removes all routes through it
    if (this.#routes.length > 0) this.#refused = replaceRoutes(this.#libc, this.#name, this.#routes)
  }

  clearAddress (): void {
    this.#mustBeOpen()
    this.#address = undefined
    clearAddress(this.#libc, this.#name)
  }

  setRoutes (routes: readonly VerifiedRoute[]): RefusedRoute[] {
    this.#mustBeOpen()
    this.#routes = routes
    const refused = replaceRoutes(this.#libc, this.#name, routes)
    this.#refused = refused
    return refused
  }

  /** Puts back what others take away, until the function that it returns is called. */
  watch (watcher: TunWatcher): () => void {
    this.#mustBeOpen()
    if (this.#stopWatching !== undefined) throw new LinkBusyError('an interface is watched by one at a time')
    const guard = new Guard({ loss: () => this.#loss(), restore: () => { this.#restore() }, watcher })
    const notices = new LinkMonitor(this.#libc, this.#poller, indexOf(this.#libc, this.#name), {
      onChange: guard.noticed,
      onOthers: () => { watcher.onOthers?.() },
      onFailure: watcher.onFailure
    })
    const stop = this.#stopWatching = async () => {
      if (this.#stopWatching === stop) this.#stopWatching = undefined
      guard.close()
      await notices.close()
    }
    return () => { if (this.#stopWatching === stop) void stop() }
  }

  /** Nothing is set from now on, and nobody watches. */
  async close (): Promise<void> {
    this.#isClosed = true
    await this.#stopWatching?.()
  }

  /** They disappear with the interface, but one that was made beforehand stays. */
  removeRoutes (): void {
    if (this.#routes.length === 0) return
    try {
      replaceRoutes(this.#libc, this.#name, [])
    } catch {
      // the interface is gone, or the process has lost the right to it: there is nobody left to tell
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

  #mustBeOpen (): void {
    if (this.#isClosed) throw closed(this.#name)
  }
}

/** The networks of a relay, and the lookup by the path of a client's URL (candy protocol, section 5). */
import type { LeaseStore } from './lease-store.ts'
import { normalPath } from './network-path.ts'
import type { NetworkSettings } from './settings.ts'
import { Network, type NetworkContext } from './network.ts'
import { addStats, newNetworkStats, type CandyNetworkStats } from './stats.ts'
import type { ConfigureResult } from '../../common/serve.ts'

/** The effect of changed settings. */
export interface NetworkChanges extends ConfigureResult {
  /** Paths of networks; empty for one without a path. */
  added: string[]
  removed: string[]
}

export class Networks implements Iterable<Network> {
  readonly #context: NetworkContext
  readonly #leases: LeaseStore
  readonly #byPath = new Map<string, Network>()
  /** Counters of removed networks. */
  readonly #past = newNetworkStats()

  constructor (context: NetworkContext, leases: LeaseStore) {
    this.#context = context
    this.#leases = leases
  }

  [Symbol.iterator] (): IterableIterator<Network> { return this.#byPath.values() }

  /** The sum over all networks. */
  get stats (): CandyNetworkStats {
    const stats = newNetworkStats()
    addStats(stats, this.#past)
    for (const network of this) addStats(stats, network.stats)
    return stats
  }

  /** The network of a request. A network without a path is the only one, and every path selects it. */
  find (url: string): Network | undefined {
    const sole = this.#byPath.get('')
    if (sole !== undefined) return sole
    const path = normalPath(url)
    return path === undefined ? undefined : this.#byPath.get(path)
  }

  /** Adds, changes and removes networks to match these verified settings. */
  configure (wanted: readonly NetworkSettings[]): NetworkChanges {
    const result: NetworkChanges = { added: [], removed: [], ended: 0 }
    const paths = new Set(wanted.map(({ path = '' }) => path))
    for (const [path, network] of [...this.#byPath]) {
      if (paths.has(path)) continue
      result.ended += network.close('removed')
      result.removed.push(path)
      network.mergeStatsInto(this.#past)
      this.#context.forwardingPlane?.removeNetwork(network)
      this.#byPath.delete(path)
    }
    this.#leases.retain(paths)
    for (const settings of wanted) {
      const { path = '' } = settings
      const network = this.#byPath.get(path)
      if (network === undefined) {
        const made = new Network(settings, this.#context, this.#leases.table(path))
        this.#byPath.set(path, made)
        this.#context.forwardingPlane?.setNetwork(made)
        result.added.push(path)
      } else {
        result.ended += network.configure(settings)
      }
    }
    return result
  }
}

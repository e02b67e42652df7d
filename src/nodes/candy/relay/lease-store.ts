/** The leases of all networks of a relay, in a form that can be saved. */
import { formatAddress, parseAddress } from '../../../net/ipv4.ts'
import { LeaseTable } from './leases.ts'

/** By path of the network, empty for one without a path: devices and their addresses, longest idle first. */
export type SavedLeases = Record<string, Array<[device: string, address: string]>>

/**
 * ```ts
 * const leases = new LeaseStore(JSON.parse(await readFile(file, 'utf8')))
 * leases.onChange = () => { saveSoon(JSON.stringify(leases)) }
 * const relay = new CandyRelay({ password, dhcp, leases })
 * ```
 */
export class LeaseStore {
  /** Called after a change that has to be saved; possibly many times in one turn of the event loop. */
  onChange: () => void = () => {}
  readonly #tables = new Map<string, LeaseTable>()

  /** @param saved a result of `toJSON`; invalid addresses are skipped */
  constructor (saved: SavedLeases = {}) {
    for (const [path, leases] of Object.entries(saved)) {
      this.table(path).load(leases.flatMap(([device, text]): Array<[string, number]> => {
        const address = parseAddress(text)
        return address === undefined ? [] : [[device, address]]
      }))
    }
  }

  /** The leases of one network. @internal */
  table (path = ''): LeaseTable {
    const known = this.#tables.get(path)
    if (known !== undefined) return known
    const table = new LeaseTable()
    table.onChange = () => { this.onChange() }
    this.#tables.set(path, table)
    return table
  }

  /** Removes the leases of all other networks. */
  retain (paths: ReadonlySet<string>): void {
    for (const path of [...this.#tables.keys()]) {
      if (paths.has(path)) continue
      this.#tables.delete(path)
      this.onChange()
    }
  }

  toJSON (): SavedLeases {
    return Object.fromEntries([...this.#tables].map(([path, table]) => [path, Array.from(table.entries(), ([device, address]) => [device, formatAddress(address)])]))
  }
}

/** The leases of all networks of a relay, in a form that can be kept from one run to the next. */
import { formatAddress, parseAddress } from '../../../net/ipv4.ts'
import { LeaseTable } from './leases.ts'

/** By the path of the network, which is empty for one without a path: devices and their addresses, the longest idle first. */
export type SavedLeases = Record<string, Array<[device: string, address: string]>>

/**
 * ```ts
 * const leases = new LeaseStore(JSON.parse(await readFile(file, 'utf8')))
 * leases.onChange = () => { saveSoon(JSON.stringify(leases)) }
 * const relay = new CandyRelay({ password, dhcp, leases })
 * ```
 */
export class LeaseStore {
  /** Called when there is something new to be saved; it may be many times in one turn of the event loop. */
  onChange: () => void = () => {}
  readonly #tables = new Map<string, LeaseTable>()

  /** @param saved what `toJSON` gave; addresses that are none are left out */
  constructor (saved: SavedLeases = {}) {
    for (const [path, leases] of Object.entries(saved)) {
      this.table(path).load(leases.flatMap(([device, text]): Array<[string, number]> => {
        const address = parseAddress(text)
        return address === undefined ? [] : [[device, address]]
      }))
    }
  }

  /** Those of one network. */
  table (path = ''): LeaseTable {
    const known = this.#tables.get(path)
    if (known !== undefined) return known
    const table = new LeaseTable()
    table.onChange = () => { this.onChange() }
    this.#tables.set(path, table)
    return table
  }

  /** Forgets those of all networks but these. */
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

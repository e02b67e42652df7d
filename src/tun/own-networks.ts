/** What this machine knows of the networks that it is in: its addresses, their broadcast addresses, and whether it forwards. */
import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { parseCidr } from '../net/ipv4.ts'

export interface OwnNetworks {
  /** Addresses of the interfaces. */
  readonly addresses: ReadonlySet<number>
  /** Addresses that mean all of a network of an interface: the last one, and in the oldest form the first one. */
  readonly broadcasts: ReadonlySet<number>
  /** It passes on what is for others. True where the system does not tell. */
  readonly forwards: boolean
}

/** @param name of the interface that packets come from */
export function ownNetworks (name: string): OwnNetworks {
  const addresses = new Set<number>()
  const broadcasts = new Set<number>()
  for (const { cidr } of Object.values(networkInterfaces()).flatMap((all) => all ?? [])) {
    const own = cidr === null ? undefined : parseCidr(cidr)
    if (own === undefined) continue
    addresses.add(own.address)
    if (own.prefix < 31) broadcasts.add(own.broadcast).add(own.network)
  }
  return { addresses, broadcasts, forwards: forwards(name) }
}

function forwards (name: string): boolean {
  try {
    return readFileSync(`/proc/sys/net/ipv4/conf/${name}/forwarding`, 'latin1').trim() !== '0'
  } catch (err) {
    return (err as NodeJS.ErrnoException).code === 'ENOENT' // it is none of the system's, or this is another system
  }
}

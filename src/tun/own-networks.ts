/** The addresses and broadcast addresses of this machine, and whether it forwards. */
import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { parseCidr } from '../net/ipv4.ts'

export interface OwnNetworks {
  /** Addresses of the interfaces. */
  readonly addresses: ReadonlySet<number>
  /** Broadcast addresses of the networks of the interfaces: the last address, and the first one, in the oldest form. */
  readonly broadcasts: ReadonlySet<number>
  /** Forwarding is enabled. True where the system does not tell. */
  readonly forwards: boolean
}

/** @param name the interface that packets come from */
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
    return (err as NodeJS.ErrnoException).code === 'ENOENT' // not an interface of the system, or not Linux
  }
}

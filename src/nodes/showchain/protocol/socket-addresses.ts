/** Addresses as sockets of both families need them: each has one form, so that endpoints can be compared. */
import { isIP, isIPv4 } from 'node:net'
import { normalizeAddress, withoutZone } from '../../../net/client-address.ts'
import { consume } from '../../../streams/consume.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'
import { systemLookup, type Lookup } from '../../../transports/happy-eyeballs.ts'
import type { Batch, Datagram, DatagramSocket } from '../../../types.ts'

/** The address of a socket of both families, and the prefix that IPv4 addresses have there. */
const ANY = '::'
const MAPPED = '::ffff:'

/** RFC 5952, IPv4 without its mapped form; the zone of a link-local address stays. */
const canonical = (address: string): string => normalizeAddress(address) + address.slice(withoutZone(address).length)

/**
 * Finds the address of a host for a socket: an address of `::` reaches those of both families, another one those of its own.
 *
 * @param local the address of the socket
 */
export const addressFinder = (local: string, lookup: Lookup = systemLookup) => async (host: string): Promise<string> => {
  const family = local === ANY ? 0 : isIP(local)
  const found = isIP(host) === 0 ? (await lookup(host)).map(({ address }) => canonical(address)) : [canonical(host)]
  const address = found.find((one) => family === 0 || isIP(one) === family)
  if (address === undefined) throw Object.assign(new Error(`${host} has no address${family === 0 ? '' : ` of IPv${family}`}`), { code: 'ENOTFOUND' })
  return address
}

/** The same socket; when it is one of both families, datagrams from IPv4 have addresses of IPv4, to which it sends as well. */
export function withPlainAddresses (socket: DatagramSocket): DatagramSocket {
  if (socket.local.host !== ANY) return socket
  return wrapLink(socket, { source: plainSource(socket.source), flow: (take, signal) => consume<Datagram>(socket, (batch) => take(plain(batch)), signal) })
}

async function * plainSource (source: DatagramSocket['source']): AsyncGenerator<Batch<Datagram>> {
  for await (const batch of source) yield plain(batch)
}

function plain (batch: Batch<Datagram>): Batch<Datagram> {
  for (const datagram of batch) {
    if (!datagram.host.startsWith(MAPPED)) continue
    const host = datagram.host.slice(MAPPED.length)
    if (isIPv4(host)) datagram.host = host // else one of ::ffff:0:0:0/96, as `::ffff:0:c000:201`
  }
  return batch
}

/** Whether a connection comes from the internet itself. */
import ipaddr from 'ipaddr.js'

/**
 * Proxies that nobody has named stand on this machine or beside it, at addresses that are not public: clients behind those count by the
 * address that a header claims. From elsewhere anyone may claim the address of anyone, and use up what is for that one.
 *
 * @param source see `clientKey`
 */
export function isPublic (source: string): boolean {
  const address = source.replace(/\/64$/, '')
  return ipaddr.isValid(address) && ipaddr.parse(address).range() === 'unicast'
}

/** Addresses of names, of the family of a socket. */
import { systemLookup } from '../../../transports/happy-eyeballs.ts'

/** By the resolver of the machine. @param local the address of the socket: that of IPv4 reaches IPv4 alone */
export const addressFinder = (local: string) => async (host: string): Promise<string> => {
  const found = await systemLookup(host)
  const [first] = local.includes(':') ? found : found.filter(({ family }) => family === 4)
  if (first === undefined) throw Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' })
  return first.address
}

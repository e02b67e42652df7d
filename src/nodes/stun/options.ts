/** The options of a server of STUN, as data. */
import { localAddress, portPair } from '../common/options/addresses.ts'
import { wholeNumber } from '../common/options/checks.ts'
import type { Options } from '../common/options/option.ts'

export const stunOptions = {
  /** The first port. The second is the next one. 0 takes two free ones. */
  listen: { check: portPair(), isRequired: true },
  /** A second address of this machine, for all tests of RFC 5780. */
  second: { check: localAddress() },
  /** Requests a second of one source, an IPv4 address or an IPv6 /64; the burst is ten times that. */
  sourceRate: { check: wholeNumber(1), default: 10 },
  /** Requests a second of all together; the burst is one second's worth. */
  totalRate: { check: wholeNumber(1), default: 5000 }
} as const satisfies Options

/**
 * A second address is one beside a first.
 *
 * @param name of the option `listen`, for errors
 */
export function verifyStun ({ listen, second }: { listen: { host: string } | undefined, second: string | undefined }, name: string, reject: (detail: string) => never): void {
  if (second === undefined) return
  if (listen === undefined) reject(`of no use without ${name}`)
  if (listen.host === '0.0.0.0' || listen.host === '::') reject(`of no use beside ${listen.host}, expected one address to listen on in ${name}`)
  if (listen.host === second) reject(`the address of ${name}, expected another one`)
}

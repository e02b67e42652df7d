/** Errors as the system raises them, with its codes and the text of Node. */
import type { Endpoint } from '../../../../types.ts'

/**
 * - `ECONNREFUSED`: nobody listens there, or nobody takes further connections
 * - `ECONNRESET`: the other side has ended the connection at once
 * - `ETIMEDOUT`: the other side does not answer, from the start or any more
 * - `EHOSTUNREACH`: nobody has the address of the host
 * - `ENETUNREACH`: there is no way to its network
 * - `ENOTFOUND`: the host is not an address, and names have no addresses
 * - `EINVAL`: the local address is of the other family than the remote one
 * - `EADDRINUSE`: the local address is in use
 * - `EADDRNOTAVAIL`: it is not one of this host, or no port is free
 */
export type StreamErrorCode = 'ECONNREFUSED' | 'ECONNRESET' | 'ETIMEDOUT' | 'EHOSTUNREACH' | 'ENETUNREACH' | 'ENOTFOUND' | 'EINVAL' | 'EADDRINUSE' | 'EADDRNOTAVAIL'

export function streamError (code: StreamErrorCode, syscall: string, { host, port }: Partial<Endpoint> = {}): NodeJS.ErrnoException {
  const where = host === undefined ? '' : ` ${host}:${port ?? 0}`
  return Object.assign(new Error(`${syscall} ${code}${where}`), { code, syscall })
}

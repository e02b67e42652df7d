/** The client of a WebSocket behind a trusted proxy: proxies name it in one header or in two, and pass on those that they do not know. */
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { foldAddress } from '../protocol/addresses.ts'
import { CidrList } from '../../../net/cidr-list.ts'
import { forwardedSource } from '../../../net/forwarded-for.ts'

/** In place of the proxy: no client has it. */
const PROXY = { host: '', port: 0 }

/**
 * `X-Forwarded-For` or `X-Real-IP`. Where both are there they have to agree, as one of them may be of the client itself; an `X-Real-IP` that
 * is a trusted proxy says nothing.
 *
 * @param trusted CIDRs or addresses
 * @returns reads the headers of a request; undefined: the proxy itself counts
 */
export function proxiedClient (trusted: readonly string[]): (headers: IncomingHttpHeaders) => string | undefined {
  const proxies = new CidrList('trustedProxies', trusted)
  return ({ 'x-forwarded-for': forwarded, 'x-real-ip': real }) => {
    const named = typeof real === 'string' && isIP(real) !== 0 && !real.includes('%') ? foldAddress(real) : undefined
    const client = named === undefined || proxies.includes(named) ? undefined : named
    if (forwarded === undefined) return client
    const { host } = forwardedSource(String(forwarded), PROXY, proxies)
    if (host === '' || (client !== undefined && client !== foldAddress(host))) return undefined
    return foldAddress(host)
  }
}

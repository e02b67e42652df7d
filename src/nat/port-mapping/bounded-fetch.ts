/** `fetch` for answers of machines that nobody vouches for. */

import { timeLimit } from './time-limit.ts'

/** Bytes of an answer, and milliseconds for it. */
const MOST_BYTES = 64 * 1024
const TIME = 3000

/** The same `fetch` for these hosts alone, by HTTP, without redirects, with bounds. */
export function boundedFetch (original: typeof fetch, hosts: ReadonlySet<string>): typeof fetch {
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input)
    if (url.protocol !== 'http:' || !hosts.has(url.hostname)) throw new Error('a gateway names a URL of another host')
    const limit = timeLimit(TIME)
    const response = await original(url, { ...init, redirect: 'error', signal: init.signal == null ? limit : AbortSignal.any([init.signal, limit]) })
    const parts: Uint8Array[] = []
    let bytes = 0
    for await (const part of response.body ?? []) {
      bytes += part.length
      if (bytes > MOST_BYTES) throw new Error(`the answer of a gateway has more than ${MOST_BYTES} bytes`)
      parts.push(part)
    }
    return new Response(Buffer.concat(parts), { status: response.status, statusText: response.statusText, headers: response.headers })
  }
}

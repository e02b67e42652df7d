/** The client of a WebSocket, as the headers of a proxy name it (RustDesk protocol, section 1.3). */
import { isIPv4, isIPv6 } from 'node:net'
import type { IncomingHttpHeaders } from 'node:http'
import { foldAddress } from '../protocol/addresses.ts'

/** `X-Real-IP`, or without it `X-Forwarded-For`, as one address, folded. Undefined for anything else, as a list: then the sender is the client. */
export function clientOf (headers: IncomingHttpHeaders): string | undefined {
  const value = headers['x-real-ip'] ?? headers['x-forwarded-for']
  if (typeof value !== 'string') return undefined
  return isIPv4(value) || (isIPv6(value) && !value.includes('%')) ? foldAddress(value) : undefined
}

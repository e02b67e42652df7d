/** Bodies of requests: small forms. */
import type { IncomingMessage } from 'node:http'
import { readBody } from '../read-body.ts'

/** Bytes, by default. */
const MAX_FORM = 4096

/**
 * Reads `application/x-www-form-urlencoded`; undefined when it is longer than `limit`, in bytes. Rejects when the request breaks.
 */
export async function readForm (request: IncomingMessage, limit = MAX_FORM): Promise<URLSearchParams | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return undefined
  const body = await readBody(request, limit)
  return body === undefined ? undefined : new URLSearchParams(body.toString())
}

/** A whole number as the original reads it: decimal, `0x` or, behind `0`, octal; 0 for anything else. */
export function readNumber (text: string | null): number {
  if (text === null || !/^(0x[0-9a-f]{1,8}|\d{1,15})$/i.test(text)) return 0
  if (/^0[0-7]+$/.test(text)) return parseInt(text, 8)
  return /^0\d/.test(text) ? 0 : Number(text)
}

/** The body of a request that is taken whole. */
import type { IncomingMessage } from 'node:http'

/** Undefined when it is longer than `limit`, in bytes: it is not read to its end then, and the request can be answered. Rejects when the request breaks. */
export async function readBody (request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const all: Buffer[] = []
  let size = 0
  for await (const bytes of request.iterator({ destroyOnReturn: false })) {
    all.push(bytes)
    size += bytes.length
    if (size > limit) return undefined
  }
  return Buffer.concat(all)
}

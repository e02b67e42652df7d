import type { Control } from './index.ts'

/** A sign of life, answered by our own clock (gotunnel protocol, section 3). */
export function ping (_message: unknown, { session, shared }: Control): void {
  session.heardAt = shared.now
  session.send({ type: 'pong', time: Math.floor(Date.now() / 1000) })
}

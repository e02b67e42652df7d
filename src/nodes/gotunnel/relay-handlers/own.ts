import type { Control } from './index.ts'

/** Whether the port is that of this connection. The original takes any, so that any client can switch any other off. */
export function isOwn ({ session, shared }: Control, port: number): boolean {
  if (port === session.remotePort) return true
  shared.refused.foreign++
  shared.log.line('warn', { name: session.name, identity: session.identity.name, port }, 'a client speaks for a port that is not its own')
  return false
}

import type { Control } from './index.ts'
import type { DataChannelFailed } from '../messages.ts'
import { printable } from '../../../text/printable.ts'

/** Strict mode: the client cannot serve this user, who need not wait any longer. */
export function dataChannelFailed ({ id, reason }: DataChannelFailed, { session, shared }: Control): void {
  shared.log.line('info', { name: session.name, port: session.remotePort, reason: printable(reason) }, 'a client could not serve a user')
  session.port?.fail(id)
}

import type { Control } from './index.ts'
import { isOwn } from './own.ts'
import type { PortState } from '../messages.ts'

/** The service behind the port is down: nobody shall connect until it is back (gotunnel protocol, section 4). */
export function offlinePort ({ port }: PortState, control: Control): void {
  if (!isOwn(control, port)) return
  control.session.wantsOnline = false
  control.session.port?.offline()
}

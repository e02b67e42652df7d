import type { Control } from './index.ts'
import { isOwn } from './own.ts'
import type { PortState } from '../messages.ts'

/** The service behind the port is back. When the port is in use by then, the relay tries again by itself. */
export function onlinePort ({ port }: PortState, control: Control): void {
  if (!isOwn(control, port)) return
  control.session.wantsOnline = true
  control.session.port?.open().catch(() => {})
}

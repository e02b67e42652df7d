/** Handlers of the messages on a control connection (gotunnel protocol, sections 3 and 12.3). */
import type { DataChannelFailed, PortState, ToServer } from '../protocol/messages.ts'
import type { Session } from './session.ts'
import type { GotunnelRejectReason } from './stats.ts'
import type { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import { printable } from '../../../text/printable.ts'
import { typeDemux } from '../../../transforms/type-demux.ts'
import type { Clock } from '../../../types.ts'

export interface ControlContext {
  readonly clock: Clock
  /** Milliseconds of a monotonic clock, as of the last tick: exact enough for timeouts. */
  readonly now: number
  readonly log: RateLimitedLog
  readonly refused: Pick<Record<GotunnelRejectReason, number>, 'not_owner'>
}

/** The context of a message. */
export interface Control {
  session: Session
  relay: ControlContext
}

/** Answers with the clock of the relay. */
function ping (_message: unknown, { session, relay }: Control): void {
  session.heardAt = relay.now
  session.send({ type: 'pong', time: Math.floor(relay.clock.date() / 1000) })
}

/** The service behind the port is back. When the port is in use by then, the relay retries. */
function onlinePort ({ port }: PortState, control: Control): void {
  if (!isOwn(control, port)) return
  control.session.wantsOnline = true
  control.session.port?.open().catch(() => {})
}

/** The service behind the port is down: no user is accepted until it is back. */
function offlinePort ({ port }: PortState, control: Control): void {
  if (!isOwn(control, port)) return
  control.session.wantsOnline = false
  control.session.port?.offline()
}

/** Strict mode: the client cannot serve this user, which need not wait any longer. */
function dataChannelFailed ({ id, reason }: DataChannelFailed, { session, relay }: Control): void {
  relay.log.log('info', { name: session.name, port: session.remotePort, reason: printable(reason) }, 'a client could not serve a user')
  session.port?.fail(id)
}

/** Whether this session owns the port. The original does not check, so that any client can switch the port of another off. */
function isOwn ({ session, relay }: Control, port: number): boolean {
  if (port === session.remotePort) return true
  relay.refused.not_owner++
  relay.log.log('warn', { name: session.name, identity: session.identity.name, port }, 'a client speaks for a port that is not its own')
  return false
}

/** All types that `readToServer` lets through have a handler. */
export const receive = typeDemux<Control, ToServer>({
  ping,
  online_port: onlinePort,
  offline_port: offlinePort,
  data_channel_failed: dataChannelFailed
}, { typeOf: ({ type }) => type })

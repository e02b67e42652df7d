/** Registration of a port by a client (gotunnel protocol, section 3). */
import { pipe } from 'it-pipe'
import { receive, type Control, type ControlContext } from './control.ts'
import { rateLimited, controlBudget } from '../protocol/control-budget.ts'
import type { Identity, Proof } from './identities.ts'
import { MAX_FRAME, MAX_MESSAGE, readToServer, type Message, type Register, type ToServer } from '../protocol/messages.ts'
import type { PortRegistry } from './port-registry.ts'
import { isPort } from '../protocol/port-ranges.ts'
import { accept, rejectConnection, type PendingConnection, type RejectContext } from './register-response.ts'
import { Session } from './session.ts'
import type { RelaySettings } from './settings.ts'
import type { GotunnelRejectReason } from './stats.ts'
import { LinkClosedError } from '../../../errors.ts'
import { over } from '../../../layer.ts'
import { controlFrames } from '../../../transforms/control-frames.ts'
import { json } from '../../../transforms/json.ts'
import { u32be } from '../../../transforms/length-codecs.ts'
import { dispatch } from '../../../transforms/type-demux.ts'

const frames = controlFrames(u32be, { maxFrame: MAX_FRAME })
const messages = json<ToServer, Message>({ read: readToServer, maxParsed: MAX_MESSAGE })

/** Characters of a name where it is shown; longer ones are cut. */
const MAX_NAME = 64

export interface ClientContext extends RejectContext, ControlContext {
  readonly settings: Pick<RelaySettings, 'mode'>
  readonly registry: PortRegistry
  readonly refused: Record<GotunnelRejectReason, number>
  /** Messages of clients that had to wait for the rate limit. */
  heldMessages: number
  /** The relay accepts no more clients. */
  readonly isClosing: boolean
}

/** Serves a control connection until it ends. Rejects with the error that broke it. */
export async function serveClient (context: ClientContext, connection: PendingConnection, { name: given, local_port: localPort, remote_port: remotePort, tunpipe, acknowledge, addresses }: Register, identity: Identity, proof: Proof): Promise<void> {
  const { settings: { mode: allowed }, registry } = context
  const { remote, slot } = connection
  const isStrict = tunpipe !== undefined && allowed !== 'compatible'
  const name = given.slice(0, MAX_NAME).replaceAll(/[^\x20-\x7e]/g, '?')
  const about = { identity: identity.name, name, port: remotePort }
  if (allowed === 'strict' && !isStrict) return await rejectConnection(context, connection, 'mode', about)
  const link = over(rateLimited(over(connection.link, frames), controlBudget(context.clock, () => { context.heldMessages++ }, identity.messages)), messages)
  const session = new Session({ link, remote, identity, proof, name, localPort, remotePort, isStrict, wantsAddresses: addresses === 1, acknowledges: isStrict && acknowledge === 1, clock: context.clock, now: context.now })
  const problem = await registry.bind(session)
  // The original answers ok for any port, and its clients treat every other answer as permanent. So the relay answers ok and
  // retries on their behalf.
  const mayWait = !isStrict && (problem === 'busy' || !isPort(remotePort))
  if (problem !== undefined && !mayWait) return await rejectConnection(context, connection, problem, { ...about, detail: session.problem })
  if (problem !== undefined && !registry.mayWait(session)) return await rejectConnection(context, connection, 'ports', about)
  if (session.ended !== undefined) return // replaced while the port was being opened
  const reason = context.isClosing ? 'token' : registry.policyViolation(session) // the settings may have changed while the port was being opened
  if (reason !== undefined) {
    registry.release(session)
    return await rejectConnection(context, connection, reason, about)
  }

  slot.establish()
  registry.sessions.add(session)
  accept(connection.link, isStrict, session.acknowledges)
  const mode = isStrict ? 'strict' : 'compatible'
  if (problem === undefined) context.log.log('info', { ...about, remote, mode }, 'client registered')
  else context.log.log('warn', { ...about, remote, mode, waits: problem, detail: session.problem }, 'client registered, but its port cannot be had yet')
  session.onEnd = () => { registry.release(session) }
  const control = { session, relay: context }
  try {
    await pipe(link.source, dispatch(receiveUntilEnded, control))
  } finally {
    registry.sessions.delete(session)
    registry.release(session)
    if (session.ended !== undefined) context.refused[session.ended]++
    link.abort(new LinkClosedError('the control connection has ended'))
    context.log.log('info', { ...about, remote, ...(session.ended === undefined ? {} : { reason: session.ended }) }, 'client gone')
  }
}

/** Messages that arrive after the end of a session are ignored. */
function receiveUntilEnded (message: ToServer, control: Control): void {
  if (control.session.ended === undefined) receive(message, control)
}

/** A client wants a port (gotunnel protocol, section 3). */
import { pipe } from 'it-pipe'
import { receive, type Control } from './control.ts'
import { atPace, controlBudget } from '../protocol/control-budget.ts'
import type { Identity, Proof } from './identities.ts'
import { MAX_FRAME, MAX_MESSAGE, readToServer, type Message, type Register, type ToServer } from '../protocol/messages.ts'
import { MappedPort } from './port.ts'
import { isPort } from '../protocol/port-ranges.ts'
import { accept, refuse } from './refuse.ts'
import { REPLACED, type REASONS } from '../protocol/reasons.ts'
import { Session } from './session.ts'
import type { Caller, Shared } from './shared.ts'
import { LinkClosedError } from '../../../errors.ts'
import { over } from '../../../layer.ts'
import { controlFrames } from '../../../transforms/control-frames.ts'
import { json } from '../../../transforms/json.ts'
import { u32be } from '../../../transforms/length-codecs.ts'
import { dispatch } from '../../../transforms/type-demux.ts'

const frames = controlFrames(u32be, { maxFrame: MAX_FRAME })
const messages = json<ToServer, Message>({ read: readToServer, maxParsed: MAX_MESSAGE })

/** Longer names are cut where they are shown. */
const LONGEST_NAME = 64

/** Serves a control connection until it ends. Rejects with what broke it. */
export async function serveClient (shared: Shared, caller: Caller, { name: given, local_port: localPort, remote_port: remotePort, tunpipe, acknowledge, addresses }: Register, identity: Identity, proof: Proof): Promise<void> {
  const { mode: allowed } = shared.settings
  const { remote, pass } = caller
  const isStrict = tunpipe !== undefined && allowed !== 'compatible'
  const name = given.slice(0, LONGEST_NAME).replaceAll(/[^\x20-\x7e]/g, '?')
  const about = { identity: identity.name, name, port: remotePort }
  if (allowed === 'strict' && !isStrict) return await refuse(shared, caller, 'mode', about)
  const link = over(atPace(over(caller.link, frames), controlBudget(shared.clock, () => { shared.heldMessages++ })), messages)
  const session = new Session({ link, remote, identity, proof, name, localPort, remotePort, isStrict, wantsAddresses: addresses === 1, acknowledges: isStrict && acknowledge === 1, clock: shared.clock, now: shared.now })
  const problem = await bind(shared, session)
  // The original answers ok to whatever port it is, and its clients take no other answer for a temporary one: here the relay
  // goes on trying in their place.
  const mayWait = !isStrict && (problem === 'busy' || !isPort(remotePort))
  if (problem !== undefined && !mayWait) return await refuse(shared, caller, problem, { ...about, reason: session.problem })
  if (problem !== undefined && !mayLine(shared, session)) return await refuse(shared, caller, 'ports', about)
  if (session.ended !== undefined) return // replaced while the port was being opened
  const why = shared.isClosing ? 'token' : objection(shared, session) // while the port was being opened, the settings may have become others
  if (why !== undefined) {
    release(shared, session)
    return await refuse(shared, caller, why, about)
  }

  pass.establish()
  shared.sessions.add(session)
  accept(caller.link, isStrict, session.acknowledges)
  const mode = isStrict ? 'strict' : 'compatible'
  if (problem === undefined) shared.log.line('info', { ...about, remote, mode }, 'client registered')
  else shared.log.line('warn', { ...about, remote, mode, waits: problem, reason: session.problem }, 'client registered, but its port cannot be had yet')
  session.onEnd = () => { release(shared, session) }
  const control = { session, shared }
  try {
    await pipe(link.source, dispatch(receiveUntilEnded, control))
  } finally {
    shared.sessions.delete(session)
    release(shared, session)
    if (session.ended !== undefined) shared.refused[session.ended]++
    link.abort(new LinkClosedError('the control connection has ended'))
    shared.log.line('info', { ...about, remote, ...(session.ended === undefined ? {} : { why: session.ended }) }, 'client gone')
  }
}

/** A session that was ended has no use for what still comes. */
function receiveUntilEnded (message: ToServer, control: Control): void {
  if (control.session.ended === undefined) receive(message, control)
}

/** Why the settings of now do not let a client stay. What is no port at all is no matter: it waits for ever, as with the original. */
export function objection ({ identities, settings: { mode } }: Shared, { identity, remotePort, isStrict }: Session): 'token' | 'port' | 'mode' | undefined {
  if (!identities.has(identity)) return 'token'
  if (isPort(remotePort) && !identity.settings.ports.includes(remotePort)) return 'port'
  return mode === 'strict' && !isStrict ? 'mode' : undefined
}

/** Whether one more client of its identity may wait for a port. One that waits for the same port makes room, as it would if it had it. */
function mayLine ({ sessions }: Shared, { identity, remotePort }: Session): boolean {
  let count = 0
  for (const other of sessions) {
    if (other.identity !== identity || !other.isWaiting) continue
    if (other.remotePort === remotePort) other.end('replaced', REPLACED)
    else count++
  }
  return count < identity.settings.maxPorts
}

/** Gets a session its port, and listens there. */
export async function bind (shared: Shared, session: Session): Promise<keyof typeof REASONS | undefined> {
  const { identity, remotePort, isStrict, name } = session
  if (!isPort(remotePort) || !identity.settings.ports.includes(remotePort)) return 'port'
  if (isStrict && isTaken(shared, name, identity)) return 'name'
  const there = shared.ports.get(remotePort)
  if (there !== undefined && there.identity !== identity) return 'busy'
  if (there === undefined && (identity.ports >= identity.settings.maxPorts || shared.ports.size >= shared.settings.maxPorts)) return 'ports'
  try {
    if (there === undefined) await create(shared, session)
    else await take(there, session)
    return undefined
  } catch (err) {
    session.problem = (err as Error).message
    release(shared, session)
    return (err as NodeJS.ErrnoException).code === 'EACCES' ? 'port' : 'busy'
  }
}

/**
 * Names say who it is in logs and status, so a client cannot take that of another identity. Those of clients are no matter: whoever
 * comes first would keep others out.
 */
const isTaken = ({ identities }: Shared, name: string, identity: Identity): boolean => (identities.named(name) ?? identity) !== identity

async function create (shared: Shared, session: Session): Promise<void> {
  const port = session.port = new MappedPort(shared, session)
  shared.ports.set(port.number, port)
  port.identity.ports++
  await port.open()
}

async function take (port: MappedPort, session: Session): Promise<void> {
  session.port = port
  await port.take(session)
}

/** Gives back what a session has. What another one has taken over stays. */
function release (shared: Shared, session: Session): void {
  const port = session.port === undefined ? undefined : shared.ports.get(session.remotePort)
  session.port = undefined
  if (port === undefined || port.owner !== session) return
  port.end()
  shared.ports.delete(port.number)
  port.identity.ports--
}

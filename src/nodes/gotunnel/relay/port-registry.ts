/** The ports of a relay with their owners, and the clients that wait for one. */
import type { Identities } from './identities.ts'
import { MappedPort, type PortContext } from './port.ts'
import { isPort } from '../protocol/port-ranges.ts'
import type { RejectReason } from '../protocol/reasons.ts'
import type { Session } from './session.ts'
import type { RelaySettings } from './settings.ts'

export interface RegistryContext extends PortContext {
  readonly settings: RelaySettings
  readonly identities: Identities
}

export class PortRegistry {
  /** By number. */
  readonly ports = new Map<number, MappedPort>()
  readonly sessions = new Set<Session>()
  readonly #context: RegistryContext

  constructor (context: RegistryContext) { this.#context = context }

  /** Clients without a port so far. */
  get waiting (): Session[] { return [...this.sessions].filter(({ isWaiting }) => isWaiting) }

  /** Gives a session its port, and listens on it. */
  async bind (session: Session): Promise<RejectReason | undefined> {
    const { identity, remotePort, isStrict, name } = session
    if (!isPort(remotePort) || !identity.settings.ports.includes(remotePort)) return 'port'
    if (isStrict && this.#isTaken(session, name)) return 'name'
    const there = this.ports.get(remotePort)
    if (there !== undefined && there.identity !== identity) return 'busy'
    if (there === undefined && (identity.ports >= identity.settings.maxPorts || this.ports.size >= this.#context.settings.maxPortsTotal)) return 'ports'
    try {
      if (there === undefined) await this.#create(session)
      else await take(there, session)
      return undefined
    } catch (err) {
      session.problem = (err as Error).message
      this.release(session)
      return (err as NodeJS.ErrnoException).code === 'EACCES' ? 'port' : 'busy'
    }
  }

  /** Releases what a session has. A port that another session has taken over stays. */
  release (session: Session): void {
    const port = session.port === undefined ? undefined : this.ports.get(session.remotePort)
    session.port = undefined
    if (port === undefined || port.owner !== session) return
    port.end()
    this.ports.delete(port.number)
    port.identity.ports--
  }

  /** Why the current settings do not allow a client to stay. An invalid port number is allowed: it waits for ever, as with the original. */
  policyViolation ({ identity, remotePort, isStrict }: Session): 'token' | 'port' | 'mode' | undefined {
    const { identities, settings: { mode } } = this.#context
    if (!identities.has(identity)) return 'token'
    if (isPort(remotePort) && !identity.settings.ports.includes(remotePort)) return 'port'
    return mode === 'strict' && !isStrict ? 'mode' : undefined
  }

  /** Whether one more client of its identity may wait for a port. A client that waits for the same port is replaced, as its owner would be. */
  mayWait ({ identity, remotePort }: Session): boolean {
    let count = 0
    for (const other of this.sessions) {
      if (other.identity !== identity || !other.isWaiting) continue
      if (other.remotePort === remotePort) other.end('replaced')
      else count++
    }
    return count < identity.settings.maxPorts
  }

  /**
   * Names identify clients in logs and status, so that a client cannot use the name of another identity. Names of other clients are not
   * reserved: the first client would keep others out.
   */
  #isTaken ({ identity }: Session, name: string): boolean { return (this.#context.identities.named(name) ?? identity) !== identity }

  async #create (session: Session): Promise<void> {
    const port = session.port = new MappedPort(this.#context, session)
    this.ports.set(port.number, port)
    port.identity.ports++
    await port.open()
  }
}

async function take (port: MappedPort, session: Session): Promise<void> {
  session.port = port
  await port.takeOver(session)
}

/** What other clients open here: shells, desktops, ports, measurements (natpass protocol, section 4.3). */
import { Allowances } from './allowances.ts'
import type { LostDatagrams } from './datagrams.ts'
import { CodeServers } from './code/code-servers.ts'
import { Desktops } from './desktop/desktops.ts'
import { Ports } from './ports.ts'
import type { PeerSettings, NatpassPeerStats, NatpassServedLinkStatus } from './settings.ts'
import { endingBoth, ServedShell } from './shell/served-shell.ts'
import { startShell } from './shell/shell.ts'
import type { Attachment, LinkRequest, LinkResponse, ShellExit } from '../protocol/link-codec.ts'
import { LINK_TYPES, type LinkType } from '../protocol/message-types.ts'
import type { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import { ServedLinks } from './served-links.ts'
import { LinkClosedError } from '../../../errors.ts'
import { bridge } from '../../../streams/bridge.ts'
import { printable, reasonOf } from '../../../text/printable.ts'
import type { Opening } from '../../../transforms/link-mux/index.ts'
import type { Clock, Link } from '../../../types.ts'

/** Shells at one time, and of one client. */
const MAX_SHELLS = 64
const MAX_OF_CLIENT = 32

type NatpassOpening = Opening<LinkRequest, LinkResponse>

/** The connection that an opening came over. */
interface ShellSession {
  tellExit (link: string, exit: ShellExit): void
}

export interface ControlledEndInit {
  settings: Pick<PeerSettings, 'allow' | 'codedir' | 'peerProgram'>
  clock: Clock
  log: RateLimitedLog
  stats: Pick<NatpassPeerStats, 'links' | 'accepted' | 'refused'>
  lost: LostDatagrams
}

export class ControlledEnd {
  readonly #init: ControlledEndInit
  readonly #allowances: Allowances
  readonly #ports: Ports
  readonly #codeServers: CodeServers
  readonly #desktops: Desktops
  /** By the id of their link; they stay for a while when their connection is lost. */
  readonly #shells = new Map<string, ServedShell>()
  /** Those that are not there yet. */
  readonly #starting = new Set<NatpassOpening>()
  readonly #links = new ServedLinks()

  constructor (init: ControlledEndInit) {
    this.#init = init
    const { settings: { allow, codedir, peerProgram: program }, clock, log, lost } = init
    const allowances = this.#allowances = new Allowances(allow)
    this.#ports = new Ports({ allowances, clock, lost })
    this.#desktops = new Desktops({ program, clock, log })
    this.#codeServers = new CodeServers({ folder: codedir, clock })
  }

  /** Opens what another client asks for, or says why not. */
  async open (opening: NatpassOpening, session: ShellSession): Promise<void> {
    const { log, stats } = this.#init
    const { client, request, again } = opening.request
    const type: LinkType | undefined = LINK_TYPES[request._type ?? 0]
    const about = { client: printable(client), type: type ?? request._type, rule: printable(request.name ?? '') }
    const refuse = (text: string): void => {
      stats.refused++
      log.log('warn', { ...about, reason: text }, 'link refused')
      opening.reject(undefined, { text })
    }
    if (type === undefined) return refuse('this type is unknown here')
    if (!this.#allowances.allows(client, type)) return refuse(`${type} is not allowed here`)
    const serve = this.#serveOf(type, session)
    if (serve === undefined) return refuse(`${type} is not served here`)
    try {
      if (again !== undefined && type === 'shell') {
        await this.#attach(opening, again, session)
        log.log('info', about, 'link opened again')
        return
      }
      await serve(opening, () => {
        stats.accepted++
        stats.links++
        this.#links.add(opening, type)
        log.log('info', about, 'link opened')
      }, () => {
        stats.links--
        this.#links.delete(opening)
      })
    } catch (err) {
      if (opening.isPending) refuse(reasonOf(err as Error))
    }
  }

  /** Those that are open. */
  links (): NatpassServedLinkStatus[] { return this.#links.status() }

  /** The other end has resized its terminal. */
  resize (link: string, rows: number, columns: number): void {
    try {
      this.#shells.get(link)?.resize(rows, columns)
    } catch {
      // out of range: the terminal stays as it is
    }
  }

  /** Ends all shells, desktops and code-servers. Settles when the processes of the latter two are gone. */
  async close (reason: Error): Promise<void> {
    for (const shell of this.#shells.values()) shell.abort(reason)
    await Promise.all([this.#desktops.close(reason), this.#codeServers.close(reason)])
  }

  #serveOf (type: LinkType, session: ShellSession): ((opening: NatpassOpening, onOpen: () => void, onEnd: () => void) => Promise<void>) | undefined {
    switch (type) {
      case 'tcp': return async (opening, onOpen, onEnd) => { await this.#join(opening, await this.#ports.connect(opening), onOpen, onEnd) }
      case 'udp': return (opening, onOpen, onEnd) => this.#ports.exchange(opening, onOpen, onEnd)
      case 'shell': return (opening, onOpen, onEnd) => this.#shell(opening, session, onOpen, onEnd)
      case 'code': return (opening, onOpen, onEnd) => this.#codeServers.serve(opening, onOpen, onEnd)
      case 'vnc': return (opening, onOpen, onEnd) => this.#desktops.serve(opening, onOpen, onEnd)
      case 'bench': return async (opening, onOpen, onEnd) => {
        onOpen()
        const link = opening.accept({})
        onEnd()
        link.abort(new Error('a measurement carries no data'))
      }
      default: return undefined
    }
  }

  async #shell (opening: NatpassOpening, session: ShellSession, onOpen: () => void, onEnd: () => void): Promise<void> {
    const { client, request: { cshell }, traffic } = opening.request
    const id = String(opening.id)
    if (this.#shells.has(id)) throw new Error('this shell is there already')
    if (this.#shells.size + this.#starting.size >= MAX_SHELLS) throw new Error('too many shells are open here')
    const own = [...[...this.#shells.values()].map((shell) => shell.client), ...[...this.#starting].map(({ request }) => request.client)].filter((other) => other === client)
    if (own.length >= MAX_OF_CLIENT) throw new Error(`${MAX_OF_CLIENT} shells of this client are open here`)
    const { clock } = this.#init
    const { exec, env } = this.#allowances.command(client, { exec: cshell?.exec ?? undefined, env: cshell?.env ?? [] })
    this.#starting.add(opening)
    const shell = await startShell({ exec, env, clock }).finally(() => { this.#starting.delete(opening) })
    const served = new ServedShell({ shell, client, traffic, clock })
    let link
    try {
      link = opening.accept({ token: served.token })
    } catch (err) {
      shell.link.abort(err as Error)
      throw err
    }
    onOpen()
    this.#shells.set(id, served)
    await served.serve(link, (exit) => { session.tellExit(id, exit) })
    this.#shells.delete(id)
    onEnd()
  }

  /** The client that has opened a shell is back, or this end is. */
  async #attach (opening: NatpassOpening, again: Attachment, session: ShellSession): Promise<void> {
    await new Promise(setImmediate) // the loss of the link before may have come in the same read: its readers know by then
    const id = String(opening.id)
    const shell = this.#shells.get(id)
    const { client, traffic } = opening.request
    if (shell?.mayAttach(client, again) !== true) throw new Error('there is no such shell to attach to')
    if (shell.traffic !== undefined) traffic?.continue(shell.traffic)
    shell.attach(opening.accept({ received: shell.received }), again.received, (exit) => { session.tellExit(id, exit) })
  }

  /** Accepts the link, and joins it with what was opened for it. */
  async #join (opening: NatpassOpening, local: Link, onOpen: () => void, onEnd: () => void): Promise<void> {
    let link
    try {
      link = opening.accept({})
    } catch (err) {
      local.abort(err as Error)
      throw err
    }
    onOpen()
    try {
      await bridge(link.halfClose ? link : endingBoth(link, () => { local.abort(new LinkClosedError('the other end has left')) }), local)
    } catch {
      // either end has broken: both are aborted by now
    } finally {
      onEnd()
    }
  }
}

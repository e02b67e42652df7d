/** What other clients open here: shells, ports, measurements (natpass protocol, section 4.3). */
import { isAllowed } from './allowances.ts'
import type { PeerSettings, NatpassPeerStats } from './settings.ts'
import { startShell, type Shell } from './shell/shell.ts'
import type { LinkRequest, LinkResponse } from '../protocol/link-codec.ts'
import { LINK_TYPES, type LinkType } from '../protocol/message-types.ts'
import type { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import { isLoopback } from '../../../net/client-address.ts'
import { LinkClosedError } from '../../../errors.ts'
import { bridge } from '../../../streams/bridge.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'
import { printable, reasonOf } from '../../../text/printable.ts'
import type { Opening } from '../../../transforms/link-mux/index.ts'
import { dialTcp } from '../../../transports/tcp.ts'
import type { Batch, Clock, Link } from '../../../types.ts'

/** Shells at one time. */
const MAX_SHELLS = 64

/** Milliseconds for a connection to a port of this machine. */
const DIAL_TIMEOUT = 10_000

type NatpassOpening = Opening<LinkRequest, LinkResponse>

export interface ControlledEndInit {
  settings: Pick<PeerSettings, 'allow'>
  clock: Clock
  log: RateLimitedLog
  stats: NatpassPeerStats
}

export class ControlledEnd {
  readonly #init: ControlledEndInit
  /** Shells of the current connection, by the id of their link. */
  readonly #shells = new Map<string, Shell>()

  constructor (init: ControlledEndInit) { this.#init = init }

  /** Opens what another client asks for, or says why not. */
  async open (opening: NatpassOpening): Promise<void> {
    const { settings: { allow }, log, stats } = this.#init
    const { client, request } = opening.request
    const type: LinkType | undefined = LINK_TYPES[request._type ?? 0]
    const about = { client: printable(client), type: type ?? request._type, rule: printable(request.name ?? '') }
    const refuse = (text: string): void => {
      stats.refused++
      log.log('warn', { ...about, reason: text }, 'link refused')
      opening.reject(undefined, { text })
    }
    if (type === undefined) return refuse('this type is unknown here')
    if (!isAllowed(allow, client, type)) return refuse(`${type} is not allowed here`)
    const serve = this.#serveOf(type)
    if (serve === undefined) return refuse(`${type} is not served here`)
    try {
      await serve(opening, () => {
        stats.accepted++
        stats.links++
        log.log('info', about, 'link opened')
      }, () => { stats.links-- })
    } catch (err) {
      if (opening.isPending) refuse(reasonOf(err as Error))
    }
  }

  /** The other end has resized its terminal. */
  resize (link: string, rows: number, columns: number): void {
    try {
      this.#shells.get(link)?.resize(rows, columns)
    } catch {
      // out of range: the terminal stays as it is
    }
  }

  #serveOf (type: LinkType): ((opening: NatpassOpening, onOpen: () => void, onEnd: () => void) => Promise<void>) | undefined {
    switch (type) {
      case 'tcp': return (opening, onOpen, onEnd) => this.#port(opening, onOpen, onEnd)
      case 'shell': return (opening, onOpen, onEnd) => this.#shell(opening, onOpen, onEnd)
      case 'bench': return async (opening, onOpen, onEnd) => {
        onOpen()
        const link = opening.accept({})
        onEnd()
        link.abort(new Error('a measurement carries no data'))
      }
      default: return undefined
    }
  }

  async #port (opening: NatpassOpening, onOpen: () => void, onEnd: () => void): Promise<void> {
    const { clock } = this.#init
    const { caddr } = opening.request.request
    const [host, port] = [caddr?.addr ?? '', caddr?.port ?? 0]
    if (!(host === 'localhost' || isLoopback(host))) throw new Error(`only ports of this machine may be reached here, not ${printable(host)}`)
    if (port < 1 || port > 65_535) throw new Error('not a port')
    const service = await dialTcp({ host, port, timeout: DIAL_TIMEOUT, clock, signal: opening.signal })
    await this.#join(opening, service, onOpen, onEnd)
  }

  async #shell (opening: NatpassOpening, onOpen: () => void, onEnd: () => void): Promise<void> {
    const { cshell } = opening.request.request
    if (this.#shells.size >= MAX_SHELLS) throw new Error('too many shells are open here')
    const shell = await startShell({ exec: cshell?.exec || undefined, env: cshell?.env ?? [], clock: this.#init.clock })
    const id = String(opening.id)
    this.#shells.set(id, shell)
    try {
      await this.#join(opening, shell.link, onOpen, onEnd)
      shell.link.abort(new LinkClosedError('the link has ended')) // what the program still runs
    } finally {
      if (this.#shells.get(id) === shell) this.#shells.delete(id)
    }
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
      await bridge(link.halfClose ? link : endingBoth(link, local), local)
    } catch {
      // either end has broken: both are aborted by now
    } finally {
      onEnd()
    }
  }
}

/** A link without half-close: its end is that of both directions, so what was opened for it ends as well, whatever it still does. */
function endingBoth (link: Link, local: Link): Link {
  async function * read (): AsyncGenerator<Batch> {
    yield * link.source
    local.abort(new LinkClosedError('the other end has left'))
  }
  return wrapLink(link, { source: read(), flow: undefined })
}

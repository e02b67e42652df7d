/** Peers that connect to this one, and the service that their connections lead to (RustDesk protocol, section 11). */
import { acceptSession, type PeerCredentials } from './handshake.ts'
import type { PeerIdentity } from './identity.ts'
import type { Allowed } from './options.ts'
import type { PeerPath, Reached } from './paths.ts'
import { inTime, openSession, type Session } from './session.ts'
import type { PeerSettings, ServedStatus } from './settings.ts'
import { keyText } from '../keys/key-text.ts'
import { ReceptionResult } from '../protocol/enums.ts'
import { Users } from '../../common/users.ts'
import type { Nacl } from '../../../crypto/nacl/index.ts'
import { LinkClosedError } from '../../../errors.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { reasonOf } from '../../../text/printable.ts'
import type { Opening } from '../../../transforms/link-mux/index.ts'
import type { Endpoint, Link } from '../../../types.ts'

/** Sessions of one peer, and connections that are no session yet: enough for all paths that are looked for, which are bounded for each address. */
const MAX_PER_PEER = 4
const MAX_HANDSHAKES = 256

export interface ServedPeersInit {
  settings: PeerSettings
  nacl: Nacl
  identity: PeerIdentity
  onSession (name: string, path: PeerPath, isOpen: boolean): void
}

interface Served {
  readonly peer: PeerCredentials
  readonly path: PeerPath
  readonly session: Session
  readonly users: Users
}

export class ServedPeers {
  readonly #init: ServedPeersInit
  readonly #sessions = new Set<Served>()
  readonly #stop = new AbortController()
  #to: Endpoint | undefined
  #allowed: Allowed = []
  #maxPeers = 1
  #handshakes = 0
  /** Connections that have become no session. */
  refused = 0

  constructor (init: ServedPeersInit) {
    this.#init = init
    this.configure(init.settings)
  }

  /** Sessions of peers that may not connect any more are ended at once. @returns how many */
  configure ({ to, allow, maxPeers }: { to?: Endpoint | undefined, allow?: Allowed | undefined, maxPeers: number }): number {
    this.#to = to
    this.#allowed = allow ?? []
    this.#maxPeers = maxPeers
    const strangers = [...this.#sessions].filter(({ peer }) => !this.#isAllowed(peer))
    for (const { session } of strangers) session.abort(new LinkClosedError('the peer may not connect any more'))
    return strangers.length
  }

  /** Makes a session of a connection, or ends it. @returns whether there is one */
  async receive ({ link, path }: Reached): Promise<boolean> {
    const { settings: { clock, id = '', serverKey, log }, nacl, identity } = this.#init
    if (this.#handshakes >= MAX_HANDSHAKES) {
      link.abort(new LinkClosedError('too many connections'))
      return false
    }
    this.#handshakes++
    try {
      const received = await inTime(clock, link, this.#stop.signal, () => acceptSession(link, { nacl, id, identity, serverKey, authorize: (peer) => this.#authorize(peer) }))
      this.#open(received.link, received.peer, path)
      return true
    } catch (err) {
      this.refused++
      log.warn({ other: endpointText(path.endpoint), path: path.kind, reason: reasonOf(err as Error) }, 'no session')
      return false
    } finally {
      this.#handshakes--
    }
  }

  status (): ServedStatus[] {
    return [...this.#sessions].map(({ peer, path, users }) => ({ ...namesOf(peer), path: path.kind, endpoint: endpointText(path.endpoint), why: path.why, users: users.size, accepted: users.accepted }))
  }

  close (): void {
    const reason = new LinkClosedError('the peer was closed')
    this.#stop.abort(reason)
    for (const { session, users } of this.#sessions) {
      users.abort(reason)
      session.abort(reason)
    }
  }

  #authorize (peer: PeerCredentials): number {
    if (!this.#isAllowed(peer)) return ReceptionResult.notAllowed
    const ofSame = [...this.#sessions].filter(({ peer: other }) => Buffer.compare(other.publicKey, peer.publicKey) === 0).length
    return this.#sessions.size >= this.#maxPeers || ofSame >= MAX_PER_PEER ? ReceptionResult.tooMany : ReceptionResult.accepted
  }

  #isAllowed ({ id, publicKey }: PeerCredentials): boolean {
    if (this.#to === undefined) return false
    return this.#allowed === 'any' || this.#allowed.some((one) => 'id' in one ? one.id === id : Buffer.compare(one.publicKey, publicKey) === 0)
  }

  #open (link: Link, peer: PeerCredentials, path: PeerPath): void {
    const { settings: { clock }, onSession } = this.#init
    const users = new Users()
    const session = openSession({ clock, link, onOpen: (opening) => this.#serve(opening, peer, users) })
    const served: Served = { peer, path, session, users }
    const { name } = namesOf(peer)
    this.#sessions.add(served)
    onSession(name, path, true)
    void session.ended.then((err) => {
      this.#sessions.delete(served)
      users.abort(err ?? new LinkClosedError('the other peer has gone'))
      onSession(name, path, false)
    })
  }

  async #serve (opening: Opening<Uint8Array, Uint8Array>, peer: PeerCredentials, users: Users): Promise<void> {
    const { settings: { transport, log } } = this.#init
    const to = this.#to
    if (to === undefined || !this.#isAllowed(peer)) {
      opening.reject()
      return
    }
    await users.serve(opening, to, { transport, log, who: { other: namesOf(peer).name } })
  }
}

const namesOf = ({ id, publicKey }: PeerCredentials): { name: string, key: string } => ({ name: id ?? `key ${keyText(publicKey)}`, key: keyText(publicKey) })

/** Nodes that connect to this one: T's side of their pairs, and the service that their links lead to (SHOW CHAIN protocol, section 8). */
import type { Sealing } from '../../../crypto/index.ts'
import { LinkClosedError } from '../../../errors.ts'
import { PER_SITE, SourceCounts } from '../../../limits/source-counts.ts'
import { clientKey, normalizeAddress } from '../../../net/client-address.ts'
import type { Opening } from '../../../transforms/link-mux/index.ts'
import type { Endpoint } from '../../../types.ts'
import { CloseReason } from '../protocol/data-packets.ts'
import { idText } from '../protocol/public-key.ts'
import { idKey } from '../protocol/public-keys.ts'
import type { Indexes } from './indexes.ts'
import type { Allowed } from './options.ts'
import { TargetPair } from './pair.ts'
import { pathStatus } from './path-status.ts'
import type { PeerSettings, ServedStatus } from './settings.ts'
import { Users } from '../../common/users.ts'

/** Nodes at one time that nobody has listed. */
const MAX_NODES = 1024

/** Addresses of nodes that come by a proxy are not known: all by one proxy may be so many times as many as those of one address. */
const PER_PROXY = PER_SITE

export interface ServedNodesInit {
  settings: PeerSettings
  sealing: Sealing
  indexes: Indexes
  onSession (id: string, isOpen: boolean): void
  /** Nothing comes of a node any more, although something should. */
  onQuiet (): void
}

interface Served {
  readonly id: Uint8Array
  readonly pair: TargetPair
  readonly users: Users
  /** Whose room it takes: its address, see `clientKey`, or the proxy. */
  owner: string
}

export class ServedNodes {
  readonly #init: ServedNodesInit
  readonly #nodes = new Map<string, Served>()
  #to: Endpoint | undefined
  #allowed: ReadonlySet<string> | 'any' = new Set()
  #maxNodesPerSource = 1
  readonly #counts = new SourceCounts()

  constructor (init: ServedNodesInit) {
    this.#init = init
    this.configure(init.settings)
  }

  get size (): number { return this.#nodes.size }

  /** Sessions of nodes that may not connect any more are closed at once. */
  configure ({ to, allow, maxNodesPerSource }: { to?: Endpoint | undefined, allow?: Allowed | undefined, maxNodesPerSource: number }): void {
    this.#to = to
    this.#maxNodesPerSource = maxNodesPerSource
    this.#allowed = allow === 'any' ? 'any' : new Set((allow ?? []).map(idKey))
    for (const [key, served] of this.#nodes) if (!this.isAllowed(served.id)) this.#end(key, served, CloseReason.NOT_ALLOWED, new LinkClosedError('the node may not connect any more'))
  }

  isAllowed (id: Uint8Array): boolean { return this.#to !== undefined && (this.#allowed === 'any' || this.#allowed.has(idKey(id))) }

  /**
   * What takes the packets of a node; undefined: it may not connect, or there is no room. Those of a list always have room.
   *
   * @param from where it is, or the proxy by which it has come
   */
  userOf (id: Uint8Array, { host }: Endpoint, isProxy: boolean): TargetPair | undefined {
    if (!this.isAllowed(id)) return undefined
    const key = idKey(id)
    const known = this.#nodes.get(key)
    const owner = isProxy ? `proxy ${normalizeAddress(host)}` : clientKey(host)
    const hasRoom = owner === known?.owner || this.#counts.hasRoom(owner, this.#maxNodesPerSource * (isProxy ? PER_PROXY : 1), known?.owner)
    if (known !== undefined) {
      if (hasRoom) this.#move(known, owner)
      return known.pair
    }
    if (this.#allowed === 'any' && (this.#nodes.size >= MAX_NODES || !hasRoom)) return undefined
    const { settings: { clock, identity, keys, random }, sealing, indexes, onSession, onQuiet } = this.#init
    const users = new Users()
    const name = idText(id)
    const pair: TargetPair = new TargetPair({
      clock,
      identity,
      keys,
      sealing,
      indexes,
      random,
      other: Uint8Array.from(id),
      onOpen: (opening) => this.#serve(name, opening, users),
      onSession: (isOpen) => {
        onSession(name, isOpen)
        if (!isOpen) this.endIfGone(pair)
      },
      onQuiet,
      onAltered: (path) => { path.close() }
    })
    this.#nodes.set(key, { id: Uint8Array.from(id), pair, users, owner })
    this.#counts.add(owner)
    return pair
  }

  /** A path of a node has ended, or was not opened, or its session has: without both it is forgotten. */
  endIfGone (user: unknown): void {
    for (const [key, served] of this.#nodes) {
      if (served.pair !== user) continue
      if (served.pair.paths.length === 0 && !served.pair.isOpen) this.#end(key, served, CloseReason.STOPPED, new LinkClosedError('the node has gone'))
      return
    }
  }

  status (): ServedStatus[] { return [...this.#nodes.values()].map(statusOf) }

  statusOf (id: Uint8Array): ServedStatus | undefined {
    const served = this.#nodes.get(idKey(id))
    return served === undefined ? undefined : statusOf(served)
  }

  close (): void {
    for (const [key, served] of this.#nodes) this.#end(key, served, CloseReason.STOPPED, new LinkClosedError('the peer was closed'))
  }

  async #serve (id: string, opening: Opening<Uint8Array, Uint8Array>, users: Users): Promise<void> {
    const { transport, log } = this.#init.settings
    const to = this.#to
    if (to === undefined) {
      opening.reject()
      return
    }
    await users.serve(opening, to, { transport, log, who: { id } })
  }

  #move (served: Served, owner: string): void {
    this.#counts.remove(served.owner)
    this.#counts.add(owner)
    served.owner = owner
  }

  #end (key: string, { pair, users, owner }: Served, reason: number, err: Error): void {
    this.#nodes.delete(key)
    this.#counts.remove(owner)
    const paths = pair.paths.map(({ path }) => path)
    pair.close(reason, err)
    users.abort(err)
    for (const path of paths) path.close()
  }
}

function statusOf ({ id, pair, users }: Served): ServedStatus {
  return { id: idText(id), isOpen: pair.isOpen, paths: pathStatus(pair), users: users.size, accepted: users.accepted }
}

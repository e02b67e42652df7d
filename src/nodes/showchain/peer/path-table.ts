/** The paths of a node by datagrams, by the endpoint of the other end. */
import { endpointText } from '../../../net/endpoint.ts'
import type { Batch, Clock, Datagram, Endpoint, PacketPort } from '../../../types.ts'
import { DatagramPath } from './datagram-path.ts'
import { deliver, type End, type Role } from './ends.ts'
import type { PathUser } from './paths.ts'

/** Paths in all. */
const MAX_PATHS = 4096

/** Those of one user: an endpoint may change several times before the paths of the old ones have ended. */
const MAX_OF_USER = 4

export interface PathTableInit {
  clock: Clock
  port: PacketPort<Datagram>
  keepAlive (to: Endpoint): void
  /** Who has made an index of a session. */
  ownerOf (index: number): unknown
  onClosed (path: DatagramPath, user: PathUser, reason: string): void
}

interface DatagramEnd extends End {
  readonly path: DatagramPath
}

/** What there is at one endpoint. */
interface Entry extends Endpoint {
  requester: DatagramEnd | undefined
  target: DatagramEnd | undefined
}

export class PathTable {
  readonly #init: PathTableInit
  readonly #entries = new Map<string, Entry>()
  /** That of the last datagram, as many come from one endpoint in a row. */
  #last: Entry | undefined
  /** Datagrams from endpoints that no path leads to. */
  unknown = 0

  constructor (init: PathTableInit) {
    this.#init = init
  }

  /** Endpoints with paths. */
  get size (): number { return this.#entries.size }

  /** Opens a path to a node that has proven to be there, or returns the one that there is; undefined when there are too many. The user is not told of it. */
  open (role: Role, user: PathUser, kind: 'direct' | 'nat', endpoint: Endpoint): DatagramPath | undefined {
    const name = endpointText(endpoint)
    const known = this.#entries.get(name)
    const end = known?.[role]
    if (end?.user === user) {
      end.path.reached(this.#init.clock.now())
      return end.path
    }
    end?.path.close() // of a node that was at this endpoint before
    if (known === undefined && this.#entries.size >= MAX_PATHS) return undefined
    this.#makeRoom(user, role)
    const { clock, port, keepAlive, onClosed } = this.#init
    const path = new DatagramPath({
      clock,
      kind,
      endpoint,
      port,
      keepAlive,
      onClosed: (path, reason) => {
        this.#forget(name, role, path)
        onClosed(path, user, reason === 'silent' ? 'nothing was heard for 60 s' : 'closed')
      }
    })
    path.reached(clock.now())
    const entry = this.#entries.get(name) ?? { host: endpoint.host, port: endpoint.port, requester: undefined, target: undefined }
    entry[role] = { path, user }
    this.#entries.set(name, entry)
    return path
  }

  /** Takes datagrams of data. */
  receive (batch: Batch<Datagram>, now: number): void {
    for (let at = 0; at < batch.length;) {
      const { host, port } = batch[at]
      let end = at + 1
      while (end < batch.length && batch[end].port === port && batch[end].host === host) end++
      const entry = this.#find({ host, port })
      if (entry === undefined) {
        this.unknown += end - at
      } else {
        this.#heard(entry, now)
        const packets = at === 0 && end === batch.length ? batch : batch.slice(at, end)
        deliver(packets.map(({ data }) => data), entry, this.#init.ownerOf, now)
      }
      at = end
    }
  }

  /** Something else has come from there. */
  heard (from: Endpoint, now: number): void {
    const entry = this.#find(from)
    if (entry !== undefined) this.#heard(entry, now)
  }

  close (): void {
    for (const { requester, target } of [...this.#entries.values()]) {
      requester?.path.close()
      target?.path.close()
    }
  }

  #find (from: Endpoint): Entry | undefined {
    const last = this.#last
    if (last !== undefined && last.port === from.port && last.host === from.host) return last
    const entry = this.#entries.get(endpointText(from))
    if (entry !== undefined) this.#last = entry
    return entry
  }

  #heard ({ requester, target }: Entry, now: number): void {
    requester?.path.heard(now)
    target?.path.heard(now)
  }

  /** Of too many of one user that one ends which was heard of least recently. */
  #makeRoom (user: PathUser, role: Role): void {
    const own = [...this.#entries.values()].flatMap((entry) => entry[role]?.user === user ? entry[role].path : [])
    if (own.length >= MAX_OF_USER) own.reduce((a, b) => a.heardAt <= b.heardAt ? a : b).close()
  }

  #forget (name: string, role: Role, path: DatagramPath): void {
    const entry = this.#entries.get(name)
    if (entry?.[role]?.path !== path) return
    entry[role] = undefined
    if (entry.requester !== undefined || entry.target !== undefined) return
    this.#entries.delete(name)
    if (this.#last === entry) this.#last = undefined
  }
}

/** The sessions of a node with proxies, as paths (SHOW CHAIN protocol, section 6). */
import type { Sha256 } from '../../../crypto/index.ts'
import { KeyedTokenBuckets } from '../../../limits/keyed-token-buckets.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { isSame } from '../../../nat/stun/transaction.ts'
import { every, type Interval } from '../../../streams/clock.ts'
import type { Batch, Clock, Datagram, Endpoint, PacketPort } from '../../../types.ts'
import { isAt, type DataFields } from '../protocol/data-fields.ts'
import { SESSION_BYTES } from '../protocol/field-table.ts'
import type { Identity } from '../protocol/identity.ts'
import { idKey } from '../protocol/public-keys.ts'
import { deliver, type Role } from './ends.ts'
import type { Path, PathUser } from './paths.ts'
import { ProxySession } from './proxy-session.ts'

/** Sessions in all. */
const MAX_SESSIONS = 1024

/** Those of one user in one role: one with each proxy, and some that a proxy has forgotten. */
const MAX_OF_USER = 8

/** Sessions that one proxy begins by a 0x124, which nobody has signed. */
const BY_PROXY = { rate: 50, burst: 256, maxKeys: 64 }

/** Milliseconds without anything from the proxy until a path has ended: it has forgotten the session before. */
const SILENCE = 75_000
const LOOK_INTERVAL = 15_000

export interface ProxyPathsInit {
  clock: Clock
  identity: Identity
  sha256: Sha256
  port: PacketPort<Datagram>
  pageSignatures: boolean
  random: () => number
  /** Who has made an index of a session. */
  ownerOf (index: number): unknown
  onClosed (path: Path, user: PathUser, reason: string, err?: Error): void
}

/** One role of this node in a session. */
class ProxyPath implements Path {
  readonly kind = 'proxy'
  readonly isReliable = true
  readonly endpoint: Endpoint
  readonly user: PathUser
  readonly #session: ProxySession
  readonly #onEnd: (path: ProxyPath, reason: string, err: Error | undefined) => void
  #isEnding = false
  #isClosed = false

  constructor (session: ProxySession, user: PathUser, onEnd: (path: ProxyPath, reason: string, err: Error | undefined) => void) {
    this.endpoint = session.endpoint
    this.user = user
    this.#session = session
    this.#onEnd = onEnd
  }

  get path (): Path { return this }

  get maxDatagram (): number { return this.#session.maxDatagram }

  get reachedAt (): number { return this.#session.reachedAt }

  get queued (): number { return this.#session.queued }

  get limit (): number { return this.#session.limit }

  send (packets: Batch): number { return this.#isClosed ? 0 : this.#session.send(packets) }

  sendOnce (packet: Uint8Array): boolean { return !this.#isClosed && this.#session.sendOnce(packet) }

  shrank (size: number): void { this.#session.shrank(size) }

  drained (): Promise<void> { return this.#session.drained() }

  close (): void { this.end('closed') }

  end (reason: string, err?: Error): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#onEnd(this, reason, err) // the user may send by it once more, to say why
    this.#isClosed = true
  }
}

interface Entry {
  readonly key: string
  readonly session: ProxySession
  readonly endpoint: Endpoint
  readonly other: Uint8Array
  requester: ProxyPath | undefined
  target: ProxyPath | undefined
  heardAt: number
  readonly id: Uint8Array
  /** Something has come in this read. */
  isTouched: boolean
}

export class ProxyPaths {
  readonly #init: ProxyPathsInit
  readonly #entries = new Map<string, Entry>()
  /** That of the last message. */
  #last: Entry | undefined
  /** Those with messages of this read. */
  #touched: Entry[] = []
  #looking: Interval | undefined
  readonly #byProxy = new KeyedTokenBuckets(BY_PROXY)

  constructor (init: ProxyPathsInit) {
    this.#init = init
  }

  get size (): number { return this.#entries.size }

  /** Whether a session is known, with this proxy. */
  has (session: Uint8Array, from: Endpoint): boolean { return this.#find(session, from) !== undefined }

  /** Whether a proxy may begin a session by a 0x124 now. */
  admits (proxy: Endpoint): boolean { return this.#byProxy.take(endpointText(proxy), this.#init.clock.now()) }

  /** Opens a path by a session, or returns the one that there is; undefined when there are too many. The user is not told of it. */
  open (role: Role, user: PathUser, { session, other, endpoint, key }: { session: Uint8Array, other: Uint8Array, endpoint: Endpoint, key: Uint8Array | undefined }): Path | undefined {
    const known = this.#find(session, endpoint)?.[role]
    if (known !== undefined && known.user !== user) known.end('another connection takes its place')
    if (known?.user !== user) this.#makeRoom(role, user)
    const entry = this.#find(session, endpoint) ?? this.#add(session, other, endpoint)
    if (entry === undefined || Buffer.compare(entry.other, other) !== 0) return undefined
    if (key !== undefined) entry.session.useKey(key)
    entry[role] ??= new ProxyPath(entry.session, user, (path, reason, err) => {
      this.#init.onClosed(path, user, reason, err)
      this.#release(entry, path)
    })
    return entry[role]
  }

  /** An end has agreed on a key for a session. */
  useKey (session: Uint8Array, endpoint: Endpoint, key: Uint8Array): void { this.#find(session, endpoint)?.session.useKey(key) }

  /** Takes a 0x124 or a 0x125 until `flush`: what comes together is acknowledged and passed on together. False when its session is not known. */
  take (bytes: Uint8Array, fields: DataFields, host: string, port: number, now: number): boolean {
    const last = this.#last
    const entry = last !== undefined && isAt(bytes, fields.session, last.id) ? last : this.#entries.get(idKey(bytes.subarray(fields.session, fields.session + SESSION_BYTES)))
    if (entry === undefined || entry.endpoint.port !== port || entry.endpoint.host !== host) return false
    this.#last = entry
    if (!entry.isTouched) this.#touched.push(entry)
    entry.isTouched = true
    entry.session.take(bytes, fields, now)
    return true
  }

  /** Hands over what has come in one read. */
  flush (): void {
    if (this.#touched.length === 0) return
    const now = this.#init.clock.now()
    const touched = this.#touched
    this.#touched = []
    for (const entry of touched) {
      entry.isTouched = false
      entry.heardAt = now
      entry.session.finish(now)
    }
  }

  close (): void {
    for (const { requester, target } of [...this.#entries.values()]) {
      requester?.close()
      target?.close()
    }
  }

  #find (session: Uint8Array, from: Endpoint): Entry | undefined {
    const entry = this.#entries.get(idKey(session))
    return entry !== undefined && isSame(entry.endpoint, from) ? entry : undefined
  }

  /** Of too many of one user that one ends which was heard of least recently. */
  #makeRoom (role: Role, user: PathUser): void {
    const own = [...this.#entries.values()].filter((entry) => entry[role]?.user === user)
    if (own.length >= MAX_OF_USER) own.reduce((a, b) => a.heardAt <= b.heardAt ? a : b)[role]?.end('there are too many')
  }

  #add (session: Uint8Array, other: Uint8Array, endpoint: Endpoint): Entry | undefined {
    const { clock, identity, sha256, port, pageSignatures, random, ownerOf } = this.#init
    const key = idKey(session)
    if (this.#entries.size >= MAX_SESSIONS || this.#entries.has(key)) return undefined
    const { host, port: number } = endpoint
    const entry: Entry = {
      key,
      endpoint,
      other,
      requester: undefined,
      target: undefined,
      heardAt: clock.now(),
      id: session,
      isTouched: false,
      session: new ProxySession({
        clock,
        sha256,
        identity,
        target: other,
        session,
        endpoint,
        pageSignatures,
        random,
        output: (datagrams) => { port.send(datagrams.map((data) => ({ data, host, port: number }))) },
        onPackets: (packets, _path, now) => { deliver(packets, entry, ownerOf, now) },
        onFailed: (err) => {
          for (const path of [entry.requester, entry.target]) path?.user.removePath(path, err) // while the session still sends: the other end is told
          this.#fail(entry, err.message, err)
        }
      })
    }
    this.#entries.set(key, entry)
    this.#looking ??= every(clock, LOOK_INTERVAL, () => { this.#look() }).unref()
    return entry
  }

  #look (): void {
    const now = this.#init.clock.now()
    for (const entry of [...this.#entries.values()]) if (now - entry.heardAt >= SILENCE) this.#fail(entry, 'nothing was heard of the proxy for 75 s')
  }

  #fail (entry: Entry, reason: string, err?: Error): void {
    entry.requester?.end(reason, err)
    entry.target?.end(reason, err)
  }

  #release (entry: Entry, path: ProxyPath): void {
    if (entry.requester === path) entry.requester = undefined
    if (entry.target === path) entry.target = undefined
    if (entry.requester !== undefined || entry.target !== undefined) return
    entry.session.close()
    this.#entries.delete(entry.key)
    if (this.#last === entry) this.#last = undefined
    if (this.#entries.size > 0) return
    this.#looking?.stop()
    this.#looking = undefined
  }
}

/**
 * A node as others reach it: one UDP socket, its helpers, the kind of its NAT, and paths to other nodes, as R and as T (SHOW CHAIN protocol,
 * sections 4 to 6). What goes by the paths is the matter of those above.
 */
import type { Sha256 } from '../../../crypto/index.ts'
import { Backoff } from '../../../limits/backoff.ts'
import type { Logger } from '../../../log.ts'
import type { NatKind } from '../../../nat/index.ts'
import { endpointText } from '../../../net/endpoint.ts'
import type { BindUdpInit } from '../../../transports/udp/index.ts'
import type { Clock, Datagram, DatagramSocket, Endpoint } from '../../../types.ts'
import { Cookies } from '../protocol/cookies.ts'
import { DataFields, isAt } from '../protocol/data-fields.ts'
import type { Identity } from '../protocol/identity.ts'
import { encodeMessage, type ShowchainMessage } from '../protocol/messages.ts'
import { Op } from '../protocol/op.ts'
import type { Received } from '../protocol/pipeline.ts'
import type { Refusal } from '../protocol/pipeline-stats.ts'
import { idKey, type PublicKeys } from '../protocol/public-keys.ts'
import { RegistrationClient } from '../protocol/registration-client.ts'
import { Sequence } from '../protocol/sequence.ts'
import { Acceptor } from './acceptor.ts'
import { kindName } from './chances.ts'
import { Connector } from './connector.ts'
import { Helpers, type Helper } from './helpers.ts'
import { History, type HistoryEvent } from '../../common/history.ts'
import { KindKeeper } from './kind-keeper.ts'
import { NodeSocket } from './node-socket.ts'
import { PathTable } from './path-table.ts'
import type { Path, PathUser } from './paths.ts'
import { ProxyAttempt } from './proxy-attempt.ts'
import { ProxyPaths } from './proxy-paths.ts'

/** Nodes whose history is kept. */
const MAX_HISTORIES = 256

/** Binds a UDP socket, of the system or of a simulated network. */
export type Bind = (init: BindUdpInit) => Promise<DatagramSocket>

export interface NodeInit {
  identity: Identity
  /** Helpers. */
  bootstrap: readonly Endpoint[]
  /** The local endpoint; port 0 for any. */
  listen: Endpoint
  bind: Bind
  /** Finds the address of a name. */
  lookup (host: string): Promise<string>
  sha256: Sha256
  clock: Clock
  log: Logger
  random: () => number
  /** Paths that are no proxy's are looked for. */
  isDirect: boolean
  pageSignatures: boolean
  keys: PublicKeys
  /** False: nothing is done on other threads. Default: true. */
  threads?: boolean | undefined
  /** Whether a node may connect to this one. */
  isAllowed (id: Uint8Array): boolean
  /** What takes the packets of R; undefined: there is no room. @param from where R is, or the proxy by which it has come */
  userOf (requester: Uint8Array, from: Endpoint, isProxy: boolean): PathUser | undefined
  /** Who has made an index of a session. */
  ownerOf (index: number): unknown
  /** A path of a user has ended, or there was no room for one. */
  onPathGone (user: PathUser): void
  /** A helper has registered this node, or does not answer any more: then why. */
  onHelpers? (reason?: string): void
  /** The kind of the NAT was looked for. */
  onKind? (kind: NatKind | undefined): void
  /** The socket has broken. */
  onFailed (err: Error): void
}

export class ShowchainNode {
  readonly helpers: Helpers
  readonly #init: NodeInit
  readonly #sequence: Sequence
  readonly #cookies = new Cookies()
  readonly #socket: NodeSocket
  readonly #kind: KindKeeper
  readonly #acceptor: Acceptor
  readonly #paths: PathTable
  readonly #proxies: ProxyPaths
  /** Of the message of data that is looked at. */
  readonly #fields = new DataFields()
  /** By what takes the packets. */
  readonly #connectors = new Map<PathUser, Connector>()
  /** By id, the least recently used first. */
  readonly #histories = new Map<string, History>()
  #isClosed = false

  /** Binds the socket and begins to register. @throws what `bind` throws */
  static async open (init: NodeInit): Promise<ShowchainNode> {
    return new ShowchainNode(init, await init.bind({ ...init.listen, fragment: false }))
  }

  private constructor (init: NodeInit, socket: DatagramSocket) {
    this.#init = init
    const { clock, identity, keys, threads, random, pageSignatures, sha256, ownerOf } = init
    this.#sequence = new Sequence(clock)
    this.#socket = new NodeSocket({
      socket,
      clock,
      identity,
      sequence: this.#sequence,
      keys,
      ...(threads !== undefined && { threads }),
      admit: (received) => this.#admit(received),
      proxyId: ({ from }) => this.helpers.at(from)?.id,
      takeData: (datagram, now) => this.#takeData(datagram, now),
      onRead: () => { this.#proxies.flush() },
      onData: (packets, now) => { this.#paths.receive(packets, now) },
      handlers: {
        keepAlive: (received) => { if (!this.helpers.receive(received)) this.#paths.heard(received.from, received.at) },
        directRequest: (received) => { this.#accept(received) },
        passRequest: (received) => { this.#accept(received) },
        passData: (received) => { this.#passed(received) },
        dataAck: ({ message, from, at }) => { this.#takeMessage(message, from, at) }
      }
    })
    const { requests, pipeline: { dataPort } } = this.#socket
    this.helpers = new Helpers({
      clock,
      named: init.bootstrap,
      make: (more) => new RegistrationClient({
        ...more,
        clock,
        requests,
        own: identity.id,
        resolve: (named) => this.#resolveHelper(named),
        send: (message, to) => { void this.#socket.send(message, to) },
        kind: () => this.kind,
        backoff: new Backoff({ clock, random }),
        onMapped: (_endpoint, before) => { if (before !== undefined) this.#kind.look(true) }
      }),
      onRegistered: (helper) => { this.#onHelper(helper) },
      onLost: ({ named }, reason, wait) => {
        init.log.warn({ helper: endpointText(named), reason, wait: Math.round(wait) }, 'helper lost')
        init.onHelpers?.(reason)
      }
    })
    this.#kind = new KindKeeper({
      clock,
      helpers: this.helpers,
      requests,
      openScout: () => this.#openScout(),
      resolve: (named) => this.#resolveHelper(named),
      onChanged: () => { for (const connector of this.#connectors.values()) connector.onOwnChange() },
      onFound: ({ kind, isCertain }) => {
        init.log.info({ kind: kindName(kind), certain: isCertain }, 'NAT')
        init.onKind?.(kind)
      }
    })
    this.#acceptor = new Acceptor({
      clock,
      identity,
      cookies: this.#cookies,
      helperAt: (from) => this.helpers.at(from),
      isAllowed: init.isAllowed,
      ownKind: () => this.kind,
      send: (message, to) => this.#socket.send(message, to),
      historyOf: (id) => this.historyOf(id),
      onRequester: (id, from) => { this.#onRequester(id, from) }
    })
    this.#paths = new PathTable({
      clock,
      port: dataPort,
      ownerOf,
      keepAlive: (to) => { void this.#socket.send({ op: Op.keepAlive, id: identity.id, seq: 0, ts: 0 }, to) },
      onClosed: (path, user, reason) => { this.#onClosed(path, user, reason) }
    })
    this.#proxies = new ProxyPaths({
      clock, identity, sha256, port: dataPort, pageSignatures, random, ownerOf, onClosed: (path, user, reason, err) => { this.#onClosed(path, user, reason, err) }
    })
    this.#socket.run().catch((err: Error) => { if (!this.#isClosed) init.onFailed(err) })
    this.helpers.start()
  }

  get local (): Endpoint { return this.#socket.local }

  /** Of the NAT; undefined: unknown, as far as is known. */
  get kind (): NatKind | undefined { return this.#kind.kind }

  /** Why the kind is what it is. */
  get kindReport () { return this.#kind.report }

  /** The kind is being looked for. */
  get isLooking (): boolean { return this.#kind.isRunning }

  get stats () { return this.#socket.pipeline.stats }

  /** Milliseconds by which the clock of a helper is ahead; undefined until one has told. */
  get skew (): number | undefined { return this.#socket.requests.skew }

  get pathCounts () { return { endpoints: this.#paths.size, sessions: this.#proxies.size, unknown: this.#paths.unknown, punches: this.#acceptor.punches } }

  /** Endpoints of this node outside, as helpers see them. */
  get mapped (): Endpoint[] { return this.helpers.all.flatMap(({ mapped }) => mapped ?? []) }

  /** Looks for paths to a node, and hands them to `user`, until `disconnect`. @param init where the node is, if that is known; proxies that are not to be used */
  connect (target: Uint8Array, user: PathUser, { endpoint, isShunned = () => false }: { endpoint?: Endpoint | undefined, isShunned?: (proxy: Endpoint) => boolean } = {}): Connector {
    const { clock, identity, isDirect, pageSignatures, random } = this.#init
    const connector = new Connector({
      clock,
      requests: this.#socket.requests,
      helpers: this.helpers,
      own: identity.id,
      target,
      endpoint,
      resolve: (named) => this.#resolve(named),
      isDirect,
      isPlain: pageSignatures,
      isShunned,
      random,
      history: this.historyOf(target),
      ownKind: () => this.kind,
      ownEndpoints: () => this.mapped,
      openDatagramPath: (kind, to) => this.#handOver(user, this.#paths.open('requester', user, kind, to)),
      openProxyPath: ({ endpoint }, session, key) => this.#handOver(user, this.#proxies.open('requester', user, { session, other: target, endpoint, key }))
    })
    this.#connectors.set(user, connector)
    connector.start()
    return connector
  }

  /** Ends the search for paths of this user, and its paths. */
  disconnect (user: PathUser): void {
    this.#connectors.get(user)?.stop()
    this.#connectors.delete(user)
  }

  /** What was tried with a node. */
  historyOf (id: Uint8Array): History {
    const key = idKey(id)
    const history = this.#histories.get(key) ?? new History(this.#init.clock)
    this.#histories.delete(key)
    this.#histories.set(key, history)
    if (this.#histories.size > MAX_HISTORIES) this.#histories.delete(this.#histories.keys().next().value as string)
    return history
  }

  /** The same, of a node of which nothing may be known. */
  eventsOf (id: Uint8Array): readonly HistoryEvent[] { return this.#histories.get(idKey(id))?.events ?? [] }

  close (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const user of [...this.#connectors.keys()]) this.disconnect(user)
    this.#acceptor.stop()
    this.#kind.close()
    this.helpers.close()
    this.#paths.close()
    this.#proxies.close()
    this.#socket.close()
  }

  /** Cheap checks, before anything is verified. */
  #admit (received: Received): Refusal | undefined {
    const { op } = received.message
    if (op !== Op.directRequest && op !== Op.passRequest) return undefined
    switch (this.#acceptor.refusal(received)) {
      case undefined: return undefined
      case 'challenged': return 'cookie'
      default: return 'target'
    }
  }

  #accept (received: Received): void {
    const refusal = this.#acceptor.accept(received)
    if (refusal !== undefined) this.stats.drops[refusal === 'too many' ? 'limit' : 'target']++
  }

  #handOver <P extends Path>(user: PathUser, path: P | undefined): P | undefined {
    if (path !== undefined) user.addPath(path)
    else this.#init.onPathGone(user)
    return path
  }

  /** R has shown where it is. */
  #onRequester (id: Uint8Array, from: Endpoint): void {
    const user = this.#init.userOf(id, from, false)
    if (user === undefined) this.historyOf(id).add('is refused: there is no room')
    else this.#handOver(user, this.#paths.open('target', user, this.kind === 1 ? 'direct' : 'nat', from))
  }

  /** A 0x124: of a session that is known, or the first one of another node (SHOW CHAIN protocol, section 6.1). */
  #passed ({ message, from, at }: Received): void {
    const { identity, isAllowed, userOf, pageSignatures } = this.#init
    const { id, target, session } = message
    if (id === undefined || session === undefined || target === undefined || Buffer.compare(target, identity.id) !== 0) return
    if (!this.#proxies.has(session, from)) {
      const proxy = this.helpers.at(from)
      const user = proxy === undefined || !isAllowed(id) || !this.#proxies.admits(proxy.endpoint) ? undefined : userOf(id, proxy.endpoint, true)
      if (proxy === undefined || user === undefined) return
      const known = { session: Uint8Array.from(session), other: Uint8Array.from(id), endpoint: proxy.endpoint }
      if (this.#handOver(user, this.#proxies.open('target', user, { ...known, key: undefined })) === undefined) return
      this.historyOf(id).add(`sends by the proxy ${endpointText(proxy.endpoint)}`)
      if (!pageSignatures) this.#agree(proxy, known.session, known.other)
    }
    this.#takeMessage(message, from, at)
  }

  /** Takes a 0x124 or 0x125 of a session that is known. */
  #takeData ({ data, host, port }: Datagram, now: number): boolean {
    const fields = this.#fields
    if (!fields.read(data) || fields.op === Op.dataRequest) return false
    if (fields.op === Op.passData && !isAt(data, fields.target, this.#init.identity.id)) return false
    if (!this.#proxies.take(data, fields, host, port, now)) return false
    this.stats.received[fields.op === Op.passData ? 'passData' : 'dataAck']++
    return true
  }

  /** The same of one that was read. */
  #takeMessage (message: ShowchainMessage, { host, port }: Endpoint, now: number): void {
    const bytes = encodeMessage(message)
    if (this.#fields.read(bytes)) this.#proxies.take(bytes, this.#fields, host, port, now)
  }

  /** Asks the proxy for a key of this end (SHOW CHAIN protocol, section 6.3). */
  #agree (proxy: Helper, session: Uint8Array, other: Uint8Array): void {
    new ProxyAttempt({
      requests: this.#socket.requests,
      own: this.#init.identity.id,
      proxy,
      target: other,
      isPlain: false,
      onSession: (answered, key) => { if (key !== undefined && Buffer.compare(answered, session) === 0) this.#proxies.useKey(session, proxy.endpoint, key) },
      onFailed: () => {} // signatures take its place
    }).start()
  }

  #onClosed (path: Path, user: PathUser, reason: string, err?: Error): void {
    user.removePath(path, err)
    this.#connectors.get(user)?.onPathClosed(path, reason)
    this.#init.onPathGone(user)
  }

  #onHelper (helper: Helper): void {
    this.#init.log.info({ helper: endpointText(helper.endpoint) }, 'registered')
    this.#init.onHelpers?.()
    this.#kind.look(false)
    for (const connector of this.#connectors.values()) connector.onHelper()
  }

  async #openScout (): Promise<NodeSocket> {
    const { bind, listen: { host }, clock, identity, keys, threads } = this.#init
    const scout = new NodeSocket({
      socket: await bind({ host, port: 0 }), clock, identity, sequence: this.#sequence, keys, ...(threads !== undefined && { threads })
    })
    scout.run().catch(() => {}) // what is asked by it has no answer then
    return scout
  }

  /** @throws when it has no address, or that of another helper, as one alone tells nothing of the NAT and stands in for nobody */
  async #resolveHelper (named: Endpoint): Promise<Endpoint> {
    const at = await this.#resolve(named)
    const other = this.helpers.withEndpoint(at)
    if (other !== undefined && other.named !== named) throw new Error(`the same relay as ${endpointText(other.named)}`)
    return at
  }

  async #resolve ({ host, port }: Endpoint): Promise<Endpoint> { return { host: await this.#init.lookup(host), port } }
}

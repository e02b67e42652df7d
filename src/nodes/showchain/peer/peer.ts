/** A SHOW CHAIN peer: serves a service to other nodes, connects to theirs, or both. */
import { EventEmitter } from 'node:events'
import { loadSealing, loadSha256 } from '../../../crypto/index.ts'
import { LinkClosedError } from '../../../errors.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { reasonOf } from '../../../text/printable.ts'
import { tell } from '../../common/peer-events.ts'
import { readOptions, type SettingsOf } from '../../common/options/option.ts'
import { idText, parseId } from '../protocol/public-key.ts'
import { pipelineStats } from '../protocol/pipeline-stats.ts'
import { helperStatus } from './helper-status.ts'
import { Indexes } from './indexes.ts'
import { ShowchainNode } from './node.ts'
import { variableOptions } from './options.ts'
import { RemoteNode } from './remote-node.ts'
import { ServedNodes } from './served-nodes.ts'
import { readPeer, type HelperStatus, type PeerExplanation, type PeerSettings, type ShowchainPeerEvents, type ShowchainPeerInit, type ShowchainPeerOptions, type ShowchainPeerStatus } from './settings.ts'

/**
 * ```ts
 * const peer = new ShowchainPeer({ identity, bootstrap, to: '127.0.0.1:22', allow: [friend] })
 * await peer.start()
 * ```
 */
export class ShowchainPeer extends EventEmitter<ShowchainPeerEvents> {
  readonly #settings: PeerSettings
  readonly #indexes = new Indexes()
  #node: ShowchainNode | undefined
  #served: ServedNodes | undefined
  #remotes: RemoteNode[] = []
  #options: Pick<SettingsOf<typeof variableOptions>, 'to' | 'allow' | 'maxNodesPerSource'>
  /** A helper has registered it, as callers were told. */
  #isRegistered = false
  #isClosed = false

  /** @throws {OptionError} when an option is invalid */
  constructor (init: ShowchainPeerInit) {
    super()
    const settings = this.#settings = readPeer(init)
    this.#options = { to: settings.to, allow: settings.allow, maxNodesPerSource: settings.maxNodesPerSource }
  }

  /** The text form of its id. */
  get id (): string { return idText(this.#settings.identity.id) }

  /** Helpers know it, and there is a session with each node that it connects to. */
  get isOnline (): boolean {
    return this.#node !== undefined && this.#node.helpers.registered.length > 0 && this.#remotes.every((remote) => remote.status().state === 'online')
  }

  /** Binds its sockets and begins to register. @throws an error of the system (`EADDRINUSE`, `EACCES`, ...) */
  async start (): Promise<void> {
    const settings = this.#settings
    const { identity, keys, bootstrap, host, port, bind, lookup, clock, log, random, direct, pageSignatures, threads } = settings
    const [sealing, sha256] = [await loadSealing(), await loadSha256()]
    if (this.#isClosed) throw new LinkClosedError('the peer was closed')
    const served = this.#served = new ServedNodes({
      settings,
      sealing,
      indexes: this.#indexes,
      onSession: (id, isOpen) => { tell(() => this.emit('served', id, isOpen)) },
      onQuiet: () => { this.#node?.helpers.check() }
    })
    served.configure(this.#options)
    const node = this.#node = await ShowchainNode.open({
      identity,
      keys,
      bootstrap,
      listen: { host, port },
      bind,
      lookup,
      sha256,
      clock,
      log,
      random,
      isDirect: direct,
      pageSignatures,
      threads,
      isAllowed: (id) => served.isAllowed(id),
      userOf: (id, from, isProxy) => served.userOf(id, from, isProxy),
      ownerOf: (index) => this.#indexes.ownerOf(index),
      onPathGone: (user) => { served.endIfGone(user) },
      onHelpers: (reason) => { this.#onHelpers(reason) },
      onKind: (kind) => { tell(() => this.emit('kind', kind)) },
      onFailed: (err) => {
        log.error({ err }, 'the socket has broken')
        tell(() => this.emit('failed', err))
      }
    })
    try {
      for (const { id: target, listen } of settings.connect ?? []) {
        const remote = new RemoteNode({
          settings,
          sealing,
          indexes: this.#indexes,
          node,
          target,
          listen,
          onOnline: (id) => {
            log.info({ id }, 'online')
            tell(() => this.emit('online', id))
          },
          onPath: (id, path) => { tell(() => this.emit('path', id, path === undefined ? undefined : { kind: path.kind, endpoint: endpointText(path.endpoint) })) },
          onOffline: (id, err, wait) => {
            log.warn({ id, reason: reasonOf(err), wait: Math.round(wait) }, 'offline')
            tell(() => this.emit('offline', id, err, wait))
          }
        })
        this.#remotes.push(remote)
        await remote.start()
      }
    } catch (err) {
      await this.close()
      throw err
    }
  }

  /**
   * Changes what is served, and to whom: sessions of nodes that may not connect any more are closed at once.
   *
   * @throws {OptionError} when an option is invalid; then nothing has changed
   */
  configure (options: ShowchainPeerOptions): void {
    this.#options = readOptions(variableOptions, options)
    this.#served?.configure(this.#options)
  }

  /** The current state, for display. */
  status (): ShowchainPeerStatus {
    const node = this.#node
    return {
      id: this.id,
      url: node === undefined ? undefined : `udp://${endpointText(node.local)}`,
      kind: node?.kind,
      isLooking: node?.isLooking ?? false,
      nat: node?.kindReport,
      helpers: this.#helpers(),
      skew: node?.skew,
      remotes: this.#remotes.map((remote) => remote.status()),
      served: this.#served?.status() ?? [],
      messages: node?.stats ?? pipelineStats()
    }
  }

  /** Why packets to a node take the way that they take. @param text its id; undefined is returned when it is none */
  explain (text: string): PeerExplanation | undefined {
    const id = parseId(text)
    if (id === undefined) return undefined
    const name = idText(id)
    const remote = this.#remotes.find((one) => one.id === name)?.status()
    const served = this.#served?.statusOf(id)
    return {
      id: name,
      isRemote: remote !== undefined,
      isServed: served !== undefined,
      isAllowed: this.#served?.isAllowed(id) ?? false,
      remote,
      served,
      kind: this.#node?.kind,
      nat: this.#node?.kindReport,
      helpers: this.#helpers(),
      history: this.#node?.eventsOf(id) ?? []
    }
  }

  /** Ends all connections, and closes its sockets. */
  async close (): Promise<void> {
    this.#isClosed = true
    for (const remote of this.#remotes) remote.close()
    this.#served?.close()
    this.#node?.close()
  }

  #onHelpers (reason = 'no relay answers'): void {
    const isRegistered = this.#node !== undefined && this.#node.helpers.registered.length > 0
    if (isRegistered === this.#isRegistered) return
    this.#isRegistered = isRegistered
    tell(() => isRegistered ? this.emit('registered') : this.emit('unregistered', reason))
  }

  #helpers (): HelperStatus[] {
    return (this.#node?.helpers.all ?? []).map(helperStatus)
  }
}

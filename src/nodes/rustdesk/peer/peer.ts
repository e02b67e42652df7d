/** A RustDesk peer that carries TCP connections: serves a service to other peers, connects to theirs, or both. */
import { EventEmitter, once } from 'node:events'
import { Answering } from './answering.ts'
import type { PeerIdentity } from './identity.ts'
import { newIdentity } from './identity.ts'
import { OwnCertificate } from './own-certificate.ts'
import { NatTypes, natName } from './nat-types.ts'
import { variableOptions } from './options.ts'
import { Registration } from './registration.ts'
import { RemotePeer } from './remote-peer.ts'
import { ServedPeers } from './served-peers.ts'
import type { DialServerInit } from './server-connection.ts'
import { readPeer, type PeerSettings, type RustdeskPeerEvents, type RustdeskPeerExplanation, type RustdeskPeerInit, type RustdeskPeerOptions, type RustdeskPeerStatus } from './settings.ts'
import { keyText } from '../keys/key-text.ts'
import type { RendezvousMessage } from '../protocol/messages.ts'
import { tell } from '../../common/peer-events.ts'
import { readOptions, type SettingsOf } from '../../common/options/option.ts'
import { loadNacl, type Nacl } from '../../../crypto/nacl/index.ts'
import { LinkClosedError } from '../../../errors.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { reasonOf } from '../../../text/printable.ts'
import type { Endpoint } from '../../../types.ts'

/** Milliseconds for which a connection waits until this peer is registered, so that it can show who it is. */
const REGISTER_TIMEOUT = 10_000

/**
 * ```ts
 * const peer = new RustdeskPeer({ server: 'rustdesk.example.com:21116', key, id: '123456789', to: '127.0.0.1:22', allow: [{ id: '987654321' }] })
 * await peer.start()
 * ```
 */
export class RustdeskPeer extends EventEmitter<RustdeskPeerEvents> {
  readonly #settings: PeerSettings
  readonly #stop = new AbortController()
  #options: Pick<SettingsOf<typeof variableOptions>, 'to' | 'allow' | 'maxPeers'>
  #identity: PeerIdentity | undefined
  #nat: NatTypes | undefined
  #registration: Registration | undefined
  #certificate: OwnCertificate | undefined
  #answering: Answering | undefined
  #served: ServedPeers | undefined
  #remotes: RemotePeer[] = []
  #isRegistered = false
  /** Settles when the server knows this peer, or after a while: of all that wait for it. */
  #registering: Promise<void> | undefined

  /** @throws {OptionError} when an option is invalid */
  constructor (init: RustdeskPeerInit) {
    super()
    const settings = this.#settings = readPeer(init)
    this.#options = { to: settings.to, allow: settings.allow, maxPeers: settings.maxPeers }
  }

  /** The server knows it, where it has an id, and there is a session with each peer that it connects to. */
  get isOnline (): boolean {
    return this.#identity !== undefined && (this.#registration === undefined || this.#isRegistered) && this.#remotes.every(({ isOnline }) => isOnline)
  }

  /** Begins to register, and listens for users. @throws an error of the system (`EADDRINUSE`, `EACCES`, ...) */
  async start (): Promise<void> {
    const settings = this.#settings
    const nacl = await loadNacl()
    const identity = this.#identity = settings.identity ?? newIdentity(nacl)
    this.#stop.signal.throwIfAborted()
    const nat = this.#nat = new NatTypes({
      clock: settings.clock,
      dial: () => this.#dialInit(),
      onTested: (type) => { if (!this.#stop.signal.aborted) tell(() => this.emit('nat', natName(type))) }
    })
    if (settings.id !== undefined) this.#register(nacl, identity, settings.id, nat)
    try {
      for (const { id, listen } of settings.connect ?? []) {
        const remote = new RemotePeer({
          settings,
          nacl,
          identity,
          id,
          listen,
          natType: () => nat.test(),
          certificate: () => this.#ownCertificate(),
          serverAddress: () => this.#findServer(),
          onOnline: (id, { kind, endpoint, why }) => {
            settings.log.info({ id, path: kind, endpoint: endpointText(endpoint), why }, 'online')
            tell(() => this.emit('online', id, { kind, endpoint: endpointText(endpoint), why }))
          },
          onOffline: (id, err, wait) => {
            settings.log.warn({ id, reason: reasonOf(err), wait: Math.round(wait) }, 'offline')
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
   * Changes what is served, and to whom: sessions of peers that may not connect any more are ended at once.
   *
   * @returns how many
   * @throws {OptionError} when an option is invalid; then nothing has changed
   */
  configure (options: RustdeskPeerOptions): number {
    this.#options = readOptions(variableOptions, options)
    return this.#served?.configure(this.#options) ?? 0
  }

  /** The current state, for display. */
  status (): RustdeskPeerStatus {
    const { id, server } = this.#settings
    return {
      id,
      key: this.#identity === undefined ? '' : keyText(this.#identity.pair.publicKey),
      server: endpointText(server),
      isRegistered: this.#registration === undefined ? undefined : this.#isRegistered,
      nat: natName(this.#nat?.type),
      remotes: this.#remotes.map((remote) => remote.status()),
      served: this.#served?.status() ?? [],
      pushes: this.#answering?.stats ?? { pushes: 0, dropped: 0 },
      refused: this.#served?.refused ?? 0
    }
  }

  /** How a peer is reached, or reaches this one. */
  explain (id: string): RustdeskPeerExplanation {
    const remote = this.#remotes.find((one) => one.id === id)
    return {
      id,
      isRemote: remote !== undefined,
      remote: remote?.status(),
      served: this.#served?.status().filter(({ name }) => name === id) ?? [],
      nat: natName(this.#nat?.type),
      history: remote?.events ?? []
    }
  }

  /** Ends all connections, and closes its sockets. */
  async close (): Promise<void> {
    const reason = new LinkClosedError('the peer was closed')
    this.#stop.abort(reason)
    for (const remote of this.#remotes) remote.close()
    this.#answering?.close(reason)
    this.#served?.close()
    this.#registration?.close()
  }

  #register (nacl: Nacl, identity: PeerIdentity, id: string, nat: NatTypes): void {
    const settings = this.#settings
    const { clock, log, server, key, serverKey, relay, direct: isDirect, transport, bind, lookup } = settings
    const micros = (): number => clock.date() * 1000
    const served = this.#served = new ServedPeers({ settings, nacl, identity, onSession: (name, { kind }, isOpen) => { tell(() => this.emit('served', name, kind, isOpen)) } })
    served.configure(this.#options)
    const certificate = this.#certificate = new OwnCertificate({ nacl, id, publicKey: identity.pair.publicKey, key, serverKey, dial: () => this.#dialInit(), micros })
    const natType = (): number => {
      void nat.test() // for the next one, where it may have changed
      return nat.type
    }
    const answering = this.#answering = new Answering({ transport, clock, log, server, dial: () => this.#dialInit(), id, key, relay, isDirect, natType, micros, onReached: (reached) => served.receive(reached) })
    const onPush = (message: RendezvousMessage): void => { if (!certificate.take(message)) answering.take(message) }
    const registration = this.#registration = new Registration({
      id,
      identity,
      server,
      bind,
      lookup,
      clock,
      log,
      onPush,
      onRegistered: (isRegistered, reason = '') => {
        this.#isRegistered = isRegistered
        if (isRegistered) void nat.test()
        else nat.doubt()
        if (isRegistered) log.info({ id }, 'registered')
        else log.warn({ id, reason }, 'not registered')
        tell(() => isRegistered ? this.emit('registered') : this.emit('unregistered', reason))
      },
      onMoved: () => {
        nat.doubt()
        void nat.test()
      },
      onFailed: (err) => {
        log.error({ err }, 'cannot register')
        tell(() => this.emit('failed', err))
      }
    })
    registration.start()
  }

  /** Settles when the server knows this peer, at the latest after some seconds. */
  #whenRegistered (): Promise<void> {
    if (this.#registration === undefined || this.#isRegistered) return Promise.resolve()
    this.#registering ??= this.#waitToRegister().finally(() => { this.#registering = undefined })
    return this.#registering
  }

  async #waitToRegister (): Promise<void> {
    const { clock } = this.#settings
    const limit = new AbortController()
    const timer = clock.set(REGISTER_TIMEOUT, () => { limit.abort() })
    await once(this, 'registered', { signal: AbortSignal.any([limit.signal, this.#stop.signal]) }).catch(() => {})
    clock.clear(timer)
  }

  /** Undefined where this peer has no id, or the server does not tell: others may still know its key. */
  async #ownCertificate (): Promise<Uint8Array | undefined> {
    if (this.#certificate === undefined) return undefined
    await this.#whenRegistered()
    return await this.#certificate.get().catch((err: Error) => {
      this.#settings.log.warn({ reason: reasonOf(err) }, 'no certificate of this peer: others know it by its key alone')
      return undefined
    })
  }

  async #findServer (): Promise<Endpoint> {
    const { server, lookup } = this.#settings
    return this.#registration?.server ?? { host: await lookup(server.host), port: server.port }
  }

  async #dialInit (): Promise<DialServerInit> {
    const { transport, clock } = this.#settings
    return { transport, clock, server: await this.#findServer(), signal: this.#stop.signal }
  }
}

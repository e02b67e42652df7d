/** A peer that this one connects to: where its users come in, the session, and another one when that has ended. */
import { findPath } from './connecting.ts'
import { ConnectError } from './errors.ts'
import { connectSession } from './handshake.ts'
import type { PeerIdentity } from './identity.ts'
import type { PeerPath } from './paths.ts'
import { inTime, openSession, type Session } from './session.ts'
import type { PeerSettings, RemoteStatus } from './settings.ts'
import { History } from '../../common/history.ts'
import { Users } from '../../common/users.ts'
import type { Nacl } from '../../../crypto/nacl/index.ts'
import { LinkClosedError } from '../../../errors.ts'
import { Backoff } from '../../../limits/backoff.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { wait } from '../../../streams/clock.ts'
import { orAborted } from '../../../streams/or-aborted.ts'
import { reasonOf } from '../../../text/printable.ts'
import { acceptEach } from '../../../transports/acceptor.ts'
import type { Endpoint, Link, Listener, Timer } from '../../../types.ts'

/** Milliseconds for which a user waits for a session. */
const OPEN_TIMEOUT = 20_000

/** Milliseconds between the end of an attempt, or of a session, and the next attempt, also for users that come again and again. */
const PAUSE = 1000

/** Half of each wait is random. */
const RETRY = { first: 2 * PAUSE, longest: 30_000 }

const REQUEST = new Uint8Array(0)

export interface RemotePeerInit {
  settings: PeerSettings
  nacl: Nacl
  identity: PeerIdentity
  id: string
  /** Where users come in. */
  listen: Endpoint
  natType (): Promise<number>
  /** What the server has signed of this peer; undefined: nothing. */
  certificate (): Promise<Uint8Array | undefined>
  /** The address of the server. @throws what the look-up throws */
  serverAddress (): Promise<Endpoint>
  onOnline (id: string, path: PeerPath): void
  onOffline (id: string, err: Error, wait: number): void
}

export class RemotePeer {
  readonly id: string
  readonly #init: RemotePeerInit
  readonly #users = new Users()
  readonly #backoff: Backoff
  readonly #history: History
  readonly #stop = new AbortController()
  #listener: Listener | undefined
  #url: string | undefined
  #session: Session | undefined
  #path: PeerPath | undefined
  /** Settles when the attempt under way has. */
  #attempt: Promise<Session> | undefined
  #failures = 0
  #failedAt = -Infinity
  #reason: string | undefined
  #timer: Timer | undefined

  constructor (init: RemotePeerInit) {
    this.#init = init
    this.id = init.id
    const { clock, random } = init.settings
    this.#backoff = new Backoff({ ...RETRY, clock, random })
    this.#history = new History(clock)
  }

  get isOnline (): boolean { return this.#session !== undefined }

  get events (): History['events'] { return this.#history.events }

  /** @throws an error of the system when it cannot listen */
  async start (): Promise<void> {
    const { settings: { transport }, listen: { host, port } } = this.#init
    const listener = this.#listener = transport.listen({ host, port })
    this.#url = `tcp://${endpointText({ host, port: await listener.port() })}`
    this.#stop.signal.throwIfAborted()
    acceptEach(listener, (user) => { void this.#serve(user) }, (err, user) => { user.abort(err) }).catch(() => {})
    this.#begin()
  }

  status (): RemoteStatus {
    const path = this.#path
    return {
      id: this.id,
      url: this.#url,
      state: this.isOnline ? 'online' : this.#attempt === undefined ? 'waiting' : 'connecting',
      path: path?.kind,
      endpoint: path === undefined ? undefined : endpointText(path.endpoint),
      why: path?.why,
      users: this.#users.size,
      accepted: this.#users.accepted,
      failures: this.#failures,
      reason: this.isOnline ? undefined : this.#reason
    }
  }

  close (): void {
    const reason = new LinkClosedError('the peer was closed')
    this.#stop.abort(reason)
    this.#init.settings.clock.clear(this.#timer)
    this.#listener?.close()
    this.#users.abort(reason)
    this.#session?.abort(reason)
  }

  /** The session there is, or the attempt for one. */
  #begin (): Promise<Session> {
    if (this.#session !== undefined) return Promise.resolve(this.#session)
    if (this.#attempt !== undefined) return this.#attempt
    this.#init.settings.clock.clear(this.#timer)
    const attempt = this.#attempt = this.#connect()
    attempt.then((session) => { this.#opened(session) }, (err) => { this.#failed(err as Error) })
    return attempt
  }

  async #connect (): Promise<Session> {
    const { settings, nacl, identity, natType, certificate, serverAddress } = this.#init
    const { transport, clock, server, serverKey, key, relay, direct: isDirect } = settings
    const { signal } = this.#stop
    const pause = this.#failedAt + PAUSE - clock.now()
    if (pause > 0) await wait(clock, pause, { signal })
    this.#history.add('looks for a path')
    const [address, type, signed] = [await serverAddress(), await natType(), await certificate()]
    const { link, path } = await findPath({
      transport,
      clock,
      nacl,
      server,
      address,
      id: this.id,
      key,
      serverKey,
      relay,
      isDirect,
      natType: type,
      signal,
      handshake: ({ link }, publicKey) => inTime(clock, link, signal, () => connectSession(link, { nacl, id: this.id, publicKey, identity, certificate: signed })),
      note: (text) => { this.#history.add(text) }
    })
    signal.throwIfAborted()
    this.#path = path
    return openSession({ clock, link })
  }

  #opened (session: Session): void {
    const path = this.#path as PeerPath
    this.#attempt = undefined
    this.#session = session
    this.#backoff.online()
    this.#history.add(`online: ${path.kind} ${endpointText(path.endpoint)}: ${path.why}`)
    this.#init.onOnline(this.id, path)
    void session.ended.then((err) => { this.#failed(err ?? new LinkClosedError('the other peer has ended the session')) })
  }

  #failed (err: Error): void {
    this.#attempt = undefined
    this.#session = undefined
    this.#path = undefined
    if (this.#stop.signal.aborted) return
    const { settings: { clock }, onOffline } = this.#init
    this.#failures++
    this.#failedAt = clock.now()
    this.#reason = reasonOf(err)
    this.#history.add(`no session: ${this.#reason}`)
    const delay = this.#backoff.next()
    this.#timer = clock.set(delay, () => { this.#begin().catch(() => {}) })
    onOffline(this.id, err, delay)
  }

  async #serve (user: Link): Promise<void> {
    const { clock, log } = this.#init.settings
    const limit = new AbortController()
    const timer = clock.set(OPEN_TIMEOUT, () => { limit.abort(new ConnectError('unreachable', `no session within ${OPEN_TIMEOUT / 1000} s`)) })
    const signal = AbortSignal.any([limit.signal, this.#stop.signal])
    try {
      const session = await orAborted(this.#begin(), signal)
      const link = await session.open(REQUEST, { signal })
      clock.clear(timer)
      await this.#users.join(user, link)
    } catch (err) {
      clock.clear(timer)
      log.warn({ id: this.id, reason: reasonOf(err as Error) }, 'user refused')
      user.abort(err as Error)
    }
  }
}

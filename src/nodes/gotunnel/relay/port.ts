/** One mapped port of a relay: it listens, lets users wait for data connections, and joins the two. */
import type { Identity } from './identities.ts'
import { Requests, type Request } from './requests.ts'
import { SequentialData, type SequentialDataContext, type SequentialDataPort } from './sequential-data.ts'
import type { ServedPort, Session } from './session.ts'
import type { ListenForUsers, RelaySettings } from './settings.ts'
import { UserBridge, type BridgeContext } from './user-bridge.ts'
import type { UserLimiters } from './user-limiters.ts'
import { newTraffic, TrafficCounters, type UserDrop, type UserTraffic } from './stats.ts'
import { LinkClosedError } from '../../../errors.ts'
import type { SequentialStreams } from '../../../transforms/sequential-streams/index.ts'
import { acceptEach } from '../../../transports/acceptor.ts'
import type { AcceptedLink } from '../../../transports/tcp.ts'
import type { Link, Listener } from '../../../types.ts'

/** Milliseconds of silence after which TCP keepalive starts to probe a user, or the other end of its data connection. */
export const KEEP_ALIVE = 45_000

/** What all ports of a relay share. */
export interface PortContext extends SequentialDataContext, BridgeContext {
  readonly settings: Pick<RelaySettings, 'bind' | 'maxWaiting' | 'waitTimeout' | 'acknowledgeTimeout'>
  /** The limiters for users of all ports. */
  readonly users: UserLimiters
  readonly listenForUsers: ListenForUsers
  /** Ports with users; they may outlive the client. */
  readonly used: Set<MappedPort>
  readonly traffic: UserTraffic
}

export class MappedPort implements ServedPort, SequentialDataPort {
  readonly number: number
  readonly identity: Identity
  readonly traffic = newTraffic()
  /** The session that is asked for data connections; the port ends with the last one. */
  owner: Session
  readonly #context: PortContext
  readonly #requests: Requests<AcceptedLink>
  readonly #counters: TrafficCounters
  /** Current users, each with its pending request unless it has a data connection. */
  readonly #users = new Map<AcceptedLink, Request<AcceptedLink> | undefined>()
  readonly #bridge: UserBridge
  readonly #sequentialData: SequentialData
  #listener: Listener<AcceptedLink> | undefined
  #opening: Promise<void> | undefined
  #hasEnded = false

  constructor (context: PortContext, owner: Session) {
    this.#context = context
    this.owner = owner
    this.number = owner.remotePort
    this.identity = owner.identity
    this.#requests = new Requests(context.settings.maxWaiting)
    this.#counters = new TrafficCounters(this.traffic, this.identity.traffic, context.traffic)
    this.#bridge = new UserBridge(context, this.number, this.identity, this.#counters)
    this.#sequentialData = new SequentialData(context, this, this.#bridge, this.#counters)
  }

  /** The client says that its service is up; otherwise the port does not listen. */
  get wantsOnline (): boolean { return this.owner.wantsOnline && !this.#hasEnded }

  get isListening (): boolean { return this.#listener !== undefined }

  /** Users that have a data connection, or wait for one. */
  get users (): Iterable<AcceptedLink> { return this.#users.keys() }

  /** Listens, if it does not yet. @throws an error of the system */
  open (): Promise<void> {
    this.#opening ??= this.#open().finally(() => { this.#opening = undefined })
    return this.#opening
  }

  /** Another session of the same identity serves it from now on. Users that wait are requested again. */
  async takeOver (session: Session): Promise<void> {
    const before = this.owner
    this.owner = session
    before.port = undefined
    this.#sequentialData.endIdle()
    before.end('replaced')
    await this.open()
    if (this.owner === session) for (const request of this.#requests.renew()) this.#requestConnection(request)
  }

  /** The last client has left. */
  end (): void {
    this.#hasEnded = true
    this.offline()
  }

  /** Stops listening until `open`; waiting users are dropped. Users with a data connection stay. */
  offline (): void {
    this.#listener?.close()
    this.#listener = undefined
    this.#sequentialData.endIdle()
    for (const { user } of this.#requests.renew()) this.#drop(user, 'offline')
  }

  /** Applies changed settings. */
  configure (): void { this.#requests.limit = this.#context.settings.maxWaiting }

  /** Ends all users and their data connections, as their other end may no longer answer. */
  abortUsers (): void {
    for (const link of [...this.#users.keys(), ...this.#sequentialData.links]) link.abort(new LinkClosedError('the port was taken back'))
  }

  /** Takes the user whose request a data connection answers; undefined when there is none. */
  claim (id?: string): AcceptedLink | undefined {
    const request = this.#requests.claim(id)
    if (request === undefined) return undefined
    this.owner.answers++
    if (request.isCancelled) return request.user
    this.#counters.add('waiting', -1)
    this.#users.set(request.user, undefined)
    return request.user
  }

  /** The client has no data connection for this request. */
  fail (id: string): void {
    const request = this.#requests.claim(id)
    if (request === undefined) return
    this.owner.answers++
    if (!request.isCancelled) this.#drop(request.user, 'failed')
  }

  /** Strict mode: a data connection serves its user, and then others. Settles when it has ended; never rejects. */
  async serveUsers (user: AcceptedLink, streams: SequentialStreams): Promise<void> { await this.#sequentialData.serveUsers(user, streams) }

  /** Joins a user and its data connection until both have ended; never rejects. */
  async serveUser (user: AcceptedLink, data: Link): Promise<void> {
    await this.#bridge.join(user, data, data)
    this.onServed(user)
  }

  /**
   * Drops users that have waited too long. When no answer at all has arrived since the first of them was requested, the client does
   * not receive our messages, even if it pings: it is ended, so that it reconnects.
   */
  tick (): void {
    const expired = this.#requests.expire(this.#context.now - this.#context.settings.waitTimeout)
    for (const { user } of expired) this.#drop(user, 'timeout')
    this.#sequentialData.tick()
    if (expired.length > 0 && this.owner.answers === expired[0].answersBefore) this.owner.end('unresponsive')
  }

  /** A user has ended. */
  onServed (user: AcceptedLink | undefined): void {
    if (user === undefined || !this.#users.delete(user)) return
    if (this.#users.size === 0) this.#context.used.delete(this)
    this.#counters.add('users', -1)
  }

  /** An idle data connection does not answer: its user gets another one, unless it has left. */
  onSilent (user: AcceptedLink, since: number, hasLeft: boolean): void {
    if (hasLeft) {
      this.#rejectUser(user, 'left')
      return
    }
    this.#context.log.log('warn', { port: this.number, identity: this.identity.name }, 'a data connection that has rested does not answer, its user gets another one')
    if (this.wantsOnline) this.#wait(user, since)
    else this.#rejectUser(user, 'offline')
  }

  async #open (): Promise<void> {
    if (this.#listener !== undefined || !this.wantsOnline) return
    const { users, listenForUsers, clock, settings: { bind: host } } = this.#context
    const listener = listenForUsers({ host, port: this.number, limiter: users.limiterOf(this.identity), keepAlive: KEEP_ALIVE, clock })
    acceptEach(listener, (link) => { this.#admit(link) }, (err) => {
      this.#context.log.log('warn', { port: this.number, err }, 'user ended by a fault of the relay')
    }).catch(() => {}) // could not listen: reported by `port` below
    await listener.port()
    if (this.wantsOnline) this.#listener = listener
    else listener.close()
  }

  #admit (link: AcceptedLink): void {
    const { settings, traffic } = this.identity
    this.#counters.add('accepted', 1)
    const mayEnter = traffic.users < settings.maxUsers
    const serve = mayEnter ? this.#sequentialData.take() : undefined
    if (serve !== undefined) {
      this.#addUser(link)
      void serve(link)
    } else if (mayEnter) {
      this.#addUser(link)
      this.#wait(link, this.#context.now)
    } else {
      this.#counters.drop('limit')
      link.abort(new LinkClosedError('too many users'))
    }
  }

  /** Requests a data connection for the user, and lets it wait. */
  #wait (user: AcceptedLink, since: number): void {
    const request = this.#requests.add(user, since)
    if (request === undefined) {
      this.#rejectUser(user, 'waiting')
      return
    }
    this.#users.set(user, request)
    this.#counters.add('waiting', 1)
    if (user.slot !== undefined) {
      user.slot.evict = () => { this.#drop(user, 'waiting') }
      user.slot.onRelease = () => { this.#drop(user, 'left') }
    }
    this.#requestConnection(request)
  }

  #requestConnection (request: Request<AcceptedLink>): void {
    const { id } = request
    const { localPort, isStrict, answers } = this.owner
    request.answersBefore = answers
    this.owner.send({
      type: 'open_data_channel',
      local_port: localPort,
      remote_port: 0,
      protocol: '',
      token: '',
      name: '',
      id: isStrict ? id : undefined
    })
  }

  /** Ends a user that was not served. */
  #drop (user: AcceptedLink, reason: UserDrop): void {
    const request = this.#users.get(user)
    if (request === undefined) return
    this.#requests.cancel(request)
    this.#counters.add('waiting', -1)
    this.#rejectUser(user, reason)
  }

  #rejectUser (user: AcceptedLink, reason: UserDrop): void {
    this.#counters.drop(reason)
    this.onServed(user)
    user.abort(new LinkClosedError('no data connection'))
  }

  #addUser (user: AcceptedLink): void {
    this.#users.set(user, undefined)
    this.#context.used.add(this)
    this.#counters.add('users', 1)
  }
}

/** One mapped port of a relay: it listens, lets its users wait for data connections, and joins the two. */
import type { Identity } from './identities.ts'
import { Requests, type Request } from './requests.ts'
import { SequentialData, type SequentialDataContext, type SequentialDataPort } from './sequential-data.ts'
import type { ServedPort, Session } from './session.ts'
import type { RelaySettings } from './settings.ts'
import { UserBridge, type BridgeContext } from './user-bridge.ts'
import type { UserLimiters } from './user-limiters.ts'
import { newTraffic, TrafficCounters, type UserDrop, type UserTraffic } from './stats.ts'
import { LinkClosedError } from '../../../errors.ts'
import type { SequentialStreams } from '../../../transforms/sequential-streams/index.ts'
import { listenTcp, type AcceptedLink } from '../../../transports/tcp.ts'
import type { Link, Listener } from '../../../types.ts'

/** Milliseconds after which the system begins to ask a silent user, or the other end of its data connection, for a sign of life. */
export const KEEP_ALIVE = 45_000

/** What all ports of a relay have in common. */
export interface PortContext extends SequentialDataContext, BridgeContext {
  readonly settings: Pick<RelaySettings, 'bind' | 'maxWaiting' | 'waitTimeout' | 'acknowledgeTimeout'>
  /** Which users of all ports go through. */
  readonly users: UserLimiters
  /** Ports with users, which may outlive the client. */
  readonly used: Set<MappedPort>
  readonly traffic: UserTraffic
}

export class MappedPort implements ServedPort, SequentialDataPort {
  readonly number: number
  readonly identity: Identity
  readonly traffic = newTraffic()
  /** Whom it asks for data connections; it goes with the last one. */
  owner: Session
  readonly #context: PortContext
  readonly #requests: Requests<AcceptedLink>
  readonly #counters: TrafficCounters
  /** All that have not ended, with what they wait for if there was no data connection for them at once. */
  readonly #users = new Map<AcceptedLink, Request<AcceptedLink> | undefined>()
  readonly #bridge: UserBridge
  readonly #serial: SequentialData
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
    this.#serial = new SequentialData(context, this, this.#bridge, this.#counters)
  }

  /** Its client says that there is a service; without one nobody can connect. */
  get wantsOnline (): boolean { return this.owner.wantsOnline && !this.#hasEnded }

  get isListening (): boolean { return this.#listener !== undefined }

  /** Users that have a data connection, or wait for one. */
  get users (): Iterable<AcceptedLink> { return this.#users.keys() }

  /** Listens, if it does not yet. Rejects with what the system says. */
  open (): Promise<void> {
    this.#opening ??= this.#open().finally(() => { this.#opening = undefined })
    return this.#opening
  }

  /** Another connection of the same identity serves it from now on. Users that wait are asked for again. */
  async takeOver (session: Session): Promise<void> {
    const before = this.owner
    this.owner = session
    before.port = undefined
    this.#serial.endResting()
    before.end('replaced')
    await this.open()
    if (this.owner === session) for (const request of this.#requests.renew()) this.#requestConnection(request)
  }

  /** Its last client has gone. */
  end (): void {
    this.#hasEnded = true
    this.offline()
  }

  /** Nobody can connect until it is online again; those that wait are let go. Users with a data connection stay. */
  offline (): void {
    this.#listener?.close()
    this.#listener = undefined
    this.#serial.endResting()
    for (const { user } of this.#requests.renew()) this.#drop(user, 'offline')
  }

  /** Takes what has become of the settings. */
  configure (): void { this.#requests.limit = this.#context.settings.maxWaiting }

  /** Ends all users, and the data connections that serve them: whoever is at their other end may not answer any more. */
  abortUsers (): void {
    for (const link of [...this.#users.keys(), ...this.#serial.links]) link.abort(new LinkClosedError('the port was taken back'))
  }

  /** The user whose request a data connection answers; undefined when there is none. */
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
  async serveUsers (user: AcceptedLink, streams: SequentialStreams): Promise<void> { await this.#serial.serveUsers(user, streams) }

  /** Joins a user and its data connection until both are at their end; never rejects. */
  async serveUser (user: AcceptedLink, data: Link): Promise<void> {
    await this.#bridge.join(user, data, data)
    this.onServed(user)
  }

  /**
   * Lets users go that have waited too long. When nothing at all has come since the first of them was announced, the client does
   * not hear us, whatever its pings say: it is ended, so that it comes back.
   */
  tick (): void {
    const expired = this.#requests.expire(this.#context.now - this.#context.settings.waitTimeout)
    for (const { user } of expired) this.#drop(user, 'timeout')
    this.#serial.tick()
    if (expired.length > 0 && this.owner.answers === expired[0].answersBefore) this.owner.end('unresponsive')
  }

  /** A user is at its end. */
  onServed (user: AcceptedLink | undefined): void {
    if (user === undefined || !this.#users.delete(user)) return
    if (this.#users.size === 0) this.#context.used.delete(this)
    this.#counters.add('users', -1)
  }

  /** A data connection that has rested does not answer: its user gets another one, if it is there still. */
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
    const { users, clock, settings: { bind: host } } = this.#context
    const listener = listenTcp({ host, port: this.number, limiter: users.limiterOf(this.identity), keepAlive: KEEP_ALIVE, clock })
    void this.#serve(listener)
    await listener.port()
    if (this.wantsOnline) this.#listener = listener
    else listener.close()
  }

  async #serve (listener: Listener<AcceptedLink>): Promise<void> {
    try {
      for await (const link of listener) this.#admit(link)
    } catch {
      // It could not listen: told by its `port`.
    }
  }

  #admit (link: AcceptedLink): void {
    const { settings, traffic } = this.identity
    this.#counters.add('accepted', 1)
    const mayEnter = traffic.users < settings.maxUsers
    const serve = mayEnter ? this.#serial.take() : undefined
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

  /** Until the client has made a data connection for this user. */
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

  /** The user is let go without having been served. */
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

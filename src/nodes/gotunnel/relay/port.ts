/** One mapped port of a relay: it listens, lets its users wait for data connections, and joins the two. */
import { isIP } from 'node:net'
import { Carriers, type CarrierTotals } from './carriers.ts'
import type { Identity } from './identities.ts'
import { REPLACED } from '../protocol/reasons.ts'
import { Requests, type Request } from './requests.ts'
import type { ServedPort, Session } from './session.ts'
import type { RelaySettings } from './settings.ts'
import type { UserGates } from './user-gates.ts'
import { newTraffic, Tally, type UserDrop, type UserTraffic } from './stats.ts'
import type { BoundedLog } from '../../../limits/bounded-log.ts'
import type { BufferBudget } from '../../../limits/buffer-budget.ts'
import type { UnansweredWatch } from '../../../limits/unanswered-watch.ts'
import { bridge } from '../../../streams/bridge.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { LinkClosedError } from '../../../errors.ts'
import { encodeJson } from '../../../transforms/json.ts'
import type { Meter } from '../../../streams/meter.ts'
import type { SerialLinks } from '../../../transforms/serial-links/index.ts'
import { canonical } from '../../../net/source.ts'
import { listenTcp, type AcceptedLink } from '../../../transports/tcp.ts'
import type { Clock, Endpoint, Link, Listener } from '../../../types.ts'

/** Milliseconds after which the system begins to ask a silent user, or the other end of its data connection, for a sign of life. */
export const KEEP_ALIVE = 45_000

const SILENT = 'the data connection does not answer'

/** What all ports of a relay have in common. */
export interface PortContext extends CarrierTotals {
  readonly settings: RelaySettings
  readonly clock: Clock
  readonly log: BoundedLog
  /** Which users of all ports go through. */
  readonly users: UserGates
  /** What is kept for all users, by identity. */
  readonly buffers: BufferBudget
  /** Ends users, and data connections in use, that are gone without a word. */
  readonly unanswered: UnansweredWatch
  /** Ports with users, which may outlive the client. */
  readonly used: Set<MappedPort>
  readonly traffic: UserTraffic
}

export class MappedPort implements ServedPort {
  readonly number: number
  readonly identity: Identity
  readonly traffic = newTraffic()
  /** Whom it asks for data connections; it goes with the last one. */
  owner: Session
  readonly #shared: PortContext
  readonly #requests: Requests<AcceptedLink>
  readonly #tally: Tally
  /** All that have not ended, with what they wait for if there was no data connection for them at once. */
  readonly #users = new Map<AcceptedLink, Request<AcceptedLink> | undefined>()
  readonly #carriers: Carriers
  /** Data connections of strict mode that have not ended, with the user that each of them serves. */
  readonly #serving = new Map<SerialLinks, AcceptedLink | undefined>()
  #listener: Listener<AcceptedLink> | undefined
  #opening: Promise<void> | undefined
  #isOver = false

  constructor (shared: PortContext, owner: Session) {
    this.#shared = shared
    this.owner = owner
    this.number = owner.remotePort
    this.identity = owner.identity
    this.#requests = new Requests(shared.settings.maxWaiting)
    this.#carriers = new Carriers(shared)
    this.#tally = new Tally(this.traffic, this.identity.traffic, shared.traffic)
  }

  /** Its client says that there is a service; without one nobody can connect. */
  get wantsOnline (): boolean { return this.owner.wantsOnline && !this.#isOver }

  get isListening (): boolean { return this.#listener !== undefined }

  /** Users that have a data connection, or wait for one. */
  get users (): Iterable<AcceptedLink> { return this.#users.keys() }

  /** Listens, if it does not yet. Rejects with what the system says. */
  open (): Promise<void> {
    this.#opening ??= this.#open().finally(() => { this.#opening = undefined })
    return this.#opening
  }

  /** Another connection of the same identity serves it from now on. Users that wait are asked for again. */
  async take (session: Session): Promise<void> {
    const before = this.owner
    this.owner = session
    before.port = undefined
    this.#carriers.close()
    before.end('replaced', REPLACED)
    await this.open()
    if (this.owner === session) for (const request of this.#requests.renew()) this.#ask(request)
  }

  /** Its last client has gone. */
  end (): void {
    this.#isOver = true
    this.offline()
  }

  /** Nobody can connect until it is online again; those that wait are let go. Users with a data connection stay. */
  offline (): void {
    this.#listener?.close()
    this.#listener = undefined
    this.#carriers.close()
    for (const { user } of this.#requests.renew()) this.#drop(user, 'offline')
  }

  /** Takes what has become of the settings. */
  configure (): void { this.#requests.limit = this.#shared.settings.maxWaiting }

  /** Ends all users, and the data connections that serve them: whoever is at their other end may not answer any more. */
  cut (): void {
    for (const link of [...this.#users.keys(), ...this.#serving.keys()]) link.abort(new LinkClosedError('the port was taken back'))
  }

  /** The user whose request a data connection answers; undefined when there is none. */
  claim (id?: string): AcceptedLink | undefined {
    const request = this.#requests.claim(id)
    if (request === undefined) return undefined
    this.owner.answers++
    if (request.isVoid) return request.user
    this.#tally.add('waiting', -1)
    this.#users.set(request.user, undefined)
    return request.user
  }

  /** The client has no data connection for this request. */
  fail (id: string): void {
    const request = this.#requests.claim(id)
    if (request === undefined) return
    this.owner.answers++
    if (!request.isVoid) this.#drop(request.user, 'failed')
  }

  /** Strict mode: a data connection serves its user, and then others. Settles when it has ended; never rejects. */
  async carryAll (user: AcceptedLink, links: SerialLinks): Promise<void> {
    const { owner } = this
    links.onIdle = () => {
      owner.answers++
      this.#forget(this.#serving.get(links))
      this.#serving.set(links, undefined)
      // That of a client which has left goes as well, once its user has, and one of which nobody could tell whether it is still there.
      if (links.acknowledges && this.owner === owner && this.wantsOnline) this.#carriers.add(links)
      else links.close()
    }
    void this.#carryOn(user, links)
    await links.ended
    this.#forget(this.#serving.get(links))
    this.#serving.delete(links)
    this.#carriers.remove(links)
  }

  /** Joins a user and its data connection until both are at their end; never rejects. */
  async carry (user: AcceptedLink, data: Link): Promise<void> {
    await this.#join(user, data, data)
    this.#forget(user)
  }

  /**
   * Lets users go that have waited too long. When nothing at all has come since the first of them was announced, the client does
   * not hear us, whatever its pings say: it is ended, so that it comes back.
   */
  tick (): void {
    const expired = this.#requests.expire(this.#shared.now - this.#shared.settings.waitTimeout)
    for (const { user } of expired) this.#drop(user, 'timeout')
    this.#carriers.tick()
    if (expired.length > 0 && this.owner.answers === expired[0].answersBefore) this.owner.end('deaf', 'no data connections come from you')
  }

  async #open (): Promise<void> {
    if (this.#listener !== undefined || !this.wantsOnline) return
    const { users, clock, settings: { bind: host } } = this.#shared
    const listener = listenTcp({ host, port: this.number, gate: users.of(this.identity), keepAlive: KEEP_ALIVE, clock })
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
    this.#tally.add('accepted', 1)
    const mayEnter = traffic.users < settings.maxUsers
    const carrier = mayEnter ? this.#carriers.take() : undefined
    if (carrier !== undefined) {
      this.#remember(link)
      void (carrier.isFresh ? this.#carryOn(link, carrier.links) : this.#tryOn(link, carrier.links))
    } else if (mayEnter) {
      this.#remember(link)
      this.#wait(link, this.#shared.now)
    } else {
      this.#tally.drop('limit')
      link.abort(new LinkClosedError('too many users'))
    }
  }

  /** Until the client has made a data connection for this user. */
  #wait (user: AcceptedLink, since: number): void {
    const request = this.#requests.add(user, since)
    if (request === undefined) {
      this.#letGo(user, 'waiting')
      return
    }
    this.#users.set(user, request)
    this.#tally.add('waiting', 1)
    if (user.pass !== undefined) {
      user.pass.evict = () => { this.#drop(user, 'waiting') }
      user.pass.onLeave = () => { this.#drop(user, 'left') }
    }
    this.#ask(request)
  }

  /**
   * A data connection that has rested: nothing of the user goes there before its other end has answered. When it does not, the user
   * gets another one, and so does everybody else, as whatever has cut it off may have cut off the others that rest.
   */
  async #tryOn (user: AcceptedLink, links: SerialLinks): Promise<void> {
    const { now: since, clock, settings: { acknowledgeTimeout } } = this.#shared
    const { pass } = user
    let hasLeft = false
    if (pass !== undefined) pass.onLeave = () => { hasLeft = true }
    const data = links.begin(this.#openingOf(user))
    const timer = clock.set(acknowledgeTimeout, () => { links.abort(new LinkClosedError(SILENT)) })
    const isThere = await links.answer().then(() => true, () => false)
    clock.clear(timer)
    if (isThere && this.#serving.has(links)) {
      this.#serving.set(links, user)
      await this.#join(user, data, links)
      return
    }
    links.abort(new LinkClosedError(SILENT))
    this.#carriers.close()
    if (hasLeft) {
      this.#letGo(user, 'left')
      return
    }
    this.#shared.log.line('warn', { port: this.number, identity: this.identity.name }, 'a data connection that has rested does not answer, its user gets another one')
    if (this.wantsOnline) this.#wait(user, since)
    else this.#letGo(user, 'offline')
  }

  /** The user counts until its link is over: what it has sent may wait for a client that does not read. */
  async #carryOn (user: AcceptedLink, links: SerialLinks): Promise<void> {
    this.#serving.set(links, user)
    const { clock, settings: { acknowledgeTimeout } } = this.#shared
    const timer = links.acknowledges
      ? clock.set(acknowledgeTimeout, () => {
        this.#tally.drop('silent')
        links.abort(new LinkClosedError(SILENT))
      })
      : undefined
    await this.#join(user, links.begin(this.#openingOf(user), () => { clock.clear(timer) }), links)
    clock.clear(timer)
  }

  #openingOf (user: AcceptedLink): Uint8Array {
    return encodeJson(this.owner.wantsAddresses ? { source: textOf(user.remote), destination: textOf(user.local) } : {})
  }

  /** Until both are at their end; never rejects. Data comes on a connection that ends with its user, when too much is kept for that. */
  async #join (user: AcceptedLink, data: Link, connection: { abort (err: Error): void }): Promise<void> {
    user.pass?.establish()
    const { unanswered } = this.#shared
    const gone = (err: Error): void => {
      this.#tally.drop('silent')
      for (const link of [user, connection]) link.abort(err)
    }
    unanswered.add(user, gone)
    unanswered.add(data, gone)
    const account = this.#shared.buffers.open(this.identity, () => {
      this.#tally.drop('stalled')
      this.#shared.log.line('warn', { port: this.number, identity: this.identity.name }, 'a user that stands still was ended: too much is kept for all users')
      for (const link of [user, connection]) link.abort(new LinkClosedError('too much is kept for users that stand still'))
    })
    try {
      await bridge(user, data, { forward: this.#meter('bytesIn', 'forward'), backward: this.#meter('bytesOut', 'backward'), account })
    } catch {
      // One of the two is gone, and so is the other by now.
    } finally {
      unanswered.delete(user)
      unanswered.delete(data)
    }
  }

  #ask (request: Request<AcceptedLink>): void {
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
  #drop (user: AcceptedLink, why: UserDrop): void {
    const request = this.#users.get(user)
    if (request === undefined) return
    this.#requests.giveUp(request)
    this.#tally.add('waiting', -1)
    this.#letGo(user, why)
  }

  #letGo (user: AcceptedLink, why: UserDrop): void {
    this.#tally.drop(why)
    this.#forget(user)
    user.abort(new LinkClosedError('no data connection'))
  }

  #remember (user: AcceptedLink): void {
    this.#users.set(user, undefined)
    this.#shared.used.add(this)
    this.#tally.add('users', 1)
  }

  #forget (user: AcceptedLink | undefined): void {
    if (user === undefined || !this.#users.delete(user)) return
    if (this.#users.size === 0) this.#shared.used.delete(this)
    this.#tally.add('users', -1)
  }

  /** The limit may become another one in the middle. */
  #meter (name: 'bytesIn' | 'bytesOut', direction: 'forward' | 'backward'): Meter {
    return (bytes) => {
      this.#tally.add(name, bytes)
      return this.identity.pace?.[direction].pass(bytes)
    }
  }
}

/** Undefined for a user who has gone meanwhile, and for a link that has no address. */
function textOf ({ host, port }: Endpoint): string | undefined {
  return isIP(host) === 0 ? undefined : endpointText({ host: canonical(host), port })
}

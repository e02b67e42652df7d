/** One member: the states in which a direct path to it is looked for, used and given up; candy protocol, section 2.5. */
import { Attempt, knownKey, type AttemptInit } from './attempt.ts'
import { DirectHistory } from './history.ts'
import type { IntroducedPath } from './introduced-path.ts'
import { isOther, keptOf, offerText, type Offer } from './offer.ts'
import type { OriginalPath } from './original-path.ts'
import { isSame, type DirectPath, type IsUsable, type RemoteEndpoint } from './path.ts'
import type { DirectSession } from './direct-session.ts'
import { TokenBucket } from '../../../../limits/token-bucket.ts'
import { endpointText } from '../../../../net/endpoint.ts'
import type { Clock, Endpoint } from '../../../../types.ts'
import type { IntroducedHeartbeat } from '../../protocol/introduced-heartbeat.ts'

/** Names of the protocol, in lower case. */
export type DirectState = 'init' | 'preparing' | 'synchronizing' | 'connecting' | 'connected' | 'waiting' | 'failed'

/** Why the last attempt, or path, has ended: no own endpoint, none of the member, no heartbeat; the path has ended. */
export type DirectFailure = 'unprepared' | 'untold' | 'unheard' | 'lost'

/** A path that packets can go over. */
export type UsablePath = DirectPath & { readonly endpoint: RemoteEndpoint }

/** Milliseconds in each of the states that look for a path. */
const PATIENCE = 10_000

/** Milliseconds until the next attempt after one that has failed, at first and at most. */
const RETRY = { first: 30_000, most: 3_600_000, mostOfIntroduced: 300_000 } as const

/** Milliseconds between attempts that the member asks for. */
const MIN_ATTEMPT_INTERVAL = 1000

/** Attempts that a member may ask for: each makes this peer send to the endpoints that the member has named, wherever they are. */
const ATTEMPTS = { rate: 1 / 30, burst: 6 }

/** Keys of the member for which an attempt begins to wait again. */
const MAX_RENEWED = 2

/** CONNs that are taken in a second, and at once. */
const CONNS = { rate: 2, burst: 6 }

/** Milliseconds for which datagrams of a session are taken after another one has begun. */
const OVERLAP = 60_000

const FAILURES: Record<DirectFailure, string> = {
  unprepared: 'no endpoint of this peer was found, or the server took no message',
  untold: 'the member told no endpoint',
  unheard: 'no heartbeat came',
  lost: 'no heartbeat came'
}

/** What a peer does for each of its members. */
export interface RemotePeerInit extends Pick<AttemptInit, 'session'> {
  readonly address: number
  readonly clock: Clock
  /** The server can be told something. */
  isOnline (): boolean
  /** The own endpoint is known, or there is nothing to wait for. */
  isPrepared (now: number): boolean
  /** Begins to find out the own endpoint. */
  prepare (now: number): void
  /** Sends CONN to the member. False: there is no server now. */
  announce (attempt: Attempt, known: Uint8Array): boolean
  announceLocal (): void
  /** A path to one that has not introduced itself. */
  originalPath (): OriginalPath
  introducedPath (session: DirectSession): IntroducedPath
  /** Its datagrams are not taken any more. */
  forget (session: DirectSession): void
  newIndex (): number
  onState (peer: RemotePeer, before: DirectState): void
  /** `isSound` may have changed. */
  onHealth (peer: RemotePeer): void
  /** Packets take another way: `usable` has changed. */
  onPath (peer: RemotePeer): void
}

export class RemotePeer {
  readonly address: number
  readonly history: DirectHistory
  /** Packets and bytes over the direct path. */
  readonly traffic = { packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0 }
  readonly #init: RemotePeerInit
  readonly #conns: TokenBucket
  readonly #attempts: TokenBucket
  #state: DirectState = 'init'
  /** When the state was last set, also to the same value. */
  #since: number
  #retry: number = RETRY.first
  #attempt: Attempt | undefined
  #attemptAt = -Infinity
  /** Of this attempt. */
  #offer: Offer | undefined
  /** The same, which stays when an attempt ends. */
  #lastOffer: Offer | undefined
  /** Came too soon after the last attempt, or after too many. */
  #postponed: Offer | undefined
  #local: RemoteEndpoint | undefined
  #failure: DirectFailure | undefined
  #path: OriginalPath | IntroducedPath | undefined
  #session: DirectSession | undefined
  #former: DirectSession | undefined
  #isLate = false
  /** The endpoint that packets go to, as last told. */
  #told: RemoteEndpoint | undefined

  constructor (init: RemotePeerInit) {
    this.#init = init
    this.address = init.address
    this.history = new DirectHistory(init.clock)
    this.#since = init.clock.now()
    this.#conns = new TokenBucket(CONNS, this.#since)
    this.#attempts = new TokenBucket(ATTEMPTS, this.#since)
  }

  get state (): DirectState { return this.#state }

  /** What the member has told last. */
  get lastOffer (): Offer | undefined { return this.#lastOffer }

  /** Why there is no path; undefined while one works, and before the first attempt has ended. */
  get failure (): DirectFailure | undefined { return this.#failure }

  /** The path in use or looked for. */
  get path (): DirectPath | undefined { return this.#path }

  /** The path when packets can go over it now: also a late one, while there is no server. */
  get usable (): UsablePath | undefined {
    const path = this.#path
    if (this.#state !== 'connected' || path?.endpoint === undefined || path.size === 0) return undefined
    return this.#isLate && this.#init.isOnline() ? undefined : path as UsablePath
  }

  /** Why a path that there is carries no packets: its key may seal no more, no datagram of a useful size is known to arrive, or it does not answer. */
  get hindrance (): 'used up' | 'narrow' | 'late' {
    if (this.#path === undefined || this.#path.size > 0) return 'late'
    return this.#path.kind === 'original' ? 'used up' : 'narrow'
  }

  /** Whether there is a path that answers: routes may lead over it. */
  get isSound (): boolean { return !this.#isLate && this.usable !== undefined }

  get isIntroduced (): boolean { return this.#path?.kind === 'introduced' }

  /** When the next attempt may begin, by the clock; undefined: at any time, or one is on. */
  get retryAt (): number | undefined { return this.#state === 'waiting' || this.#state === 'failed' ? this.#since + this.#retry : undefined }

  /** The member is there: a packet of it has come through the server, or a DISCOVERY. */
  start (now: number, why: string): void {
    if (this.#state !== 'init') return
    this.history.add(why)
    this.#prepare(now)
  }

  /** A packet of so many bytes, which could have come over the path, has come through the server. */
  doubted (now: number, length: number): void {
    if (this.#state !== 'connected' || this.#path === undefined || length > this.#path.size) return
    this.#path.doubted(now)
    this.#watch(now)
  }

  /** Whether CONN is taken now: a member may send a few. */
  admits (now: number): boolean {
    this.#conns.refill(now)
    return this.#conns.take(1)
  }

  /** The own endpoint is known, or will not be known. */
  prepared (now: number): void {
    if (this.#state !== 'preparing' || !this.#init.isPrepared(now) || !this.#announce()) return
    this.#enter(this.#offer === undefined ? 'synchronizing' : 'connecting', now)
    if (this.#offer !== undefined) this.#agree(this.#offer, now)
  }

  /** CONN has come. */
  offered (offer: Offer, now: number): void {
    this.history.add(offerText(offer))
    this.#lastOffer = offer
    const isNew = isOther(this.#offer, offer)
    switch (this.#state) {
      case 'preparing':
        if (this.#offer === undefined) this.#init.announceLocal()
        this.#offer = offer
        break
      case 'synchronizing':
      case 'connecting': {
        const isOtherKind = this.#path !== undefined && (offer.introduction !== undefined) !== this.isIntroduced
        if (isOtherKind) {
          this.#begin(offer, now)
          break
        }
        this.#offer = offer
        if (this.#state === 'synchronizing' || (isNew && (this.#attempt?.agreed ?? 0) < MAX_RENEWED)) this.#enter('connecting', now)
        this.#agree(offer, now)
        if (offer.introduction !== undefined && this.#attempt?.isKnownBy(offer.introduction) === false) this.#announce()
        break
      }
      case 'connected':
        if (isNew) this.#begin(offer, now)
        break
      default:
        this.#begin(offer, now)
    }
  }

  /** The endpoint of the member in its own network has come. */
  localEndpoint (endpoint: RemoteEndpoint): void {
    this.#local = endpoint
    this.#path?.addLocal(endpoint)
  }

  /** Forgets endpoints that cannot be used any more, as a route leads there. */
  keep (isUsable: IsUsable, now: number): void {
    this.#offer = keptOf(this.#offer, isUsable)
    this.#postponed = keptOf(this.#postponed, isUsable)
    if (this.#local !== undefined && !isUsable(this.#local)) this.#local = undefined
    const used = this.#path?.endpoint
    this.#path?.keep(isUsable)
    if (used === undefined || isUsable(used)) return
    this.history.add(`a route leads to ${endpointText(used)}`)
    if (this.#state === 'connected') this.#watch(now)
  }

  /** A heartbeat of a member with an existing client. False when it is ignored: every member could forge those of one that has introduced itself. */
  heard (from: RemoteEndpoint, acknowledge: boolean, now: number): boolean {
    if (this.#offer === undefined || this.#offer.introduction !== undefined) return false
    const path = this.#originalPath()
    if (!path.heard(from, acknowledge, now)) return false
    if (acknowledge) this.#connected(now)
    return true
  }

  /** A heartbeat of this session. */
  heardIn (session: DirectSession, heartbeat: IntroducedHeartbeat, size: number, from: RemoteEndpoint, now: number): void {
    const path = this.#path
    if (session !== this.#session || path?.kind !== 'introduced' || heartbeat.sender !== this.address) return
    if (path.heard(heartbeat, size, from, now)) this.#connected(now)
  }

  /** Whether a heartbeat of the member, with an existing client, has come from there. */
  hasHeard (from: Endpoint): boolean { return this.#path?.kind === 'original' && this.#path.hasHeard(from) }

  /** A DELAY has come back. */
  measured (roundTrip: number): void { this.#path?.measured(roundTrip) }

  tick (now: number): void {
    if (this.#postponed !== undefined && now - this.#attemptAt >= MIN_ATTEMPT_INTERVAL) this.#begin(this.#postponed, now)
    if (this.#former !== undefined && now - this.#attemptAt > OVERLAP) this.#forgetFormer()
    const isAsking = this.#state === 'preparing' || this.#state === 'synchronizing'
    if (isAsking && !this.#init.isOnline()) this.#since = now // nobody can be told or asked
    const age = now - this.#since
    switch (this.#state) {
      case 'preparing':
        this.prepared(now)
        if (this.#state === 'preparing' && age >= PATIENCE) this.#fail('failed', 'unprepared', now)
        break
      case 'synchronizing':
        if (age < PATIENCE) this.#path?.beat(now, 'all')
        else this.#fail('failed', 'untold', now)
        break
      case 'connecting':
        if (age < PATIENCE) this.#path?.beat(now, 'all')
        else this.#fail('waiting', 'unheard', now)
        break
      case 'connected':
        this.#watch(now)
        break
      case 'waiting':
      case 'failed':
        if (age < this.#retry) break
        this.#enter('init', now)
        this.#retry = Math.min(this.#retry * 2, this.#lastOffer?.introduction === undefined ? RETRY.most : RETRY.mostOfIntroduced)
    }
  }

  /** Gives everything up. */
  close (): void {
    this.#leave()
    this.#forgetFormer()
    this.#state = 'init'
    this.#tellPath()
  }

  #watch (now: number): void {
    const path = this.#path as DirectPath
    const health = path.health(now)
    if (health === 'dead' && this.#init.isOnline()) {
      this.history.add('given up: no heartbeat has come')
      this.#failure = 'lost'
      this.#enter('init', now)
      return
    }
    const isLate = health !== 'alive'
    if (this.#isLate !== isLate) {
      this.#isLate = isLate
      this.history.add(isLate ? 'no answer for a while' : 'it answers again')
      this.#init.onHealth(this)
    }
    path.beat(now, isLate ? 'all' : 'used')
    this.#tellPath()
  }

  /** A heartbeat was acknowledged. */
  #connected (now: number): void {
    if (this.#state === 'init' || this.#state === 'waiting' || this.#state === 'failed') return
    this.#failure = undefined
    this.#retry = RETRY.first
    this.#enter('connected', now)
    this.#watch(now)
  }

  #tellPath (): void {
    const endpoint = this.usable?.endpoint
    if (endpoint === undefined ? this.#told === undefined : isSame(this.#told, endpoint)) return
    this.#told = endpoint
    this.history.add(endpoint === undefined ? 'packets go through the server' : `packets go to ${endpointText(endpoint)}`)
    this.#init.onPath(this)
  }

  /** Begins an attempt that the member has asked for; later, when the last one has just begun, or there were too many. */
  #begin (offer: Offer, now: number): void {
    this.#attempts.refill(now)
    if (now - this.#attemptAt < MIN_ATTEMPT_INTERVAL || !this.#attempts.take(1)) {
      this.#postponed = offer
      return
    }
    this.#postponed = undefined
    this.#offer = offer
    this.#init.announceLocal()
    this.#prepare(now)
  }

  #prepare (now: number): void {
    this.#leave()
    this.#attemptAt = now
    this.#attempt = new Attempt({ index: this.#init.newIndex(), session: this.#init.session })
    this.#enter('preparing', now)
    this.#init.prepare(now)
    this.prepared(now)
  }

  #announce (): boolean { return this.#init.announce(this.#attempt as Attempt, knownKey(this.#offer?.introduction)) }

  /** Makes the path of the kind that both have, once both ends have told their endpoints. */
  #agree ({ endpoint, introduction, candidates }: Offer, now: number): void {
    if (introduction === undefined) {
      const path = this.#originalPath()
      if (endpoint !== undefined) path.add(endpoint)
      return
    }
    const session = this.#attempt?.agree(introduction)
    if (session !== undefined) {
      this.#path?.close()
      this.#retire()
      this.#session = session
      this.#path = this.#init.introducedPath(session)
    }
    const path = this.#path
    if (path?.kind !== 'introduced') return
    for (const known of [endpoint, this.#local, ...candidates]) if (known !== undefined) path.add(known)
    path.beat(now, 'all')
  }

  #originalPath (): OriginalPath {
    if (this.#path?.kind === 'original') return this.#path
    const path = this.#path = this.#init.originalPath()
    if (this.#local !== undefined) path.addLocal(this.#local)
    return path
  }

  #fail (state: 'waiting' | 'failed', failure: DirectFailure, now: number): void {
    this.#failure = failure
    this.history.add(`${FAILURES[failure]} within ${PATIENCE / 1000} s: the next attempt in ${this.#retry / 1000} s`)
    this.#enter(state, now)
  }

  #enter (state: DirectState, now: number): void {
    this.#since = now
    if (this.#state === state) return
    const before = this.#state
    this.#state = state
    if (state === 'init' || state === 'waiting' || state === 'failed') {
      this.#leave()
      this.#offer = this.#local = undefined
    }
    if (state === 'connected') this.#attempt = undefined // the private key is of no use any more
    this.#init.onState(this, before)
    this.#tellPath()
  }

  /** Ends the path of an attempt. What is on its way is still taken. */
  #leave (): void {
    this.#isLate = false
    this.#retire()
    this.#path?.close()
    this.#path = this.#attempt = undefined
  }

  #retire (): void {
    if (this.#session === undefined) return
    this.#forgetFormer()
    this.#former = this.#session
    this.#session = undefined
  }

  #forgetFormer (): void {
    if (this.#former !== undefined) this.#init.forget(this.#former)
    this.#former = undefined
  }
}

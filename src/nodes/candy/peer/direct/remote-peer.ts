/** One member: the states in which a direct path to it is looked for, used and given up; candy protocol, section 2.5. */
import { AttemptKey, keyId } from './attempt-key.ts'
import { DirectHistory } from './history.ts'
import { IntroducedPath } from './introduced-path.ts'
import { OriginalPath } from './original-path.ts'
import { isSame, type DirectPath, type RemoteEndpoint } from './path.ts'
import { DirectSession } from './direct-session.ts'
import { endpointText } from '../../../../net/endpoint.ts'
import type { Clock, Endpoint } from '../../../../types.ts'
import type { IntroducedHeartbeat } from '../../protocol/introduced-heartbeat.ts'
import type { Introduction } from '../../protocol/introduction.ts'

/** Names of the protocol, in lower case. */
export type DirectState = 'init' | 'preparing' | 'synchronizing' | 'connecting' | 'connected' | 'waiting' | 'failed'

/** Why the last attempt, or path, has ended: no own endpoint, none of the member, no heartbeat; the path has ended. */
export type DirectFailure = 'unprepared' | 'untold' | 'unheard' | 'lost'

/** Milliseconds in each of the states that look for a path. */
const PATIENCE = 10_000

/** Milliseconds until the next attempt after one that has failed, at first and at most. */
const RETRY = { first: 30_000, most: 3_600_000, mostOfIntroduced: 300_000 } as const

/** Milliseconds between attempts that the member asks for. */
const MIN_ATTEMPT_INTERVAL = 1000

/** Milliseconds for which datagrams of a session are taken after another one has begun. */
const OVERLAP = 60_000

/** Keys of a member in one attempt: more than one when it begins again meanwhile. */
const MAX_AGREED = 4

/** What a peer does for each of its members. */
export interface RemotePeerInit {
  readonly address: number
  readonly clock: Clock
  /** The own endpoint is known, or there is nothing to wait for. */
  isPrepared (now: number): boolean
  /** Begins to find out the own endpoint. */
  prepare (now: number): void
  /** Sends CONN to the member. False: there is no server now. */
  announce (key: AttemptKey, index: number, known: Uint8Array): boolean
  announceLocal (): void
  /** A path to one that has not introduced itself. */
  originalPath (): OriginalPath
  /** A session that is found by its index from now on; undefined for a key that is none. */
  session (key: AttemptKey, index: number, introduction: Introduction): DirectSession | undefined
  introducedPath (session: DirectSession): IntroducedPath
  /** Its datagrams are not taken any more. */
  forget (session: DirectSession): void
  newIndex (): number
  onState (peer: RemotePeer, before: DirectState): void
}

/** The last CONN of a member. */
export interface Offer {
  readonly endpoint: RemoteEndpoint | undefined
  readonly introduction: Introduction | undefined
  /** Of the introduction. */
  readonly candidates: readonly RemoteEndpoint[]
}

const NOTHING = new Uint8Array(8)

export class RemotePeer {
  readonly address: number
  readonly history: DirectHistory
  /** Packets and bytes over the direct path. */
  readonly traffic = { packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0 }
  readonly #init: RemotePeerInit
  #state: DirectState = 'init'
  /** When the state was last set, also to the same value. */
  #since: number
  #retry: number = RETRY.first
  #attemptAt = -Infinity
  #key: AttemptKey | undefined
  #index = 0
  /** Public keys of the member that the key of this attempt has agreed with. */
  readonly #agreed = new Set<string>()
  #offer: Offer | undefined
  /** The same, which stays when an attempt ends. */
  #lastOffer: Offer | undefined
  #failure: DirectFailure | undefined
  /** Came too soon after the last attempt. */
  #postponed: Offer | undefined
  #local: RemoteEndpoint | undefined
  #path: OriginalPath | IntroducedPath | undefined
  #session: DirectSession | undefined
  #former: DirectSession | undefined
  /** The last CONN had an introduction. */
  #wasIntroduced = false
  #isLate = false
  /** The endpoint last written down. */
  #noted: RemoteEndpoint | undefined

  constructor (init: RemotePeerInit) {
    this.#init = init
    this.address = init.address
    this.history = new DirectHistory(init.clock)
    this.#since = init.clock.now()
  }

  get state (): DirectState { return this.#state }

  /** Of the last CONN. */
  get introduction (): Introduction | undefined { return this.#offer?.introduction }

  /** What the member has told last. */
  get lastOffer (): Offer | undefined { return this.#lastOffer }

  /** Why there is no path; undefined while one works, and before the first attempt has ended. */
  get failure (): DirectFailure | undefined { return this.#failure }

  /** The path in use or looked for. */
  get path (): DirectPath | undefined { return this.#path }

  /** The path when packets can go over it now. */
  get usable (): (DirectPath & { readonly endpoint: RemoteEndpoint }) | undefined {
    const path = this.#path
    if (this.#state !== 'connected' || this.#isLate || path?.endpoint === undefined) return undefined
    return path as DirectPath & { readonly endpoint: RemoteEndpoint }
  }

  get isIntroduced (): boolean { return this.#path instanceof IntroducedPath }

  /** When the next attempt may begin, by the clock; undefined: at any time, or one is on. */
  get retryAt (): number | undefined { return this.#state === 'waiting' || this.#state === 'failed' ? this.#since + this.#retry : undefined }

  /** The member is there: a packet of it has come through the server, or a DISCOVERY. */
  start (now: number, why: string): void {
    if (this.#state === 'connected') {
      this.#path?.doubted(now)
      this.#watch(now)
    }
    if (this.#state !== 'init') return
    this.history.add(why)
    this.#prepare(now)
  }

  /** The own endpoint is known, or will not be known. */
  prepared (now: number): void {
    if (this.#state !== 'preparing' || !this.#init.isPrepared(now)) return
    const key = this.#key as AttemptKey
    if (!this.#announce(key)) return
    this.#enter(this.#offer === undefined ? 'synchronizing' : 'connecting', now)
    if (this.#offer !== undefined) this.#agree(now)
  }

  /** CONN has come. */
  offered (offer: Offer, now: number): void {
    this.history.add(offerText(offer))
    this.#lastOffer = offer
    this.#wasIntroduced = offer.introduction !== undefined
    const isNew = this.#isNew(offer)
    if (this.#state === 'connected' && !isNew) return
    if (this.#state === 'synchronizing') {
      this.#offer = offer
      this.#enter('connecting', now)
      this.#agree(now)
      this.#reply(offer)
    } else if (this.#state === 'connecting') {
      this.#offer = offer
      if (isNew) this.#enter('connecting', now)
      this.#agree(now)
      this.#reply(offer)
    } else if (this.#state !== 'preparing' && now - this.#attemptAt < MIN_ATTEMPT_INTERVAL) {
      this.#postponed = offer
    } else {
      this.#accept(offer, now)
    }
  }

  /** The endpoint of the member in its own network has come. */
  localEndpoint (endpoint: RemoteEndpoint): void {
    this.#local = endpoint
    if (this.#path instanceof OriginalPath) this.#path.addLocal(endpoint)
    else this.#path?.add(endpoint)
  }

  /** A heartbeat of a member with an existing client. False when it is ignored. */
  heard (from: RemoteEndpoint, acknowledge: boolean, now: number): boolean {
    if (this.#state === 'init' || this.#state === 'waiting' || this.#state === 'failed') return false
    if (this.#offer === undefined || this.#offer.introduction !== undefined) return false // every member could forge it
    const path = this.#originalPath()
    if (!path.heard(from, acknowledge, now)) return false
    if (acknowledge) this.#connected(now)
    return true
  }

  /** A heartbeat of this session. */
  heardIn (session: DirectSession, heartbeat: IntroducedHeartbeat, size: number, from: RemoteEndpoint, now: number): void {
    const path = this.#path
    if (session !== this.#session || !(path instanceof IntroducedPath) || heartbeat.sender !== this.address) return
    if (path.heard(heartbeat, size, from, now) && this.#state !== 'init' && this.#state !== 'failed' && this.#state !== 'waiting') this.#connected(now)
  }

  /** Whether a datagram that is sealed as existing clients do may come from there. */
  knows (from: Endpoint): boolean { return this.#path instanceof OriginalPath && this.#path.knows(from) }

  /** A DELAY has come back. */
  measured (roundTrip: number): void {
    if (this.#path instanceof OriginalPath) this.#path.roundTrip = roundTrip
  }

  tick (now: number): void {
    const age = now - this.#since
    if (this.#postponed !== undefined && now - this.#attemptAt >= MIN_ATTEMPT_INTERVAL) this.#accept(this.#postponed, now)
    if (this.#former !== undefined && now - this.#attemptAt > OVERLAP) this.#forgetFormer()
    switch (this.#state) {
      case 'preparing':
        if (age >= PATIENCE) this.#enter('failed', now)
        else this.prepared(now)
        break
      case 'synchronizing':
        if (age >= PATIENCE) this.#enter('failed', now)
        else this.#path?.beat(now, 'all')
        break
      case 'connecting':
        if (age >= PATIENCE) this.#enter('waiting', now)
        else this.#path?.beat(now, 'all')
        break
      case 'connected':
        this.#watch(now)
        break
      case 'waiting':
      case 'failed':
        if (age < this.#retry) break
        this.#enter('init', now)
        this.#retry = Math.min(this.#retry * 2, this.#wasIntroduced ? RETRY.mostOfIntroduced : RETRY.most)
    }
  }

  /** Gives everything up. */
  close (): void {
    this.#leave()
    this.#forgetFormer()
  }

  #watch (now: number): void {
    const path = this.#path as DirectPath
    const health = path.health(now)
    if (health === 'dead') {
      this.history.add('given up: no heartbeat has come')
      this.#failure = 'lost'
      this.#enter('init', now)
      return
    }
    if (this.#isLate !== (health === 'late')) {
      this.#isLate = health === 'late'
      this.history.add(this.#isLate ? 'no answer for a while: packets go through the server' : `answers again: packets go to ${endpointText(path.endpoint as Endpoint)}`)
      this.#init.onState(this, this.#state)
    }
    path.beat(now, this.#isLate ? 'all' : 'used')
    this.#noteEndpoint()
  }

  #connected (now: number): void {
    const wasConnected = this.#state === 'connected'
    this.#enter('connected', now)
    if (wasConnected) return
    this.#failure = undefined
    this.#retry = RETRY.first
    this.#noteEndpoint()
  }

  #noteEndpoint (): void {
    const endpoint = this.#path?.endpoint
    if (endpoint === this.#noted) return
    this.#noted = endpoint
    if (endpoint === undefined) return
    this.history.add(`connected: ${endpointText(endpoint)}`)
    this.#init.onState(this, this.#state)
  }

  /** Whether it is another one than before, or of another kind. */
  #isNew ({ introduction }: Offer): boolean {
    const before = this.#offer?.introduction
    if (introduction === undefined || before === undefined) return introduction !== before
    return Buffer.compare(introduction.publicKey, before.publicKey) !== 0
  }

  #accept (offer: Offer, now: number): void {
    this.#postponed = undefined
    this.#offer = offer
    this.#init.announceLocal()
    this.#prepare(now)
  }

  #prepare (now: number): void {
    if (this.#state !== 'preparing') {
      this.#leave()
      this.#attemptAt = now
      this.#key = new AttemptKey()
      this.#agreed.clear()
      this.#index = this.#init.newIndex()
    }
    this.#enter('preparing', now)
    this.#init.prepare(now)
    this.prepared(now)
  }

  #announce (key: AttemptKey): boolean {
    const known = this.#offer?.introduction === undefined ? NOTHING : keyId(this.#offer.introduction.publicKey)
    return this.#init.announce(key, this.#index, known)
  }

  /** Tells the member the own endpoint again when it does not know the key of this attempt. */
  #reply ({ introduction }: Offer): void {
    if (introduction !== undefined && Buffer.compare(introduction.known, (this.#key as AttemptKey).id) !== 0) this.#announce(this.#key as AttemptKey)
  }

  /** Makes the path of the kind that both have, once both ends have told their endpoints. */
  #agree (now: number): void {
    const { endpoint, introduction, candidates } = this.#offer as Offer
    if (introduction === undefined) {
      const path = this.#originalPath()
      if (endpoint !== undefined) path.add(endpoint)
      return
    }
    const session = this.#newSession(introduction)
    if (session !== undefined) {
      this.#path?.close()
      if (this.#session !== undefined) this.#retire(this.#session)
      this.#session = session
      this.#path = this.#init.introducedPath(session)
    }
    const path = this.#path
    if (!(path instanceof IntroducedPath)) return
    for (const known of [endpoint, this.#local, ...candidates]) if (known !== undefined) path.add(known)
    path.beat(now, 'all')
  }

  /** Two public keys agree at most once, as the same keys with the same counters would end the secrecy of what is sent. */
  #newSession (introduction: Introduction): DirectSession | undefined {
    const id = Buffer.from(introduction.publicKey).toString('base64')
    if (this.#agreed.has(id) || this.#agreed.size === MAX_AGREED) return undefined
    this.#agreed.add(id)
    const session = this.#init.session(this.#key as AttemptKey, this.#index, introduction)
    if (session === undefined) this.history.add('its public key is none')
    return session
  }

  #originalPath (): OriginalPath {
    if (this.#path instanceof OriginalPath) return this.#path
    this.#path?.close()
    const path = this.#path = this.#init.originalPath()
    if (this.#local !== undefined) path.addLocal(this.#local)
    return path
  }

  #enter (state: DirectState, now: number): void {
    this.#since = now
    if (this.#state === state) return
    const before = this.#state
    this.#state = state
    if (state === 'waiting') this.#failure = 'unheard'
    else if (state === 'failed') this.#failure = before === 'preparing' ? 'unprepared' : 'untold'
    if (state === 'init' || state === 'waiting' || state === 'failed') {
      this.#leave()
      this.#offer = this.#local = undefined
    }
    if (state === 'failed' || state === 'waiting') this.history.add(`${state === 'failed' ? 'no endpoint was told' : 'no heartbeat has come'} within ${PATIENCE / 1000} s: the next attempt in ${this.#retry / 1000} s`)
    this.#init.onState(this, before)
  }

  /** Ends the path of an attempt. What is on its way is still taken. */
  #leave (): void {
    this.#isLate = false
    if (this.#session !== undefined) this.#retire(this.#session)
    this.#path?.close()
    this.#path = this.#session = this.#noted = undefined
  }

  #retire (session: DirectSession): void {
    this.#forgetFormer()
    this.#former = session
  }

  #forgetFormer (): void {
    if (this.#former !== undefined) this.#init.forget(this.#former)
    this.#former = undefined
  }
}

function offerText ({ endpoint, introduction, candidates }: Offer): string {
  const others = candidates.filter((candidate) => !isSame(endpoint, candidate))
  return `the member is at ${endpoint === undefined ? 'an endpoint that cannot be used' : endpointText(endpoint)}${others.length === 0 ? '' : `, or ${others.map(endpointText).join(', ')}`}${introduction === undefined ? ', as existing clients are' : ''}`
}

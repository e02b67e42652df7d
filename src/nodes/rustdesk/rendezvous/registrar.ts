/** Registers keys of peers: decides, and answers once the peer is in the store. */
import type { Peer } from './peer.ts'
import type { PeerStep } from './peer-steps.ts'
import { countKey, decideKey, plausibilityOf, type KeyDecision, type KeyRequest } from './registration.ts'
import type { RendezvousState } from './state.ts'
import type { RegistrationRefusal, Way } from './stats.ts'
import { RegisterResult } from '../protocol/enums.ts'
import { clientKey } from '../../../net/client-address.ts'
import { remoteText } from '../../../net/endpoint.ts'
import type { Endpoint } from '../../../types.ts'

/** The number of a result, see `RegisterResult`. */
export type RegisterResultCode = typeof RegisterResult[keyof typeof RegisterResult]

/** Registrations of one id that wait, and of all. */
const MOST_OF_ID = 4
const MOST_WAITING = 4096

/** A result that was refused, by the reason. */
const REFUSED: Readonly<Record<RegistrationRefusal, RegisterResultCode>> = {
  no_id: RegisterResult.uuidMismatch,
  blocked: RegisterResult.tooFrequent,
  machine: RegisterResult.uuidMismatch,
  stolen: RegisterResult.uuidMismatch,
  frequent: RegisterResult.tooFrequent,
  full: RegisterResult.tooFrequent,
  store: RegisterResult.serverError,
  connection: RegisterResult.notSupport,
  not_allowed: RegisterResult.notDeployed // with UUID_MISMATCH a client would come again and again with other ids
}

/** By the code of an error of the store; any other one is a fault. */
const REFUSED_BY_STORE: Readonly<Record<string, RegistrationRefusal>> = { ERR_PEER_STORE_UUID: 'machine', ERR_PEER_STORE_FULL: 'full' }

/** Registrations of one id go one after the other. */
interface Turns {
  waiting: number
  last: Promise<unknown>
}

/** The parts of the server that it needs. */
type Context = Pick<RendezvousState, 'clock' | 'totals' | 'store' | 'peers' | 'blocker' | 'changes' | 'steps' | 'refusals'>

/** Who registers. */
export interface Registering extends Endpoint {
  /** Folded; port 0 where there is none for datagrams. */
  readonly host: string
  readonly way: Way
  /** Whom it counts for, see `clientKey`. Default: its address. */
  readonly source?: string
}

export class Registrar {
  readonly #context: Context
  readonly #turns = new Map<string, Turns>()
  #waiting = 0

  constructor (context: Context) { this.#context = context }

  /** Registrations that wait for the store. */
  get waiting (): number { return this.#waiting }

  /**
   * Registers a key.
   *
   * @param now milliseconds of a monotonic clock
   * @returns the result, once the peer is in the store; undefined: no answer
   */
  register (request: KeyRequest, from: Registering, now: number): RegisterResultCode | undefined | Promise<RegisterResultCode> {
    const { totals, blocker, peers } = this.#context
    const plausibility = plausibilityOf(request)
    if (plausibility === 'ignored') {
      totals.drops.empty++
      return undefined
    }
    if (plausibility === 'no_id') return this.refuse('no_id', request, from)
    if (!peers.isAllowed(request)) return this.refuse('not_allowed', request, from)
    if (!blocker.allows(from.source ?? clientKey(from.host), request.id, now)) return this.refuse('blocked', request, from)
    const peer = this.#turns.has(request.id) ? undefined : peers.get(request.id)
    if (peer !== undefined) {
      const decision = decideKey(peer, request, from.host, now)
      if (decision !== 'new' && decision !== 'changed') return this.#settle(peer, decision, from, now)
    }
    return this.#inTurn(request, from)
  }

  /** Counts a registration that is refused. */
  refuse (reason: RegistrationRefusal, { id }: Pick<KeyRequest, 'id'>, from: Registering): RegisterResultCode {
    const { totals, refusals, peers } = this.#context
    totals.refusedRegistrations[reason]++
    refusals.add({ reason, way: from.way, client: from, source: from.source, id })
    if (reason !== 'no_id') this.#note(id, from, { kind: 'refused', what: reason }, peers.get(id) !== undefined)
    return REFUSED[reason]
  }

  #inTurn ({ id, uuid, pk }: KeyRequest, from: Registering): Promise<RegisterResultCode> | undefined {
    const turns = this.#turns.get(id) ?? { waiting: 0, last: Promise.resolve() }
    if (turns.waiting >= MOST_OF_ID || this.#waiting >= MOST_WAITING) {
      this.#context.totals.drops.busy++
      return undefined
    }
    const request = { id, uuid: Uint8Array.from(uuid), pk: Uint8Array.from(pk) } // the memory of a datagram is used again
    this.#turns.set(id, turns)
    turns.waiting++
    this.#waiting++
    const registering = turns.last.then(() => this.#store(request, from)).finally(() => {
      this.#waiting--
      if (--turns.waiting === 0) this.#turns.delete(id)
    })
    turns.last = registering
    return registering
  }

  /** Never rejects. */
  async #store (request: KeyRequest, from: Registering): Promise<RegisterResultCode> {
    const { peers, store, changes, totals, clock } = this.#context
    const { id, uuid, pk } = request
    const ip = from.host
    try {
      const known = await peers.find(id, clock.now())
      const now = clock.now()
      const decision = decideKey(known, request, ip, now)
      if (known !== undefined && decision !== 'new' && decision !== 'changed') return this.#settle(known, decision, from, now)
      if (known === undefined && !peers.hasRoom(ip, now)) return this.refuse('full', request, from)
      if (known !== undefined) countKey(known, now)
      if (decision === 'changed' && known?.ip !== ip) changes.add(id, ip, now)
      await store.put({ id, uuid, pk, ip })
      totals.stored++
      return this.#stored(request, from)
    } catch (err) {
      return this.refuse(REFUSED_BY_STORE[String((err as { code?: unknown }).code)] ?? 'store', request, from) // the store logs its faults
    }
  }

  #stored ({ id, uuid, pk }: KeyRequest, from: Registering): RegisterResultCode {
    const { peers, clock } = this.#context
    const { host: ip } = from
    const now = clock.now()
    if (!peers.isAllowed({ id, pk })) return this.refuse('not_allowed', { id }, from) // not any more
    const isNew = peers.get(id) === undefined
    const peer = peers.add({ id, uuid, pk, ip }, now)
    if (peer === undefined) return this.refuse('full', { id }, from)
    if (isNew) countKey(peer, now)
    else peers.identify(peer, { uuid, pk, ip })
    return this.#registered(peer, from, now)
  }

  /** Nothing is written. */
  #settle (peer: Peer, decision: Exclude<KeyDecision, 'new' | 'changed'>, from: Registering, now: number): RegisterResultCode {
    if (decision !== 'same') return this.refuse(decision, peer, from)
    countKey(peer, now)
    return this.#registered(peer, from, now) // after a restart as well, where the original leaves it offline until it is heard again
  }

  #registered (peer: Peer, from: Registering, now: number): RegisterResultCode {
    peer.heard(from.host, from.port, now)
    this.#context.totals.registered++
    this.#note(peer.id, from, { kind: 'registered' }, true)
    return RegisterResult.ok
  }

  #note (id: string, from: Registering, step: Pick<PeerStep, 'kind' | 'what'>, isPeer: boolean): void {
    const { steps, clock } = this.#context
    steps.add(id, { at: clock.date(), address: remoteText(from), way: from.way, ...step }, isPeer)
  }
}

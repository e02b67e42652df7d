/** Registers keys of peers: decides, and answers once the peer is in the store. */
import { Peer } from './peer.ts'
import { countKey, decideKey, plausibilityOf, type KeyDecision, type KeyRequest } from './registration.ts'
import type { RendezvousState } from './state.ts'
import type { RegistrationRefusal } from './stats.ts'
import { RegisterResult } from '../protocol/enums.ts'
import { clientKey } from '../../../net/client-address.ts'
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
type Context = Pick<RendezvousState, 'clock' | 'totals' | 'store' | 'peers' | 'blocker' | 'changes'>

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
   * @param from the address of the peer, folded
   * @param now milliseconds of a monotonic clock
   * @param source whom it counts for, see `clientKey`
   * @returns the result, once the peer is in the store; undefined: no answer
   */
  register (request: KeyRequest, from: Endpoint, now: number, source = clientKey(from.host)): RegisterResultCode | undefined | Promise<RegisterResultCode> {
    const { totals, blocker, peers } = this.#context
    const plausibility = plausibilityOf(request)
    if (plausibility === 'ignored') {
      totals.drops.empty++
      return undefined
    }
    if (plausibility === 'no_id') return this.refuse('no_id')
    if (!peers.isAllowed(request)) return this.refuse('not_allowed')
    if (!blocker.allows(source, request.id, now)) return this.refuse('blocked')
    const peer = this.#turns.has(request.id) ? undefined : peers.get(request.id)
    if (peer !== undefined) {
      const decision = decideKey(peer, request, from.host, now)
      if (decision !== 'new' && decision !== 'changed') return this.#settle(peer, decision, from, now)
    }
    return this.#inTurn(request, from)
  }

  /** Counts a registration that is refused. */
  refuse (reason: RegistrationRefusal): RegisterResultCode {
    this.#context.totals.refusedRegistrations[reason]++
    return REFUSED[reason]
  }

  #inTurn ({ id, uuid, pk }: KeyRequest, from: Endpoint): Promise<RegisterResultCode> | undefined {
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
  async #store (request: KeyRequest, from: Endpoint): Promise<RegisterResultCode> {
    const { peers, store, changes, totals, clock } = this.#context
    const { id, uuid, pk } = request
    const ip = from.host
    try {
      const known = await peers.find(id, clock.now())
      const now = clock.now()
      const decision = decideKey(known, request, ip, now)
      if (known !== undefined && decision !== 'new' && decision !== 'changed') return this.#settle(known, decision, from, now)
      if (known === undefined && !peers.hasRoom(ip, now)) return this.refuse('full')
      if (known !== undefined) countKey(known, now)
      if (decision === 'changed' && known?.ip !== ip) changes.add(id, ip, now)
      await store.put({ id, uuid, pk, ip })
      totals.stored++
      return this.#stored(request, from)
    } catch (err) {
      return this.refuse(REFUSED_BY_STORE[String((err as { code?: unknown }).code)] ?? 'store') // the store logs its faults
    }
  }

  #stored ({ id, uuid, pk }: KeyRequest, { host, port }: Endpoint): RegisterResultCode {
    const { peers, totals, clock } = this.#context
    const now = clock.now()
    if (!peers.isAllowed({ id, pk })) return this.refuse('not_allowed') // not any more
    const isNew = peers.get(id) === undefined
    const peer = peers.add({ id, uuid, pk, ip: host }, now)
    if (peer === undefined) return this.refuse('full')
    if (isNew) countKey(peer, now)
    else peers.identify(peer, { uuid, pk, ip: host })
    peer.heard(host, port, now)
    totals.registered++
    return RegisterResult.ok
  }

  /** Nothing is written. */
  #settle (peer: Peer, decision: Exclude<KeyDecision, 'new' | 'changed'>, { host, port }: Endpoint, now: number): RegisterResultCode {
    if (decision !== 'same') return this.refuse(decision)
    countKey(peer, now)
    peer.heard(host, port, now) // after a restart as well, where the original leaves it offline until it is heard again
    this.#context.totals.registered++
    return RegisterResult.ok
  }
}

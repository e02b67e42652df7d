/** T's side of a path: asked by a helper of its own, or by R itself (SHOW CHAIN protocol, sections 3.2, 5.2 and 5.3). */
import { KeyedTokenBuckets } from '../../../limits/keyed-token-buckets.ts'
import { endpointText } from '../../../net/endpoint.ts'
import type { NatKind } from '../../../nat/index.ts'
import type { Clock, Endpoint, Timer } from '../../../types.ts'
import { addressBytes, addressText } from '../protocol/addresses.ts'
import type { Cookies } from '../protocol/cookies.ts'
import type { ShowchainMessage } from '../protocol/messages.ts'
import { Op } from '../protocol/op.ts'
import { idKey } from '../protocol/public-keys.ts'
import type { Incoming } from '../protocol/requests.ts'
import type { Helper } from './helpers.ts'
import type { History } from '../../common/history.ts'

/** Milliseconds after the first 0x113 at which it is repeated. */
const REPEATS = [500, 1000, 2000]

/** Endpoints that 0x113 are sent to at one time. */
const MAX_PUNCHES = 256

/** Introductions by one helper, and of one R; requests of one R. */
const BY_HELPER = { rate: 20, burst: 60, maxKeys: 64 }
const OF_REQUESTER = { rate: 2, burst: 12, maxKeys: 4096 }
const REQUESTS = { rate: 4, burst: 16, maxKeys: 4096 }

/** Why a message is not looked at any further. */
export type AcceptorDrop =
  | 'not allowed' // R may not connect
  | 'not a helper' // an introduction by somebody with whom this node is not registered
  | 'not for this node'
  | 'too many' // of one R, or by one helper
  | 'challenged' // without a valid cookie; answered by a challenge

export interface AcceptorInit {
  clock: Clock
  /** The own id, 32 bytes, and the own key as DER. */
  identity: { readonly id: Uint8Array, readonly der: Uint8Array }
  cookies: Cookies
  helperAt (from: Endpoint): Helper | undefined
  isAllowed (id: Uint8Array): boolean
  ownKind (): NatKind | undefined
  /** Signs what is to be signed, and sends it. */
  send (message: ShowchainMessage, to: Endpoint): unknown
  historyOf (id: Uint8Array): History | undefined
  /** R is at this endpoint, as it has proven. */
  onRequester (id: Uint8Array, from: Endpoint): void
}

/** 0x113 to one endpoint of R. */
interface Punch {
  readonly requester: string
  timer: Timer | undefined
}

export class Acceptor {
  readonly #init: AcceptorInit
  readonly #punches = new Map<string, Punch>()
  readonly #byHelper = new KeyedTokenBuckets(BY_HELPER)
  readonly #ofRequester = new KeyedTokenBuckets(OF_REQUESTER)
  readonly #requests = new KeyedTokenBuckets(REQUESTS)

  constructor (init: AcceptorInit) {
    this.#init = init
  }

  /** Endpoints that 0x113 are sent to now. */
  get punches (): number { return this.#punches.size }

  /** Before a 0x101 or a 0x112 is verified: what speaks against it. Answers a 0x101 without a cookie by a challenge. */
  refusal ({ message, from }: Incoming): AcceptorDrop | undefined {
    const { clock, identity, cookies, helperAt, isAllowed } = this.#init
    const { op, id, target, cookie } = message
    if (id === undefined || target === undefined || Buffer.compare(target, identity.id) !== 0) return 'not for this node'
    const helper = op === Op.passRequest ? helperAt(from) : undefined
    if (op === Op.passRequest && helper === undefined) return 'not a helper'
    if (!isAllowed(id)) return 'not allowed'
    if (helper !== undefined || cookies.check(cookie, from, clock.now())) return undefined
    this.#challenge(message, from)
    return 'challenged'
  }

  /** Takes a 0x101 or a 0x112 whose signature holds: only now it counts, as anybody can send one that names R. @returns why it is not answered */
  accept ({ message, from }: Incoming): AcceptorDrop | undefined {
    const id = message.id as Uint8Array
    const now = this.#init.clock.now()
    if (!this.#init.isAllowed(id)) return 'not allowed' // that may have changed meanwhile
    if (message.op === Op.directRequest) {
      if (!this.#requests.take(idKey(id), now)) return 'too many'
      this.#requested(message, from)
    } else {
      if (!this.#byHelper.take(endpointText(from), now) || !this.#ofRequester.take(idKey(id), now)) return 'too many'
      this.#introduced(message, from)
    }
  }

  /** Nothing more is sent to this R, or to anybody. */
  stop (requester?: Uint8Array): void {
    const key = requester === undefined ? undefined : idKey(requester)
    for (const [name, punch] of this.#punches) if (key === undefined || punch.requester === key) this.#end(name, punch)
  }

  #challenge ({ seq }: ShowchainMessage, from: Endpoint): void {
    const { clock, cookies, send } = this.#init
    send({ op: Op.directResponse, seq, ts: Math.floor(clock.date()), ...seenAt(from), cookie: cookies.make(from, clock.now()) }, from)
  }

  #requested ({ id, seq, ts }: ShowchainMessage, from: Endpoint): void {
    const { identity: { id: own, der: key }, send, onRequester, historyOf } = this.#init
    if (id === undefined) return
    this.stop(id)
    historyOf(id)?.add(`asks from ${endpointText(from)}, and is answered`)
    onRequester(Uint8Array.from(id), { host: from.host, port: from.port })
    send({ op: Op.directResponse, id: own, seq, ts, key, ...seenAt(from) }, from)
  }

  #introduced ({ id, seq, ts, session, ip, port }: ShowchainMessage, helper: Endpoint): void {
    const { clock, identity: { id: own, der: key }, cookies, send, ownKind, historyOf } = this.#init
    if (id === undefined || session === undefined || ip === undefined || port === undefined) return
    const to = { host: addressText(ip), port }
    const kind = ownKind()
    send({ op: Op.responseAck, id: own, seq, ts, session: Uint8Array.from(session), key, kind }, helper)
    const requester = idKey(id)
    const name = requester + endpointText(to)
    const before = this.#punches.get(name)
    if (before !== undefined) this.#end(name, before)
    if (this.#punches.size >= MAX_PUNCHES) return
    historyOf(id)?.add(`asks by the helper ${endpointText(helper)}: ${endpointText(to)} is sent responses`)
    const response = { op: Op.response, id: own, target: Uint8Array.from(id), seq, ts, key, kind, cookie: cookies.make(to, clock.now()) }
    const punch: Punch = { requester, timer: undefined }
    this.#punches.set(name, punch)
    let sent = 0
    const next = (): void => {
      send(response, to)
      const wait = (REPEATS[sent] ?? 0) - (REPEATS[sent - 1] ?? 0)
      if (sent++ < REPEATS.length) punch.timer = clock.set(wait, next)
      else this.#end(name, punch)
    }
    next()
  }

  #end (name: string, punch: Punch): void {
    this.#init.clock.clear(punch.timer)
    if (this.#punches.get(name) === punch) this.#punches.delete(name)
  }
}

/** ip and port of a message. */
const seenAt = ({ host, port }: Endpoint): Pick<ShowchainMessage, 'ip' | 'port'> => ({ ip: addressBytes(host), port })

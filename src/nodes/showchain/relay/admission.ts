/** What is checked of a message before its signature, in the order of cost (SHOW CHAIN protocol, sections 3.1 and 3.3). */
import type { Budgets } from './budgets.ts'
import { answeredRequest } from './introductions.ts'
import type { RelayState } from './state.ts'
import type { RelayDrop } from './stats.ts'
import type { Endpoint } from '../../../types.ts'
import type { ShowchainMessage } from '../protocol/messages.ts'
import { Op } from '../protocol/op.ts'
import type { Received } from '../protocol/pipeline.ts'
import { isUnknown } from '../protocol/public-key.ts'

/** A message goes on to be verified, is answered by a challenge, or dropped. */
export type Admission = 'verify' | 'challenge' | RelayDrop

/** Verifications that one 0x112 is worth: that of its answer, and one that somebody else has sent. */
const TRIES = 2

export class Admissions {
  readonly #state: RelayState
  readonly #budgets: Budgets
  readonly #hasCookie: (message: ShowchainMessage, from: Endpoint) => boolean

  /** @param hasCookie whether a request has a cookie that is valid for its sender */
  constructor (state: RelayState, budgets: Budgets, hasCookie: (message: ShowchainMessage, from: Endpoint) => boolean) {
    this.#state = state
    this.#budgets = budgets
    this.#hasCookie = hasCookie
  }

  /** @param date milliseconds since 1970 */
  check (received: Received, date: number): Admission {
    const { message } = received
    switch (message.op) {
      case Op.directRequest:
      case Op.natRequest:
      case Op.proxyRequest: return this.#request(received, date)
      case Op.responseAck: return this.#ack(received, date)
      case Op.dataRequest: return message.dataHash === undefined && !this.#state.settings.pageSignatures ? 'hash' : 'verify' // all else is checked elsewhere
      case Op.keepAlive: return 'verify'
      default: return 'unexpected'
    }
  }

  #request (received: Received, date: number): Admission {
    const { message, from, source, at } = received
    const { settings: { proxy } } = this.#state
    if (message.op === Op.proxyRequest && !proxy) return 'off'
    if (!this.#hasCookie(message, from)) return 'challenge'
    if (!this.#isFresh(message, date)) return 'stale'
    const refusal = this.#refusal(received)
    if (refusal !== undefined) return refusal
    if (!this.#budgets.takeRequest(source, at)) return 'source'
    if (this.#state.registrations.get(received.idKey) === undefined && !this.#budgets.takeNewcomer(source, at)) return 'source'
    const isSigned = message.op !== Op.natRequest || received.targetKey === this.#state.ownKey
    return !isSigned || this.#budgets.takeAnswer(source, at) ? 'verify' : 'answers'
  }

  #refusal (received: Received): RelayDrop | undefined {
    const { message: { op, id, target, seq, ephemeral }, from, source, at, idKey, targetKey } = received
    const { ownKey, registrations, introductions, sessions, settings: { pageSignatures } } = this.#state
    if (op === Op.directRequest) {
      const sender = id as Uint8Array
      if (isUnknown(target as Uint8Array)) return undefined
      if (targetKey !== ownKey) return 'target'
      if (registrations.isOlder(sender, from, seq)) return 'replay'
      return registrations.hasRoom(sender, source) ? undefined : 'full'
    }
    if (idKey === targetKey) return 'target'
    if (op === Op.natRequest && targetKey === ownKey) return undefined
    const node = registrations.get(targetKey)
    if (node === undefined) return 'target'
    if (op === Op.natRequest) return introductions.refusal(idKey, node, source, at)
    const requester = registrations.get(idKey)
    if (requester === undefined || requester.host !== from.host || requester.port !== from.port) return 'unregistered'
    if (ephemeral !== undefined && pageSignatures) return 'extension'
    return sessions.refusal(requester, node)
  }

  /** Only T itself knows the session, or who sees its datagrams: that costs no budget of anybody. */
  #ack ({ message, from: { host, port }, idKey, sessionKey }: Received, date: number): Admission {
    const introduction = this.#state.introductions.find(sessionKey)
    const request = introduction === undefined ? undefined : answeredRequest(introduction, message)
    if (introduction === undefined || request === undefined) return 'session'
    const { target } = introduction
    if (target.isGone || target.host !== host || target.port !== port) return 'endpoint'
    if (idKey !== target.idKey) return 'id'
    if (!this.#isFresh(message, date)) return 'stale'
    if (request.isAnswered) return 'replay'
    return introduction.tries++ < TRIES * introduction.requests.length ? 'verify' : 'session'
  }

  #isFresh ({ ts }: ShowchainMessage, date: number): boolean { return Math.abs(date - ts) <= this.#state.settings.freshness }
}

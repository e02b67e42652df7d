/** Serves requests whose signatures hold (SHOW CHAIN protocol, sections 4.1, 5.1, 5.3 and 6.1). */
import type { Budgets } from './budgets.ts'
import type { StepFacts, StepWords } from './history.ts'
import { answeredRequest } from './introductions.ts'
import { RandomIds } from './random-ids.ts'
import type { Registration } from './registrations.ts'
import type { AgreedKey, End, ProxySession } from './sessions.ts'
import type { RelayState } from './state.ts'
import { ANSWERED, ASKED, GOT_ANSWER, IS_SENT_TO, REGISTERED, REGISTERED_AGAIN, SENDS, TOLD } from './steps.ts'
import type { RelayDrop } from './stats.ts'
import type { Sha256 } from '../../../crypto/index.ts'
import type { Endpoint } from '../../../types.ts'
import { addressBytes } from '../protocol/addresses.ts'
import { SESSION_BYTES } from '../protocol/field-table.ts'
import { EphemeralKey, proxyKey } from '../protocol/key-agreement.ts'
import type { ShowchainMessage } from '../protocol/messages.ts'
import { Op } from '../protocol/op.ts'
import type { Received } from '../protocol/pipeline.ts'
import { isUnknown } from '../protocol/public-key.ts'

/** NAT kind of a helper. */
const T1 = 1

/** A request as it was decoded. */
type RequestMessage = ShowchainMessage & Required<Pick<ShowchainMessage, 'id' | 'target' | 'sign' | 'key'>>
type Request = Received & { readonly message: RequestMessage }

export interface RequestsInit {
  state: RelayState
  budgets: Budgets
  sha256: Sha256
  /** Signs a message, where it has to be and is not, and sends it; the second one from another port of the same address. */
  send: (message: ShowchainMessage, to: Endpoint) => void
  sendFromSecond: (message: ShowchainMessage, to: Endpoint) => void
  /** Where this relay is, for who asks for it. */
  own: Endpoint
  /** A cookie for who is there. */
  cookieFor: (to: Endpoint) => Uint8Array
}

export class Requests {
  readonly #init: RequestsInit
  readonly #ids = new RandomIds(SESSION_BYTES)

  constructor (init: RequestsInit) { this.#init = init }

  /** Answers by a challenge (SHOW CHAIN protocol, section 3.3). */
  challenge ({ seq }: ShowchainMessage, from: Endpoint, date: number): void {
    const { state: { counters }, cookieFor, send } = this.#init
    counters.challenges++
    send({ op: Op.directResponse, seq, ts: Math.floor(date), ip: addressBytes(from.host), port: from.port, cookie: cookieFor(from) }, from)
  }

  /** A 0x100 of a node at its endpoint is answered, unless it was just now. */
  keepAlive ({ id }: ShowchainMessage, from: Endpoint, now: number): RelayDrop | undefined {
    const { registrations, ownId } = this.#init.state
    const node = registrations.heard(id as Uint8Array, from, now)
    if (node === undefined) return 'unregistered'
    if (registrations.answers(node, now)) this.#init.send({ op: Op.keepAlive, id: ownId, seq: 0, ts: 0, ip: addressBytes(from.host), port: from.port }, from)
  }

  /** @returns why it was dropped */
  serve (received: Received): RelayDrop | undefined {
    switch (received.message.op) {
      case Op.directRequest: return this.#register(received as Request)
      case Op.natRequest: return this.#introduce(received as Request)
      case Op.responseAck: return this.#answer(received as Request)
      case Op.proxyRequest: return this.#open(received as Request)
      default: return 'unexpected'
    }
  }

  #register ({ message: { id, target, seq, ts, key, kind = 0 }, from, source, at }: Request): RelayDrop | undefined {
    const { state: { registrations, counters, ownId }, cookieFor, send } = this.#init
    if (!isUnknown(target)) {
      if (registrations.isOlder(id, from, seq)) return 'replay' // another one was verified in between
      const before = registrations.find(id)
      const words = before !== undefined && before.host === from.host && before.port === from.port ? REGISTERED_AGAIN : REGISTERED
      const node = registrations.register(id, key, from, source, kind, at)
      if (node === undefined) return 'full'
      node.seq = Math.max(node.seq, seq)
      counters.registered++
      this.#note(node.idKey, words, { endpoint: endpointOf(from), kind })
    }
    send({ op: Op.directResponse, id: ownId, seq, ts, ip: addressBytes(from.host), port: from.port, cookie: cookieFor(from) }, from)
  }

  #introduce (received: Request): RelayDrop | undefined {
    const { message: { id, target, seq, ts, sign, key, kind }, from, source, at } = received
    const { state: { registrations, introductions, counters, ownKey }, budgets, send } = this.#init
    if (received.targetKey === ownKey) {
      this.#answerForItself({ id, seq, ts }, from)
      return undefined
    }
    const node = registrations.get(received.targetKey)
    if (node === undefined) return 'target'
    if (!budgets.takeIntroduction(node.idKey, source, at)) return 'introductions'
    const introduction = introductions.pass(received.idKey, node, { endpoint: from, source, seq, ts }, at)
    if (typeof introduction === 'string') return introduction
    counters.introduced++
    send({ op: Op.passRequest, id, target, seq, ts, session: introduction.session, ip: addressBytes(from.host), port: from.port, sign, key, kind }, node)
    const { requester } = introduction
    this.#note(node.idKey, TOLD, { other: requester, endpoint: from })
    if (registrations.get(requester) !== undefined) this.#note(requester, ASKED, { other: node.idKey })
  }

  #answer ({ message: { id, seq, ts, session, sign, key, kind }, sessionKey }: Request): RelayDrop | undefined {
    const { introductions, counters, registrations } = this.#init.state
    const introduction = introductions.find(sessionKey)
    const request = introduction === undefined ? undefined : answeredRequest(introduction, { seq, ts })
    if (introduction === undefined || request === undefined) return 'session'
    if (request.isAnswered) return 'replay'
    const { target, requester } = introduction
    const { endpoint } = request
    introductions.answered(introduction, request)
    counters.answered++
    this.#init.send({ op: Op.passResponseAck, id, seq, ts, session, ip: addressBytes(target.host), port: target.port, sign, key, kind: kind ?? target.kind }, endpoint)
    this.#note(target.idKey, ANSWERED, { endpoint })
    if (registrations.get(requester) !== undefined) this.#note(requester, GOT_ANSWER, { other: target.idKey, endpoint: endpointOf(target) })
  }

  /** For the test of section 4.1: 0x113 from another port, and 0x115 as after a 0x114 of its own. */
  #answerForItself ({ id, seq, ts }: Pick<RequestMessage, 'id' | 'seq' | 'ts'>, from: Endpoint): void {
    const { state: { ownId, counters }, sendFromSecond, send, own, cookieFor } = this.#init
    counters.natAnswers++
    sendFromSecond({ op: Op.response, id: ownId, target: Uint8Array.from(id), seq, ts, kind: T1, cookie: cookieFor(from) }, from)
    send({ op: Op.passResponseAck, id: ownId, seq, ts, session: this.#ids.next(), ip: addressBytes(own.host), port: own.port, kind: T1 }, from)
  }

  #open ({ message: { target, seq, ts, ephemeral }, idKey, targetKey, from, at }: Request): RelayDrop | undefined {
    const { registrations, sessions, counters, ownId } = this.#init.state
    const [requester, wanted] = [registrations.get(idKey), registrations.get(targetKey)]
    if (requester === undefined || requester.host !== from.host || requester.port !== from.port) return 'unregistered'
    if (wanted === undefined) return 'target'
    const isNew = sessions.ofPair(requester, wanted) === undefined
    const session = sessions.open(requester, wanted, at)
    if (typeof session === 'string') return session
    if (isNew) {
      counters.opened++
      this.#noteSession(requester, wanted)
    }
    const own = ephemeral === undefined ? undefined : this.#agree(session, requester, ephemeral, ownId)
    if (ephemeral !== undefined && own === undefined) return 'extension'
    this.#init.send({ op: Op.proxyResponse, target: Uint8Array.from(target), session: session.id, seq, ts, ephemeral: own }, from)
  }

  /** The same key of an end gives the same answer, as more than one may be under way. */
  #agree (session: ProxySession, requester: Registration, ephemeral: Uint8Array, proxyId: Uint8Array): Uint8Array | undefined {
    const end = session.ends.find(({ registration }) => registration.idKey === requester.idKey) as End
    for (const agreed of [end.agreed, end.agreedBefore]) if (agreed !== undefined && Buffer.compare(agreed.ephemeral, ephemeral) === 0) return agreed.own
    const own = new EphemeralKey()
    const secret = own.agree(ephemeral)
    if (secret === undefined) return undefined
    const key = proxyKey({ secret, session: session.id, requester: { id: requester.id, ephemeral }, proxy: { id: proxyId, ephemeral: own.publicKey } })
    const agreed: AgreedKey = { ephemeral: Uint8Array.from(ephemeral), own: own.publicKey, hmac: this.#init.sha256.hmac(key) }
    end.agreedBefore = end.agreed
    end.agreed = agreed
    return own.publicKey
  }

  #noteSession (requester: Registration, target: Registration): void {
    this.#note(requester.idKey, SENDS, { other: target.idKey })
    this.#note(target.idKey, IS_SENT_TO, { other: requester.idKey })
  }

  #note (key: string, words: StepWords, facts: StepFacts): void {
    const { histories, clock } = this.#init.state
    histories.add(key, clock.date(), words, facts)
  }
}

const endpointOf = ({ host, port }: Endpoint): Endpoint => ({ host, port })

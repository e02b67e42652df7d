/** Data between the ends of sessions (SHOW CHAIN protocol, section 6.2). Messages are read and passed on as bytes, without an object for each. */
import type { RelayState } from './state.ts'
import { endAt, otherOf, type End, type ProxySession } from './sessions.ts'
import { PassWindow } from './pass-window.ts'
import type { Registration } from './registrations.ts'
import type { RelayDrop } from './stats.ts'
import type { Sha256 } from '../../../crypto/index.ts'
import type { Datagram, Endpoint } from '../../../types.ts'
import { CoveredData } from '../protocol/covered-data.ts'
import { DataFields, isAt, lowOf, OP_AT } from '../protocol/data-fields.ts'
import { HMAC_BYTES } from '../protocol/field-table.ts'
import { encodeMessage, readMessage, type ShowchainMessage } from '../protocol/messages.ts'
import { Op } from '../protocol/op.ts'

/** Bytes of a 0x124 around its data, so that many short ones are bounded as well. */
const AROUND_DATA = 142

const PASS_DATA = lowOf(Op.passData)

export class ProxyTraffic {
  readonly #state: RelayState
  readonly #covered: CoveredData
  /** Of the message that is looked at. */
  readonly #fields = new DataFields()
  /** The session and the sender of that. */
  #session: ProxySession | undefined
  #from: End | undefined

  constructor (state: RelayState, sha256: Sha256) {
    this.#state = state
    this.#covered = new CoveredData(sha256)
  }

  /**
   * Takes a 0x123 or a 0x125, which is passed on or dropped.
   *
   * @param now milliseconds of the monotonic clock; `date` since 1970
   * @returns false when it is none, or when its signature has to be verified first; then `verified` passes it on
   */
  take ({ data, host, port }: Datagram, now: number, date: number): boolean {
    const bytes = this.#read(data)
    if (bytes === undefined || this.#fields.op === Op.passData) return false
    const result = this.#fields.op === Op.dataAck ? this.#ack(bytes, host, port, now) : this.#check(bytes, host, port, now, date)
    if (result === 'signed') return false
    if (result !== undefined) this.#state.counters.drops[result]++
    return true
  }

  /** Who may have signed a 0x123: the end that has this id, and sends from there. */
  senderOf (message: ShowchainMessage, { host, port }: Endpoint): Registration | undefined {
    const bytes = encodeMessage(message)
    return this.#fields.read(bytes) && this.#find(bytes, host, port) === undefined ? this.#from?.registration : undefined
  }

  /** A 0x123 whose signature was verified. Time has passed, so what does not cost is checked again. */
  verified (message: ShowchainMessage, { host, port }: Endpoint, now: number): void {
    const bytes = encodeMessage(message)
    if (!this.#fields.read(bytes)) return
    const refusal = this.#find(bytes, host, port) ?? this.#pass(bytes, now)
    if (refusal !== undefined) this.#state.counters.drops[refusal]++
  }

  /** Reads a message, written anew where it is not as writers write it. Undefined: it is none of data. */
  #read (datagram: Uint8Array): Uint8Array | undefined {
    if (this.#fields.read(datagram)) return datagram
    const message = readMessage(datagram)
    if (typeof message === 'string') return undefined // it is counted with others
    const bytes = encodeMessage(message)
    return this.#fields.read(bytes) ? bytes : undefined
  }

  /** A 0x125, which goes to the other end. */
  #ack (bytes: Uint8Array, host: string, port: number, now: number): RelayDrop | undefined {
    const { counters, sessions, outbox } = this.#state
    const session = sessions.find(bytes, this.#fields.session)
    if (session === undefined) return 'session'
    const [requester, target] = session.ends
    const from = this.#isAt(target, host, port) ? target : this.#isAt(requester, host, port) ? requester : undefined
    if (from === undefined) return 'endpoint'
    const to = otherOf(session, from)
    if (!this.#isThere(to)) return 'target'
    from.takesPart = true
    if (!takeBytes(session, from, bytes.length, now)) return 'rate'
    counters.acknowledged++
    outbox.add(bytes, to.registration)
  }

  #check (bytes: Uint8Array, host: string, port: number, now: number, date: number): RelayDrop | 'signed' | undefined {
    const { settings: { freshness, pageSignatures } } = this.#state
    const { seq, ts, signLength, dataHash } = this.#fields
    const unknown = this.#find(bytes, host, port)
    if (unknown !== undefined) return unknown
    if (Math.abs(date - ts) > freshness) return 'stale'
    const end = this.#from as End
    const refusal = end.window?.refusal(seq, now)
    if (refusal !== undefined) return refusal
    if (dataHash === 0 && !pageSignatures) return 'hash'
    if (signLength !== HMAC_BYTES) return 'signed'
    if (!this.#covered.hasHash(bytes, this.#fields)) return 'hash'
    if (pageSignatures || !this.#isAuthentic(end, bytes)) return 'hmac'
    return this.#pass(bytes, now)
  }

  #isAuthentic ({ agreed, agreedBefore }: End, bytes: Uint8Array): boolean {
    const [covered, fields] = [this.#covered, this.#fields]
    return (agreed !== undefined && covered.hasHmac(agreed.hmac, bytes, fields)) || (agreedBefore !== undefined && covered.hasHmac(agreedBefore.hmac, bytes, fields))
  }

  /** Finds the session of a 0x123 and its sender. Returns why there is none. */
  #find (bytes: Uint8Array, host: string, port: number): RelayDrop | undefined {
    const { id, target, session: sessionAt } = this.#fields
    const session = this.#session = this.#state.sessions.find(bytes, sessionAt)
    if (session === undefined) return 'session'
    const from = this.#from = endAt(session, bytes, id)
    if (from === undefined || !isAt(bytes, target, otherOf(session, from).registration.id)) return 'session'
    return this.#isAt(from, host, port) ? undefined : 'endpoint'
  }

  /** Passes a 0x123 on, of which `#find` has found the session. */
  #pass (bytes: Uint8Array, now: number): RelayDrop | undefined {
    const { counters, outbox } = this.#state
    const { seq, dataLength, dataEnd, signEnd } = this.#fields
    const [session, from] = [this.#session as ProxySession, this.#from as End]
    const to = otherOf(session, from)
    from.window ??= new PassWindow(now)
    const refusal = from.window.refusal(seq, now)
    if (refusal !== undefined) return refusal
    if (!this.#isThere(to)) return 'target'
    const count = dataLength + AROUND_DATA
    from.takesPart = true
    if (!to.takesPart) session.unwanted.refill(now)
    if (!to.takesPart && !session.unwanted.has(count)) return 'rate'
    if (!takeBytes(session, from, count, now)) return 'rate'
    if (!to.takesPart) session.unwanted.take(count)
    session.heardAt = now
    if (!from.window.pass(seq, now)) counters.passedAgain++
    counters.passed++
    counters.passedBytes += dataLength
    // A 0x124 is a 0x123 with another op code, and without `sign`.
    const at = outbox.add(bytes, to.registration, bytes.length - (signEnd - dataEnd))
    outbox.memory[at + OP_AT] = PASS_DATA
    outbox.memory.copyWithin(at + dataEnd, at + signEnd, at + bytes.length)
  }

  /** A node that was gone and has registered anew is another registration. */
  #isThere (end: End): boolean {
    if (!end.registration.isGone) return true
    const registration = this.#state.registrations.find(end.registration.id)
    if (registration === undefined) return false
    end.registration = registration
    return true
  }

  #isAt (end: End, host: string, port: number): boolean {
    return this.#isThere(end) && end.registration.port === port && end.registration.host === host
  }
}

/** All of them, or none. */
function takeBytes ({ bytes: session }: ProxySession, { sender: { bytes: sender }, address: { bytes: address } }: End, count: number, now: number): boolean {
  session.refill(now)
  sender.refill(now)
  address.refill(now)
  return session.has(count) && address.has(count) && sender.take(count) && session.take(count) && address.take(count)
}

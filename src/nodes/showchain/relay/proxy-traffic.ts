/** Data between the ends of sessions (SHOW CHAIN protocol, section 6.2). */
import type { RelayState } from './state.ts'
import { endsOf, type End, type ProxySession } from './sessions.ts'
import { PassWindow } from './pass-window.ts'
import type { Registration } from './registrations.ts'
import type { RelayDrop } from './stats.ts'
import type { Sha256 } from '../../../crypto/index.ts'
import type { Endpoint } from '../../../types.ts'
import { CoveredData } from '../protocol/covered-data.ts'
import { HMAC_BYTES } from '../protocol/field-table.ts'
import { encodeMessage, type ShowchainMessage } from '../protocol/messages.ts'
import { Op } from '../protocol/op.ts'

/** A 0x123 as it was decoded. */
type DataRequest = ShowchainMessage & Required<Pick<ShowchainMessage, 'id' | 'target' | 'session' | 'data' | 'sign'>>

/** Bytes of a 0x124 around its data, so that many short ones are bounded as well. */
const AROUND_DATA = 142

/** The two ends for one message. */
interface Way {
  readonly session: ProxySession
  readonly from: End
  readonly to: End
}

export class ProxyTraffic {
  readonly #state: RelayState
  readonly #covered: CoveredData

  constructor (state: RelayState, sha256: Sha256) {
    this.#state = state
    this.#covered = new CoveredData(sha256)
  }

  /**
   * A 0x123: it is passed on, or dropped.
   *
   * @param now milliseconds of the monotonic clock; `date` since 1970
   * @returns false when its signature has to be verified first; then `verified` passes it on
   */
  data (message: ShowchainMessage, from: Endpoint, now: number, date: number): boolean {
    const result = this.#check(message as DataRequest, from, now, date)
    if (result === 'signed') return false
    if (result !== undefined) this.#state.counters.drops[result]++
    return true
  }

  /** Who may have signed a 0x123: the end that has this id, and sends from there. */
  senderOf (message: ShowchainMessage, from: Endpoint): Registration | undefined {
    const way = this.#way(message as DataRequest, from)
    return typeof way === 'string' ? undefined : way.from.registration
  }

  /** A 0x123 whose signature was verified. Time has passed, so what does not cost is checked again. */
  verified (message: ShowchainMessage, from: Endpoint, now: number): void {
    const way = this.#way(message as DataRequest, from)
    const refusal = typeof way === 'string' ? way : this.#pass(message as DataRequest, way, now)
    if (refusal !== undefined) this.#state.counters.drops[refusal]++
  }

  /** A 0x125, which goes to the other end. @returns why it was dropped */
  ack ({ session: id, seq, ts, data: arrived }: ShowchainMessage, { host, port }: Endpoint, now: number): RelayDrop | undefined {
    const { counters, sessions, outbox } = this.#state
    const session = sessions.find(id as Uint8Array)
    if (session === undefined) return 'session'
    const [requester, target] = session.ends
    const from = this.#isAt(target, host, port) ? target : this.#isAt(requester, host, port) ? requester : undefined
    if (from === undefined) return 'endpoint'
    const to = from === target ? requester : target
    if (!this.#isThere(to)) return 'target'
    const data = encodeMessage({ op: Op.dataAck, session: session.id, seq, ts, data: arrived })
    from.takesPart = true
    if (!takeBytes(session, from, data.length, now)) return 'rate'
    counters.acknowledged++
    outbox.add(data, to.registration)
  }

  #check (message: DataRequest, from: Endpoint, now: number, date: number): RelayDrop | 'signed' | undefined {
    const { settings: { freshness, pageSignatures } } = this.#state
    const way = this.#way(message, from)
    if (typeof way === 'string') return way
    const { data, dataHash, sign, seq, ts } = message
    if (Math.abs(date - ts) > freshness) return 'stale'
    const end = way.from
    const refusal = end.window?.refusal(seq, now)
    if (refusal !== undefined) return refusal
    if (dataHash === undefined && !pageSignatures) return 'hash'
    if (sign.length !== HMAC_BYTES) return 'signed'
    if (dataHash === undefined || !this.#covered.hasHash(data, dataHash)) return 'hash'
    if (pageSignatures || !this.#isAuthentic(end, message, dataHash)) return 'hmac'
    return this.#pass(message, way, now)
  }

  #isAuthentic ({ agreed, agreedBefore }: End, { target, session, seq, ts, sign }: DataRequest, dataHash: Uint8Array): boolean {
    const message = { target, session, seq, ts, sign, dataHash }
    return (agreed !== undefined && this.#covered.hasHmac(agreed.hmac, message)) || (agreedBefore !== undefined && this.#covered.hasHmac(agreedBefore.hmac, message))
  }

  #way ({ id, target, session: sessionId }: DataRequest, { host, port }: Endpoint): Way | RelayDrop {
    const session = this.#state.sessions.find(sessionId)
    if (session === undefined) return 'session'
    const ends = endsOf(session, id)
    if (ends === undefined) return 'session'
    const [from, to] = ends
    if (Buffer.compare(to.registration.id, target) !== 0) return 'session'
    if (!this.#isAt(from, host, port)) return 'endpoint'
    return { session, from, to }
  }

  #pass ({ id, target, session: sessionId, data, dataHash, seq, ts }: DataRequest, { session, from, to }: Way, now: number): RelayDrop | undefined {
    const { counters, outbox } = this.#state
    from.window ??= new PassWindow(now)
    const refusal = from.window.refusal(seq, now)
    if (refusal !== undefined) return refusal
    if (!this.#isThere(to)) return 'target'
    const count = data.length + AROUND_DATA
    from.takesPart = true
    if (!to.takesPart) session.unwanted.refill(now)
    if (!to.takesPart && !session.unwanted.has(count)) return 'rate'
    if (!takeBytes(session, from, count, now)) return 'rate'
    if (!to.takesPart) session.unwanted.take(count)
    session.heardAt = now
    if (!from.window.pass(seq, now)) counters.passedAgain++
    counters.passed++
    counters.passedBytes += data.length
    outbox.add(encodeMessage({ op: Op.passData, id, target, session: sessionId, data, dataHash, seq, ts }), to.registration)
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

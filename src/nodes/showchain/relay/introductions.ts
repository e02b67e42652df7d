/** Introductions that are under way (SHOW CHAIN protocol, section 5.3). */
import { RandomIds } from './random-ids.ts'
import { SourceCounts } from '../../../limits/source-counts.ts'
import { SESSION_BYTES } from '../protocol/field-table.ts'
import { idKey } from '../protocol/public-keys.ts'
import type { Registration } from './registrations.ts'
import type { Endpoint } from '../../../types.ts'

/** Milliseconds for which a repeated request for the same pair has the same session. */
const SAME_SESSION = 10_000

/** Milliseconds after which T answers no more. */
const LIFETIME = 20_000

/** A pair has at most so many 0x112 in so many milliseconds. */
const MAX_PASSED = 3
const PASSED_PERIOD = 5000

/** Introductions in all, and those of one address that T has not answered. */
const MAX_INTRODUCTIONS = 65_536
const MAX_UNANSWERED = 1024

/** A request of R that T was passed. */
interface Passed {
  readonly seq: number
  readonly ts: number
}

/** One that T may answer once. */
export interface PassedRequest extends Passed {
  /** Where it has come from, and its answer goes: as anybody may have sent it again, each has its own. */
  readonly endpoint: Endpoint
  isAnswered: boolean
}

export interface Introduction {
  /** 16 bytes. */
  readonly session: Uint8Array
  readonly pair: string
  /** Of the id of R. */
  readonly requester: string
  /** Of R, for limits. */
  readonly source: string
  readonly target: Registration
  readonly startedAt: number
  /** Requests that T may answer, the last one at the end. */
  readonly requests: PassedRequest[]
  /** When a 0x112 was sent. */
  readonly sentAt: number[]
  /** One of them was answered. */
  isAnswered: boolean
  /** Answers that were verified. */
  tries: number
}

/** Why R is not introduced: `repeated`, the pair has had its 0x112; `full`, too many of R's address are unanswered, or all are in use. */
export type IntroductionRefusal = 'repeated' | 'full'

export class Introductions {
  /** By pair; the session is that of the last one. */
  readonly #pairs = new Map<string, Introduction>()
  /** By session, the oldest first. */
  readonly #sessions = new Map<string, Introduction>()
  readonly #ids = new RandomIds(SESSION_BYTES)
  /** Unanswered ones. */
  readonly #unanswered = new SourceCounts()

  get size (): number { return this.#sessions.size }

  /** Before a request is verified: what would speak against it. @param requester see `idKey` */
  refusal (requester: string, target: Registration, source: string, now: number): IntroductionRefusal | undefined {
    return this.#refusal(this.#pairs.get(requester + target.idKey), source, now)
  }

  /** R asks for T, which is sent a 0x112. @param requester see `idKey` */
  pass (requester: string, target: Registration, { endpoint, source, seq, ts }: { endpoint: Endpoint, source: string, seq: number, ts: number }, now: number): Introduction | IntroductionRefusal {
    const pair = requester + target.idKey
    const known = this.#pairs.get(pair)
    const refusal = this.#refusal(known, source, now)
    if (refusal !== undefined) return refusal
    let introduction = known
    if (known === undefined || known.target !== target || now - known.startedAt >= SAME_SESSION) {
      if (this.#sessions.size >= MAX_INTRODUCTIONS) this.#forget(this.#sessions.values().next().value as Introduction)
      introduction = { session: this.#ids.next(), pair, requester, source, target, startedAt: now, requests: [], sentAt: known?.sentAt ?? [], isAnswered: false, tries: 0 }
      this.#pairs.set(pair, introduction)
      this.#sessions.set(idKey(introduction.session), introduction)
      this.#unanswered.add(source)
    }
    const { requests, sentAt } = introduction as Introduction
    requests.push({ seq, ts, endpoint, isAnswered: false })
    if (requests.length > MAX_PASSED) requests.shift()
    sentAt.push(now)
    if (sentAt.length > MAX_PASSED) sentAt.shift()
    return introduction as Introduction
  }

  /** The introduction of a session. @param session see `idKey` */
  find (session: string): Introduction | undefined { return this.#sessions.get(session) }

  /** T has answered one of the requests. */
  answered (introduction: Introduction, request: PassedRequest): void {
    request.isAnswered = true
    this.#settle(introduction)
  }

  /** Forgets what has lasted too long. */
  tick (now: number, onUnanswered: (introduction: Introduction) => void): void {
    for (const introduction of this.#sessions.values()) {
      if (now - introduction.startedAt < LIFETIME) break
      if (!introduction.isAnswered) onUnanswered(introduction)
      this.#forget(introduction)
    }
  }

  #refusal (known: Introduction | undefined, source: string, now: number): IntroductionRefusal | undefined {
    if (known !== undefined && known.sentAt.length === MAX_PASSED && now - known.sentAt[0] < PASSED_PERIOD) return 'repeated'
    return this.#unanswered.hasRoom(source, MAX_UNANSWERED) ? undefined : 'full'
  }

  #forget (introduction: Introduction): void {
    this.#settle(introduction)
    this.#sessions.delete(idKey(introduction.session))
    if (this.#pairs.get(introduction.pair) === introduction) this.#pairs.delete(introduction.pair)
  }

  /** It counts as unanswered no more. */
  #settle (introduction: Introduction): void {
    if (introduction.isAnswered) return
    introduction.isAnswered = true
    this.#unanswered.remove(introduction.source)
  }
}

/** The request of an introduction that a message answers: it repeats seq and ts. */
export const answeredRequest = ({ requests }: Introduction, { seq, ts }: Passed): PassedRequest | undefined => requests.find((passed) => passed.seq === seq && passed.ts === ts)

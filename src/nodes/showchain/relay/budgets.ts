/** How many requests of one address are served: only requests whose address is proved take from a budget (SHOW CHAIN protocol, section 3.1). */
import { KeyedTokenBuckets } from '../../../limits/keyed-token-buckets.ts'
import { SourceTokenBuckets } from '../../../limits/source-token-buckets.ts'
import { siteOf } from '../../../net/client-address.ts'

/** A budget at once, as a multiple of that of a second: requests that are verified, and those whose answers are signed. */
const REQUEST_BURST = 2
const ANSWER_BURST = 4

/**
 * Requests of ids that are not registered, as a share of those that are verified: each of them may be a new id, which is remembered for as
 * long as its requests are fresh. At once there are enough for all nodes of an address.
 */
const NEWCOMERS = 1 / 8
const NEWCOMER_BURST = 4

/** The share of the introductions to one node that those of one address may have, or of one IPv6 site. */
const SHARE = 1 / 4

export interface BudgetRates {
  readonly requestRate: number
  readonly answerRate: number
  readonly introductionRate: number
}

export class Budgets {
  #rates: BudgetRates
  #requests: SourceTokenBuckets
  #answers: SourceTokenBuckets
  #told: SourceTokenBuckets
  #introductions: KeyedTokenBuckets
  #shares: KeyedTokenBuckets
  #newcomers: SourceTokenBuckets

  constructor (rates: BudgetRates) {
    this.#rates = rates
    this.#requests = buckets(rates.requestRate, REQUEST_BURST)
    this.#newcomers = newcomers(rates)
    this.#answers = buckets(rates.answerRate, ANSWER_BURST)
    this.#told = buckets(rates.answerRate, ANSWER_BURST)
    this.#introductions = introductions(rates)
    this.#shares = shares(rates)
  }

  /** Rates that are other ones begin with full budgets. */
  configure (rates: BudgetRates): void {
    const before = this.#rates
    this.#rates = rates
    if (rates.requestRate !== before.requestRate) {
      this.#requests = buckets(rates.requestRate, REQUEST_BURST)
      this.#newcomers = newcomers(rates)
    }
    if (rates.answerRate !== before.answerRate) {
      this.#answers = buckets(rates.answerRate, ANSWER_BURST)
      this.#told = buckets(rates.answerRate, ANSWER_BURST)
    }
    if (rates.introductionRate === before.introductionRate) return
    this.#introductions = introductions(rates)
    this.#shares = shares(rates)
  }

  /** One to verify. @param source see `clientKey` */
  takeRequest (source: string, now: number): boolean { return this.#requests.take(source, now) }

  /** One of an id that is not registered. */
  takeNewcomer (source: string, now: number): boolean { return this.#newcomers.take(source, now) }

  /** One to sign. */
  takeAnswer (source: string, now: number): boolean { return this.#answers.take(source, now) }

  /** One that another helper asks for, of that helper and of the address that it tells: neither is proved, so it takes nothing of what they may ask themselves. */
  takeTold (helper: string, told: string, now: number): boolean { return this.#told.take(`by ${helper}`, now) && this.#told.take(told, now) }

  /** A 0x112 to a node. @param target a key of its id */
  takeIntroduction (target: string, source: string, now: number): boolean {
    const share = `${siteOf(source) ?? source} ${target}`
    return this.#introductions.allows(target, now) && this.#shares.take(share, now) && this.#introductions.take(target, now)
  }
}

const buckets = (rate: number, burst: number): SourceTokenBuckets => new SourceTokenBuckets({ rate, burst: rate * burst })
const introductions = ({ introductionRate: rate }: BudgetRates): KeyedTokenBuckets => new KeyedTokenBuckets({ rate })
const shares = ({ introductionRate }: BudgetRates): KeyedTokenBuckets => new KeyedTokenBuckets({ rate: Math.max(1, introductionRate * SHARE) })
const newcomers = ({ requestRate }: BudgetRates): SourceTokenBuckets => new SourceTokenBuckets({ rate: requestRate * NEWCOMERS, burst: requestRate * NEWCOMER_BURST })

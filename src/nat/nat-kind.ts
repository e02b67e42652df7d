/**
 * The kind of a NAT, T1 to T4, by two servers that send datagrams to each other's clients: helpers of SHOW CHAIN, say (section 4.1 of its
 * protocol). No sockets, no timers: whoever uses it asks the questions, says what has come, and passes the time.
 */
import { mappingOf, type Observation } from './nat-behaviour.ts'
import { normalizeAddress } from '../net/client-address.ts'
import type { Endpoint } from '../types.ts'

/** 1: full cone, also no NAT at all; 2: restricted cone; 3: port-restricted cone; 4: symmetric. */
export type NatKind = 1 | 2 | 3 | 4

/** What was found out. Undefined is what could not be. */
export interface NatKindEvidence {
  /** Whether the endpoint outside is the same one for all. */
  readonly isMappingIndependent: boolean | undefined
  /** Whether datagrams get in from an address that nothing was sent to. */
  readonly passesOtherHost: boolean | undefined
  /** Whether they do from another port of an address that something was sent to. */
  readonly passesOtherPort: boolean | undefined
}

/** Undefined when the mapping is not known. A filter that could not be tested counts as one that lets nothing in. */
export function natKindOf ({ isMappingIndependent, passesOtherHost, passesOtherPort }: NatKindEvidence): NatKind | undefined {
  if (isMappingIndependent === undefined) return undefined
  if (!isMappingIndependent) return 4
  if (passesOtherHost === true) return 1
  return passesOtherPort === true ? 2 : 3
}

/**
 * What the socket is to ask. `first`, `second`: that server, for the endpoint that it sees. `other host`: the first server, that the second
 * one sends something. `other port`: the first server, that it sends something from another port.
 */
export type NatKindQuestion = 'first' | 'second' | 'other host' | 'other port'

/** The questions about a filter. */
export type NatFilterQuestion = Extract<NatKindQuestion, `other ${string}`>

/** Options of {@link NatKindDetection}. */
export interface NatKindDetectionInit {
  /** The socket has sent nothing to the second one. */
  servers: readonly [Endpoint, Endpoint]
  /** How often an endpoint is asked for. Default: 3. */
  tries?: number
  /** Milliseconds until it is asked for again, doubled each time. Default: 500. */
  timeout?: number
  /** How often a datagram is asked for: often, as its silence has to mean something where datagrams get lost. Default: 6. */
  filterTries?: number
  /** Milliseconds between these questions. Default: 700. */
  interval?: number
  /** Milliseconds after the last one of them for which datagrams may still come. Default: 1500. */
  patience?: number
}

/** A question with its tries. */
class Question {
  readonly name: NatKindQuestion
  /** When it is to be asked again, or given up; undefined when it is over. */
  deadline: number | undefined
  readonly #waits: readonly number[]
  #asked = 0

  /** @param waits milliseconds after each try */
  constructor (name: NatKindQuestion, waits: readonly number[], now: number) {
    this.name = name
    this.deadline = now
    this.#waits = waits
  }

  /** Whether it is to be asked now. */
  poll (now: number): boolean {
    if (this.deadline === undefined || now < this.deadline) return false
    if (this.#asked === this.#waits.length) {
      this.deadline = undefined
      return false
    }
    this.deadline = now + this.#waits[this.#asked++]
    return true
  }
}

/**
 * ```ts
 * const detection = new NatKindDetection({ servers })
 * detection.start(now)
 * for (const question of detection.poll(now)) ask(question) // until `isDone`; again at `deadline`, and after each call
 * detection.sees('first', endpoint, now) // an answer
 * ```
 */
export class NatKindDetection {
  readonly #servers: readonly [Endpoint, Endpoint]
  readonly #endpointWaits: readonly number[]
  readonly #filterWaits: readonly number[]
  readonly #seen: { first?: Endpoint, second?: Endpoint } = {}
  readonly #passed = new Map<NatFilterQuestion, boolean>()
  #steps: NatKindQuestion[][] = []
  #open: Question[] = []
  #isStarted = false

  constructor ({ servers, tries = 3, timeout = 500, filterTries = 6, interval = 700, patience = 1500 }: NatKindDetectionInit) {
    this.#servers = servers
    this.#endpointWaits = Array.from({ length: tries }, (_, i) => timeout * 2 ** i)
    this.#filterWaits = Array.from({ length: filterTries }, (_, i) => i < filterTries - 1 ? interval : patience)
  }

  start (now: number): void {
    const [first, second] = this.#servers
    const hasOtherHost = normalizeAddress(first.host) !== normalizeAddress(second.host)
    this.#isStarted = true
    this.#steps = [['first'], hasOtherHost ? ['other host', 'other port'] : ['other port'], ['second']]
    this.#advance(now)
  }

  /** What is to be asked now. */
  poll (now: number): NatKindQuestion[] {
    const due: NatKindQuestion[] = []
    for (;;) {
      due.push(...this.#open.filter((question) => question.poll(now)).map(({ name }) => name))
      if (this.isDone || this.#open.some(({ deadline }) => deadline !== undefined)) return due
      if (this.#seen.first === undefined) this.#steps = [] // it is not there
      this.#advance(now)
    }
  }

  /** When `poll` is to be called next, at the latest; undefined when there is nothing to do. */
  get deadline (): number | undefined {
    const deadlines = this.#open.flatMap(({ deadline }) => deadline ?? [])
    return deadlines.length === 0 ? undefined : Math.min(...deadlines)
  }

  /** A server sees the socket at this endpoint. */
  sees (server: 'first' | 'second', reflexive: Endpoint, now: number): void {
    this.#seen[server] ??= reflexive
    this.#end(server, now)
  }

  /** What was asked for was sent, so that silence means something. */
  wasSent (question: NatFilterQuestion): void {
    if (!this.#passed.has(question)) this.#passed.set(question, false)
  }

  /** What was asked for has come. Of the other host it counts only until that one was sent something, which opens the filter for what is late. */
  came (question: NatFilterQuestion, now: number): void {
    if (question === 'other host' && !this.#open.some(({ name }) => name === question)) return
    this.#passed.set(question, true)
    this.#end(question, now)
    if (question === 'other host') this.#end('other port', now) // which tells nothing more
  }

  /** All questions are answered, or given up. */
  get isDone (): boolean { return this.#isStarted && this.#open.length === 0 && this.#steps.length === 0 }

  /** The endpoint outside, as the first server sees it, or the second one. */
  get reflexive (): Endpoint | undefined { return this.#seen.first ?? this.#seen.second }

  get evidence (): NatKindEvidence {
    const seen: Observation[] = (['first', 'second'] as const).flatMap((name, i) => {
      const reflexive = this.#seen[name]
      return reflexive === undefined ? [] : [{ server: this.#servers[i], reflexive }]
    })
    const { isMappingIndependent } = mappingOf(seen)
    return { isMappingIndependent, passesOtherHost: this.#passed.get('other host'), passesOtherPort: this.#passed.get('other port') }
  }

  /** Undefined while, or as, the mapping is not known. */
  get kind (): NatKind | undefined { return natKindOf(this.evidence) }

  /** Nothing is missing that could lead to another kind. */
  get isCertain (): boolean {
    const { passesOtherHost, passesOtherPort } = this.evidence
    return this.kind === 4 || this.kind === 1 || (this.kind !== undefined && passesOtherHost !== undefined && passesOtherPort !== undefined)
  }

  #end (name: NatKindQuestion, now: number): void {
    const question = this.#open.find((one) => one.name === name)
    if (question === undefined) return
    question.deadline = undefined
    if (this.#open.every(({ deadline }) => deadline === undefined)) this.#advance(now)
  }

  #advance (now: number): void {
    this.#open = (this.#steps.shift() ?? []).map((name) => new Question(name, name === 'first' || name === 'second' ? this.#endpointWaits : this.#filterWaits, now))
  }
}

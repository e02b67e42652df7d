/** What happened to a node at this helper, in order, for people: put into words only when somebody asks. */
import { KeyedHistory } from '../../../limits/keyed-history.ts'
import { endpointText } from '../../../net/endpoint.ts'
import type { Endpoint } from '../../../types.ts'

/** One step. */
export interface RelayStep {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly text: string
}

/** What a step is about. */
export interface StepFacts {
  /** Of another node, see `idKey`. */
  readonly other?: string
  readonly endpoint?: Endpoint
  /** NAT kind; 0: unknown. */
  readonly kind?: number
}

/** Words for a step. @param other the first digits of the id of the other node */
export type StepWords = (other: string, endpoint: string, kind: number) => string

interface Step {
  readonly at: number
  readonly words: StepWords
  readonly facts: StepFacts
}

const NOTHING: StepFacts = {}

/** Digits of an id in the steps of another one. */
const SHORT_ID = 12

/** The steps of one node that are kept. */
const MAX_STEPS = 8

/** Nodes whose steps are kept. */
const MAX_NODES = 4096

export class Histories {
  readonly #nodes = new KeyedHistory<Step>({ maxSteps: MAX_STEPS, maxKeys: MAX_NODES })

  get size (): number { return this.#nodes.size }

  /** @param key of the id; `at` milliseconds since 1970; `words` is kept, so it should be one for all steps of its kind */
  add (key: string, at: number, words: StepWords, facts = NOTHING): void {
    this.#nodes.add(key, { at, words, facts })
  }

  of (key: string): RelayStep[] {
    return this.#nodes.of(key).map(({ at, words, facts: { other = '', endpoint, kind = 0 } }) =>
      ({ at, text: words(Buffer.from(other, 'latin1').toString('hex').slice(0, SHORT_ID), endpoint === undefined ? '' : endpointText(endpoint), kind) }))
  }
}

/** What happened to each peer, for people: kept for those that have registered, and in a smaller table for other ids, which anyone can name. */
import type { PunchRefusal, RegistrationRefusal, Way } from './stats.ts'
import { KeyedHistory } from '../../../limits/keyed-history.ts'

/** Steps of one id, peers with some, and other ids. */
const MAX_STEPS = 12
const MAX_PEERS = 4096
const MAX_OTHERS = 1024

/**
 * `registered`, at `address` by `way`; `refused`, a registration from there; `asked`, that client wants to connect, and the peer was told;
 * `unsent`, it could not be told; `unreached`, the client was told why there is no way; `answered`, the peer has answered for that client.
 */
export type PeerStepKind = 'registered' | 'refused' | 'asked' | 'unsent' | 'unreached' | 'answered'

/** One step. */
export interface PeerStep {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly kind: PeerStepKind
  /** Of the peer where it registers, else of the client. */
  readonly address: string
  readonly way?: Way
  /** Of a refusal; of others what was asked or answered: `hole`, `local` or `relay`. */
  readonly what?: RegistrationRefusal | PunchRefusal | 'hole' | 'local' | 'relay'
}

export class PeerSteps {
  readonly #peers = new KeyedHistory<PeerStep>({ maxSteps: MAX_STEPS, maxKeys: MAX_PEERS })
  readonly #others = new KeyedHistory<PeerStep>({ maxSteps: MAX_STEPS, maxKeys: MAX_OTHERS })

  /** @param isPeer the id is that of a peer in memory */
  add (id: string, step: PeerStep, isPeer: boolean): void { (isPeer ? this.#peers : this.#others).add(id, step) }

  /** The oldest first. */
  of (id: string): PeerStep[] { return [...this.#others.of(id), ...this.#peers.of(id)].sort((a, b) => a.at - b.at) }
}

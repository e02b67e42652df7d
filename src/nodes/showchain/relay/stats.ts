/** Counters of a helper and proxy: plain numbers, incremented in place. */
import type { Drop as PipelineDrop } from '../protocol/pipeline-stats.ts'

/**
 * Why a message was dropped by the relay itself, beside the reasons of the pipeline:
 *
 * - `off`: it is for a proxy, and this one is none;
 * - `source`, `answers`: too many requests of its address, those with a signed answer;
 * - `target`: it is for a node that is not registered here, or for its sender; `unregistered`: its sender is not, or is elsewhere;
 * - `full`: no room for a node, a session or an introduction; `owner`: too many of its id or of its address;
 * - `repeated`: too many introductions of one pair; `introductions`: too many to one node;
 * - `session`: nobody was given this session; `endpoint`: it comes from elsewhere than an end of it;
 * - `old`, `again`: data that is too old, or was passed on just now; `rate`: too many bytes of its sender;
 * - `extension`: it asks for HMAC, which is switched off, or its key for it is none;
 * - `answer`: a 0x102 or a 0x112 that belongs to nothing here.
 */
type RelayRefusal =
  'off' | 'source' | 'answers' | 'target' | 'unregistered' | 'full' | 'owner' | 'repeated' | 'introductions' | 'session' | 'endpoint' | 'old' | 'again' | 'rate' |
  'extension' | 'answer'

/** A reason of the relay, or one of the pipeline that the relay finds itself. */
export type RelayDrop = RelayRefusal | Extract<PipelineDrop, 'stale' | 'replay' | 'id' | 'hash' | 'hmac' | 'unexpected'>

const DROPS: Readonly<Record<RelayDrop, 0>> = {
  off: 0,
  source: 0,
  answers: 0,
  target: 0,
  unregistered: 0,
  full: 0,
  owner: 0,
  repeated: 0,
  introductions: 0,
  session: 0,
  endpoint: 0,
  old: 0,
  again: 0,
  rate: 0,
  extension: 0,
  answer: 0,
  stale: 0,
  replay: 0,
  id: 0,
  hash: 0,
  hmac: 0,
  unexpected: 0
}

/** What a helper and proxy has done since the start. */
export interface ShowchainRelayCounters {
  /** Challenges that were sent. */
  challenges: number
  /** Registrations that were answered, also of nodes that were registered before. */
  registered: number
  /** Nodes that were silent for too long. */
  gone: number
  /** Requests that were passed to a node, and those whose answer was passed back. */
  introduced: number
  answered: number
  /** Answers from the second port. */
  natAnswers: number
  /** Sessions that were made, and those that were forgotten. */
  opened: number
  ended: number
  /** Data that was passed on, its bytes, and what was passed on again; acknowledgements. */
  passed: number
  passedBytes: number
  passedAgain: number
  acknowledged: number
}

export interface RelayCounters extends ShowchainRelayCounters {
  drops: Record<RelayDrop, number>
}

export const newCounters = (): RelayCounters => ({
  drops: { ...DROPS },
  challenges: 0,
  registered: 0,
  gone: 0,
  introduced: 0,
  answered: 0,
  natAnswers: 0,
  opened: 0,
  ended: 0,
  passed: 0,
  passedBytes: 0,
  passedAgain: 0,
  acknowledged: 0
})

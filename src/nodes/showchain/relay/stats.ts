/** Counters of a helper and proxy: plain numbers, incremented in place. */
import type { OpName } from '../protocol/op.ts'
import type { MessageFault } from '../protocol/messages.ts'

/**
 * Why a message was dropped, beside the reasons of its encoding:
 *
 * - `unserved`: its op code is none that a helper serves; `off`: it is for a proxy, and this one is none;
 * - `source`, `answers`: too many requests of its address, those with a signed answer; `queue`: too many wait to be verified or signed;
 * - `key`: no key that may be used; `identity`: its key is not that of its id; `signature`: not that of its key; `stale`: too old, or of the
 *   future; `replay`: it has come before; `senders`: no room to remember that it has come;
 * - `target`: it is for a node that is not registered here, or for itself; `unregistered`: its sender is not, or is elsewhere;
 * - `full`: no room for a node, a session or an introduction; `owner`: too many of its id or of its address;
 * - `repeated`: too many introductions of one pair; `busy`: too many to one node;
 * - `session`: nobody was given this session; `endpoint`: it comes from elsewhere than an end of it;
 * - `hash`, `authentication`: data without its hash or with a wrong one, HMAC of another key; `old`, `again`: data that is too old, or was
 *   passed on just now; `rate`: too many bytes of its sender; `extension`: it asks for HMAC, which is switched off, or has no key for it;
 * - `unsent`: the system had no room for it.
 */
export type RelayDrop = MessageFault |
  'unserved' | 'off' |
  'source' | 'answers' | 'queue' |
  'key' | 'identity' | 'signature' | 'stale' | 'replay' | 'senders' |
  'target' | 'unregistered' |
  'full' | 'owner' |
  'repeated' | 'busy' |
  'session' | 'endpoint' |
  'hash' | 'authentication' | 'old' | 'again' | 'rate' | 'extension' |
  'unsent'

const DROPS = [
  'size', 'encoding', 'op', 'field', 'missing', 'unserved', 'off', 'source', 'answers', 'queue', 'key', 'identity', 'signature', 'stale', 'replay', 'senders',
  'target', 'unregistered', 'full', 'owner', 'repeated', 'busy', 'session', 'endpoint', 'hash', 'authentication', 'old', 'again', 'rate', 'extension', 'unsent'
] as const satisfies readonly RelayDrop[]

export interface RelayCounters {
  /** Messages that have come, by op code. */
  messages: Partial<Record<OpName, number>>
  drops: Record<RelayDrop, number>
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

export const newCounters = (): RelayCounters => ({
  messages: {},
  drops: Object.fromEntries(DROPS.map((reason) => [reason, 0])) as Record<RelayDrop, number>,
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

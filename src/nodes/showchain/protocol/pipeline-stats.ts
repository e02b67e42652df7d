/** Counters of a pipeline, which status and metrics read. */
import { Op, type OpName } from './op.ts'
import type { KeyFault } from './public-key.ts'
import type { MessageFault } from './messages.ts'
import type { SignedDrop } from '../../../transforms/signed/layer.ts'

/** Why the node itself does not look at a message. */
export type Refusal =
  | 'cookie' // it has no valid cookie, and may have been answered by a challenge
  | 'target' // nobody of that id is known, or it is no answer to an open request
  | 'limit' // its sender, or what it asks for, is at a limit

/** Why a datagram was dropped. */
export type Drop = MessageFault | KeyFault | SignedDrop | Refusal |
  'datagram' | // it begins as neither a message nor data
  'own' | // it comes back: its sender is this node
  'stale' | // its ts is too old, or too far ahead
  'replay' | // it has come already
  'windows' | // there is no room to remember that it has come
  'sender' | // nobody is known whose key it could be signed by
  'hash' | // its data has another hash
  'hmac' | // its HMAC is not that of the session
  'unexpected' // this node does not take this kind of message

const DROPS: Readonly<Record<Drop, 0>> = {
  size: 0,
  encoding: 0,
  op: 0,
  field: 0,
  missing: 0,
  datagram: 0,
  own: 0,
  cookie: 0,
  target: 0,
  limit: 0,
  stale: 0,
  replay: 0,
  windows: 0,
  budget: 0,
  unsigned: 0,
  key: 0,
  id: 0,
  sender: 0,
  hash: 0,
  hmac: 0,
  signature: 0,
  busy: 0,
  unexpected: 0
}

/** Messages of a node: whole numbers since the start. */
export interface MessageStats {
  /** Those that were handed to the node, by name of their op code: `directRequest`, ... */
  readonly received: Readonly<Record<string, number>>
  /** Those that were sent. */
  readonly sent: Readonly<Record<string, number>>
  /** Datagrams that were dropped, by reason. */
  readonly drops: Readonly<Record<string, number>>
  /** Messages that could not be sent, as too many waited. */
  readonly unsent: number
}

export interface PipelineStats extends MessageStats {
  readonly received: Record<OpName, number>
  readonly sent: Record<OpName, number>
  readonly drops: Record<Drop, number>
  unsent: number
}

const byOp = (): Record<OpName, number> => Object.fromEntries(Object.keys(Op).map((name) => [name, 0])) as Record<OpName, number>

export const pipelineStats = (): PipelineStats => ({ received: byOp(), sent: byOp(), drops: { ...DROPS }, unsent: 0 })

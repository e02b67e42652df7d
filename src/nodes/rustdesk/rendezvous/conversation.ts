/** Serves the messages of connections: clients that want to connect, answers of peers, NAT tests (RustDesk protocol, section 4.5). */
import { configUpdate, sparse } from './answers.ts'
import { punchHole, requestRelay } from './client-requests.ts'
import type { Connection } from './connection.ts'
import { holeSent, localAddress, relayResponse } from './peer-answers.ts'
import { registerByConnection } from './peer-connections.ts'
import type { Registrar } from './registrar.ts'
import type { RendezvousState } from './state.ts'
import { countMessage } from './stats.ts'
import { memberDemux, type MemberHandlers } from '../protocol/handlers.ts'
import type { RendezvousInit, RendezvousMessage } from '../protocol/messages.ts'
import type { Batch } from '../../../types.ts'

/** Ids in one question; a message has no room for many more. */
const MOST_QUESTIONS = 16_384

/** What the handlers of a message get. */
export interface Conversation {
  readonly state: RendezvousState
  readonly registrar: Registrar
  readonly connection: Connection
}

/** On the port of the server, and that of WebSocket, as the originals have it. A connection goes on only where a client waits for the answer of a peer. */
const originalHandlers: MemberHandlers<Conversation> = {
  punch_hole_request: (message, { state, connection }) => { connection.busy = punchHole(state, message, connection) },
  request_relay: (message, { state, connection }) => { requestRelay(state, message, connection) },
  punch_hole_sent: (message, { state, connection }) => {
    holeSent(state, message, connection)
    connection.end()
  },
  local_addr: (message, { state, connection }) => {
    localAddress(state, message, connection)
    connection.end()
  },
  relay_response: (message, { state, connection }) => {
    relayResponse(state, message, connection)
    connection.end()
  },
  test_nat_request: ({ serial }, { state: { serverList }, connection }) => {
    const update = serverList.serial > serial ? { cu: configUpdate(serverList) } : {}
    connection.send({ test_nat_response: { ...sparse({ port: connection.remote.port }), ...update } })
    connection.end()
  },
  register_pk: (message, { registrar, connection }) => {
    connection.send({ register_pk_response: { result: registrar.refuse('connection', message, { ...connection.remote, way: connection.way }) } })
    connection.end()
  }
}

/** On the port in front of it: one question. */
const natTestHandlers = {
  test_nat_request: (_message, { connection }) => {
    connection.send({ test_nat_response: sparse({ port: connection.remote.port }) })
    connection.end()
  },
  online_request: ({ peers: ids }, { state, connection }) => {
    connection.send({ online_response: sparse({ states: onlineStates(state, ids) }) })
    connection.end()
  }
} as const satisfies MemberHandlers<Conversation>

/** What the originals do not have, beside what they have. */
const handlers: MemberHandlers<Conversation> = {
  ...originalHandlers,
  online_request: natTestHandlers.online_request,
  register_pk: (message, { state, registrar, connection }) => {
    if (connection.isHeld) refuse(state, connection)
    else connection.busy = registerByConnection(state, registrar, message, connection)
  },
  hc: (_message, { state, connection }) => {
    if (connection.isEncrypted && connection.peer === undefined && !connection.isHeld && state.healthChecks.hold(connection)) return
    refuse(state, connection)
  }
}

function refuse ({ refused, refusals }: RendezvousState, connection: Connection): void {
  refused.unserved++
  refusals.add({ reason: 'unserved', way: connection.way, client: connection.remote, source: connection.source })
  connection.end()
}

const unserved = (message: RendezvousMessage, { state, connection }: Conversation): void => {
  if (message.union === undefined && connection.peer !== undefined) return // a sign of life of a peer
  refuse(state, connection)
}

const receive = {
  original: memberDemux(originalHandlers, unserved),
  rendezvous: memberDemux(handlers, unserved),
  nat_test: memberDemux(natTestHandlers, unserved)
}

/**
 * The conversation of one connection, between its messages and its answers.
 *
 * ```ts
 * await pipe(messages.source, converse(conversation), messages.sink)
 * ```
 */
export const converse = (conversation: Conversation) => (source: AsyncIterable<Batch<RendezvousMessage>>): AsyncIterable<Batch<RendezvousInit>> => {
  const { connection } = conversation
  connection.reading = serve(source, conversation)
  connection.reading.then(() => { connection.end() }, (err) => { connection.answers.fail(err as Error) })
  return connection.answers
}

/** Reads until the end, also when nothing more is served: so that the other side can close. */
async function serve (source: AsyncIterable<Batch<RendezvousMessage>>, conversation: Conversation): Promise<void> {
  const { connection, state } = conversation
  const handle = connection.way === 'nat_test' ? receive.nat_test : receive[state.settings.strictOss ? 'original' : 'rendezvous']
  for await (const batch of source) {
    connection.heard(state.clock.now())
    for (const message of batch) {
      if (connection.isEnded) break
      if (message.union !== undefined) countMessage(state.totals, connection.way, message.union)
      connection.busy = undefined
      handle(message, conversation)
      if (connection.busy !== undefined) await connection.busy
    }
  }
}

/** A bit for each id, the first one the highest of the first byte. */
function onlineStates ({ peers, clock }: RendezvousState, ids: readonly string[]): Uint8Array {
  const now = clock.now()
  const asked = ids.slice(0, MOST_QUESTIONS)
  const states = new Uint8Array(Math.ceil(asked.length / 8))
  for (const [i, id] of asked.entries()) if (peers.get(id)?.isOnline(now) === true) states[i >> 3] |= 0x80 >> (i & 7)
  return states
}

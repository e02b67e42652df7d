/** Peers that register by a connection, as they have no UDP: it is the way to them as long as it lasts (RustDesk protocol, sections 6.2 and 7). */
import { sparse } from './answers.ts'
import type { Connection } from './connection.ts'
import type { Registrar } from './registrar.ts'
import type { RendezvousState } from './state.ts'
import { RegisterResult } from '../protocol/enums.ts'
import type { Members } from '../protocol/messages.ts'

/** Seconds of silence for which a peer is told to wait; it waits half as long again. */
const KEEP_ALIVE = 60

/** Milliseconds between signs of life of the server, which the peer answers, and of silence that end a connection. */
const HEARTBEAT = 15_000
const SILENCE = KEEP_ALIVE * 1500

/** Serves a registration. Settles when it is answered. */
export async function registerByConnection (state: RendezvousState, registrar: Registrar, request: Members['register_pk'], connection: Connection): Promise<void> {
  const { peers, clock } = state
  const { id } = request
  const { remote: { host }, way, source } = connection
  const from = { host, port: 0, way, source } // no address for datagrams
  const result = await registrar.register(request, from, clock.now())
  if (connection.isEnded) return
  const peer = result === RegisterResult.ok ? peers.get(id) : undefined
  if (result !== undefined) connection.send({ register_pk_response: sparse({ result, keep_alive: peer === undefined ? 0 : KEEP_ALIVE }) })
  if (peer === undefined) {
    connection.end()
    return
  }
  connection.peer?.lose(connection) // which may be another one
  connection.peer = peer
  connection.idleTimeout = SILENCE
  connection.sentAt = clock.now()
  connection.onClosed = () => { connection.peer?.lose(connection) }
  peer.reach(connection)
}

/** Sends a sign of life when it is time for one. */
export function keepAlive (connection: Connection, now: number): void {
  if (connection.peer === undefined || now - connection.sentAt < HEARTBEAT) return
  connection.sentAt = now
  connection.send({})
}

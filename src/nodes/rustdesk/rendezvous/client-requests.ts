/** Messages of clients that want to connect to a peer: the peer is asked, and its answer comes by a connection of its own. */
import { sparse } from './answers.ts'
import type { Connection } from './connection.ts'
import { Peer } from './peer.ts'
import { decidePunch } from './punch.ts'
import type { RendezvousState } from './state.ts'
import type { PunchRefusal } from './stats.ts'
import { PunchFailure } from '../protocol/enums.ts'
import type { Members, RendezvousInit } from '../protocol/messages.ts'
import { remoteText } from '../../../net/endpoint.ts'
import { printable } from '../../../text/printable.ts'

/** Why there is no way to a peer, as the client is told. */
const FAILURES: Readonly<Record<PunchRefusal, { failure?: number, other_failure?: string }>> = {
  key: { failure: PunchFailure.licenseMismatch },
  unknown: { failure: PunchFailure.idNotExist },
  offline: { failure: PunchFailure.offline },
  store: { other_failure: 'The server cannot read its database' }
}

/** The text that clients have for a peer that is offline. */
const OFFLINE = 'Remote desktop is offline'

/** A client wants to connect to a peer. Settles when the peer is asked, or the client told why not. */
export function punchHole (state: RendezvousState, request: Members['punch_hole_request'], connection: Connection): Promise<void> | undefined {
  const { settings: { licence }, waiting, peers, clock, log } = state
  if (!waiting.open(connection, connection.remote).mayAsk) return
  const { id } = request
  if (licence?.matches(request.licence_key) === false) {
    log.log('warn', { remote: remoteText(connection.remote), id: printable(id) }, 'a client has another licence key')
    return refuse(state, connection, 'key')
  }
  const peer = peers.find(id, clock.now())
  if (peer === undefined || peer instanceof Peer) return askForHole(state, request, connection, peer)
  return peer.then((found) => askForHole(state, request, connection, found), () => refuse(state, connection, 'store'))
}

function askForHole (state: RendezvousState, { id, nat_type: natType }: Members['punch_hole_request'], connection: Connection, peer: Peer | undefined): undefined {
  const { settings, waiting, punches, relays, clock } = state
  if (peer === undefined) return refuse(state, connection, 'unknown')
  if (!peer.isOnline(clock.now()) || !peer.isReachable) return refuse(state, connection, 'offline')
  if (connection.isEnded) return
  const { remote: { host }, isWebSocket } = connection
  punches.add({ date: clock.date(), from: host, id, to: peer.host })
  const { ask, natType: told, relayServer } = decidePunch({ host, isWebSocket, natType }, peer, settings, relays.next)
  const client = waiting.ask(connection, peer)
  pushTo(state, peer, connection, ask === 'local_address'
    ? { fetch_local_addr: sparse({ socket_addr: client, relay_server: relayServer }) }
    : { punch_hole: sparse({ socket_addr: client, nat_type: told, relay_server: relayServer }) })
}

/** A client wants to meet a peer at a relay. Fields that are unknown here go to the peer as they are. */
export function requestRelay (state: RendezvousState, request: Members['request_relay'], connection: Connection): void {
  const { waiting, peers, clock } = state
  if (!waiting.open(connection, connection.remote).mayAsk) return
  const peer = peers.get(request.id)
  if (peer?.isOnline(clock.now()) !== true || !peer.isReachable) { // the original says nothing, so that the client waits for a minute
    state.totals.refusedPunches.offline++
    if (waiting.answered(connection)) connection.send({ relay_response: { refuse_reason: OFFLINE } })
    return
  }
  request.socket_addr = waiting.ask(connection, peer)
  pushTo(state, peer, connection, { request_relay: request })
}

function pushTo (state: RendezvousState, peer: Peer, { source }: Connection, message: RendezvousInit): void {
  if (!state.peers.mayPush(peer, source, state.clock.now())) state.totals.drops.pushes++
  else if (state.push(peer, message)) state.totals.asked++
  else state.totals.drops.queue++
}

function refuse (state: RendezvousState, connection: Connection, reason: PunchRefusal): undefined {
  state.totals.refusedPunches[reason]++
  if (state.waiting.answered(connection)) connection.send({ punch_hole_response: sparse(FAILURES[reason]) })
}

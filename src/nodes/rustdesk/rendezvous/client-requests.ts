/** Messages of clients that want to connect to a peer: the peer is asked, and its answer comes by a connection of its own. */
import { sparse } from './answers.ts'
import type { Connection } from './connection.ts'
import { Peer } from './peer.ts'
import type { PeerStep } from './peer-steps.ts'
import { decidePunch } from './punch.ts'
import { isId } from './registration.ts'
import type { RendezvousState } from './state.ts'
import type { PunchRefusal } from './stats.ts'
import { NatType, PunchFailure, RELAY_OFFLINE } from '../protocol/enums.ts'
import type { Members, RendezvousInit } from '../protocol/messages.ts'
import { remoteText } from '../../../net/endpoint.ts'

/** Why there is no way to a peer, as the client is told. */
const FAILURES: Readonly<Record<PunchRefusal, { failure?: number, other_failure?: string }>> = {
  key: { failure: PunchFailure.licenseMismatch },
  unknown: { failure: PunchFailure.idNotExist },
  offline: { failure: PunchFailure.offline },
  store: { other_failure: 'The server cannot read its database' }
}

/** A client wants to connect to a peer. Settles when the peer is asked, or the client told why not. */
export function punchHole (state: RendezvousState, request: Members['punch_hole_request'], connection: Connection): Promise<void> | undefined {
  const { settings: { licence }, waiting, peers, clock } = state
  if (!waiting.open(connection, connection.remote).mayAsk) return
  const { id } = request
  if (licence?.matches(request.licence_key) === false) return refuse(state, connection, id, 'key')
  const peer = peers.find(id, clock.now())
  if (peer === undefined || peer instanceof Peer) return askForHole(state, request, connection, peer)
  return peer.then((found) => askForHole(state, request, connection, found), () => refuse(state, connection, id, 'store'))
}

function askForHole (state: RendezvousState, { id, nat_type: natType }: Members['punch_hole_request'], connection: Connection, peer: Peer | undefined): undefined {
  const { settings, waiting, punches, relays, clock } = state
  if (peer === undefined) return refuse(state, connection, id, 'unknown')
  if (!peer.isOnline(clock.now()) || !peer.isReachable) return refuse(state, connection, id, 'offline')
  if (connection.isEnded) return
  const { remote: { host }, isWebSocket } = connection
  punches.add({ date: clock.date(), from: host, id, to: peer.host })
  const { ask, natType: told, relayServer } = decidePunch({ host, isWebSocket, natType }, peer, settings, relays.next)
  const client = waiting.ask(connection, peer)
  pushTo(state, peer, connection, ask === 'local_address' ? 'local' : told === NatType.symmetric ? 'relay' : 'hole', ask === 'local_address'
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
    note(state, request.id, connection, { kind: 'unreached', what: 'offline' })
    if (waiting.answered(connection)) connection.send({ relay_response: { refuse_reason: RELAY_OFFLINE } })
    return
  }
  request.socket_addr = waiting.ask(connection, peer)
  pushTo(state, peer, connection, 'relay', { request_relay: request })
}

function pushTo (state: RendezvousState, peer: Peer, connection: Connection, what: 'hole' | 'local' | 'relay', message: RendezvousInit): void {
  const { peers, clock, totals } = state
  let isSent = false
  if (!peers.mayPush(peer, connection.source, clock.now())) totals.drops.pushes++
  else if (state.push(peer, message)) isSent = true
  else totals.drops.queue++
  if (isSent) totals.asked++
  connection.askedFor = peer.id
  note(state, peer.id, connection, { kind: isSent ? 'asked' : 'unsent', what })
}

/** An id that is unknown may have been guessed, so it is logged as a wrong key is; one that is offline is usual. */
function refuse (state: RendezvousState, connection: Connection, id: string, reason: PunchRefusal): undefined {
  state.totals.refusedPunches[reason]++
  if (reason === 'key' || reason === 'unknown') state.refusals.add({ reason, way: connection.way, client: connection.remote, source: connection.source, id })
  note(state, id, connection, { kind: 'unreached', what: reason })
  if (state.waiting.answered(connection)) connection.send({ punch_hole_response: sparse(FAILURES[reason]) })
}

function note ({ steps, peers, clock }: RendezvousState, id: string, { remote }: Connection, step: Pick<PeerStep, 'kind' | 'what'>): void {
  if (isId(id)) steps.add(id, { at: clock.date(), address: remoteText(remote), ...step }, peers.get(id) !== undefined)
}

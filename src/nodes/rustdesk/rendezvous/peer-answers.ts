/** Answers of peers, for clients that wait. Each comes by a connection of its own, and names its client (RustDesk protocol, section 4.5). */
import { randomInt } from 'node:crypto'
import { signedKey, sparse } from './answers.ts'
import type { Connection } from './connection.ts'
import { relayFor } from './punch.ts'
import type { RendezvousState } from './state.ts'
import { NatType } from '../protocol/enums.ts'
import { mangleAddress } from '../protocol/mangled-address.ts'
import type { Members, RendezvousInit } from '../protocol/messages.ts'
import { remoteText } from '../../../net/endpoint.ts'
import type { Endpoint } from '../../../types.ts'

const NAT_TYPES: ReadonlySet<number> = new Set(Object.values(NatType))

/** Numbers for the time in an address, which is none here. */
const TIMES = 2 ** 32

/** The peer has made a hole in its NAT: the address of this connection. */
export function holeSent (state: RendezvousState, message: Members['punch_hole_sent'], { remote }: Connection): void {
  const { socket_addr: client, id, version, relay_server: relayServer, nat_type: natType } = message
  answer(state, 'hole', client, id, remote, () => ({
    punch_hole_response: {
      ...sparse({ socket_addr: mangleAddress(remote, randomInt(TIMES)), pk: signedKey(state, id, version), relay_server: relayServer }),
      ...(NAT_TYPES.has(natType) ? { nat_type: natType } : {})
    }
  }))
}

/** The peer is in the network of the client: its private address, as it says. */
export function localAddress (state: RendezvousState, message: Members['local_addr'], { remote }: Connection): void {
  const { socket_addr: client, id, version, relay_server: relayServer, local_addr: address } = message
  answer(state, 'local', client, id, remote, () => ({
    punch_hole_response: { ...sparse({ socket_addr: address, pk: signedKey(state, id, version), relay_server: relayServer }), is_local: true }
  }))
}

/** The peer goes to a relay. Fields that are unknown here go to the client as they are. */
export function relayResponse (state: RendezvousState, message: Members['relay_response'], { remote }: Connection): void {
  const { settings, relays } = state
  const { socket_addr: client, relay_server: relayServer, version, id } = message
  answer(state, 'relay', client, id ?? '', remote, (waiting) => {
    delete (message as Partial<typeof message>).socket_addr
    if (id != null && id !== '') {
      delete message.id
      message.pk = signedKey(state, id, version)
    }
    if (relayServer !== '') message.relay_server = relayFor(waiting.remote.host, relayServer, settings, relays.next)
    return { relay_response: message }
  })
}

/** Sends an answer, if its client waits for it. */
function answer ({ waiting, totals, steps, peers, clock }: RendezvousState, what: 'hole' | 'local' | 'relay', client: Uint8Array, id: string, { host }: Endpoint, make: (connection: Connection) => RendezvousInit): void {
  const connection = waiting.take({ client, id, host })
  if (connection === undefined) {
    totals.drops.unasked++
    return
  }
  totals.answered++
  const { askedFor, remote } = connection
  steps.add(askedFor, { at: clock.date(), kind: 'answered', what, address: remoteText(remote) }, peers.get(askedFor) !== undefined)
  connection.send(make(connection))
}

import { once } from 'node:events'
import type { Test } from 'tap'
import { SECRET } from './client.ts'
import { NatpassPeer } from '../../../src/nodes/natpass/peer/peer.ts'
import type { NatpassPeerInit } from '../../../src/nodes/natpass/peer/settings.ts'

/** A peer of the relay at this port, online. */
export async function startPeer (t: Test, port: number, init: Partial<NatpassPeerInit>): Promise<NatpassPeer> {
  const peer = new NatpassPeer({ server: `127.0.0.1:${port}`, secret: SECRET, id: 'nas', backoff: { first: 50, longest: 100 }, ...init })
  t.teardown(() => peer.close())
  const online = once(peer, 'online')
  await peer.start()
  await online
  return peer
}

/** The port of a rule. */
export const portOf = (peer: NatpassPeer, i = 0): number => Number(new URL(peer.status().rules[i].url ?? '').port)

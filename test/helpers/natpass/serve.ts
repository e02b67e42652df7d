import type { Test } from 'tap'
import { SECRET } from './client.ts'
import type { NatpassRelayInit } from '../../../src/nodes/natpass/relay/settings.ts'
import { serveNatpass, type NatpassServer } from '../../../src/nodes/natpass/relay/server.ts'

/** A relay on a free port. */
export async function serve (t: Test, init: Partial<NatpassRelayInit> = {}): Promise<{ server: NatpassServer, port: number }> {
  const server = await serveNatpass({ listen: '127.0.0.1:0', secret: SECRET, ...init })
  t.teardown(() => server.close())
  return { server, port: Number(new URL(server.url).port) }
}

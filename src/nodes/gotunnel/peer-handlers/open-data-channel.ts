import { DataConnection } from '../data-connection.ts'
import type { OpenDataChannel } from '../messages.ts'
import type { PeerSession } from '../peer-session.ts'

/** A user has come (gotunnel protocol, section 4). Only the service of this map is ever connected to, and only when that is what the server means. */
export function openDataChannel (message: OpenDataChannel, session: PeerSession): void {
  const { map } = session
  const { local, remotePort } = map.map
  const isOwn = message.local_port === local.port
  if (isOwn && map.connections.size < map.settings.maxConnections) {
    const connection = new DataConnection(session, message)
    map.connections.set(connection, connection.run().finally(() => { map.connections.delete(connection) }))
    return
  }
  map.stats.drops[isOwn ? 'limit' : 'foreign']++
  map.log.line('warn', { port: remotePort, asked: message.local_port }, isOwn ? 'too many connections' : 'the server asks for a local port that is not the configured one')
  if (!session.isStrict) map.decline(session, message)
  else if (message.id !== undefined) session.send({ type: 'data_channel_failed', id: message.id, reason: isOwn ? 'too many connections' : 'not my port' })
}

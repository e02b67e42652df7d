/** Handlers of the messages on a control connection of a peer (gotunnel protocol, sections 4 and 12). */
import { DataConnection, type MappingContext, type ControlSession } from './data-connection.ts'
import type { OpenDataChannel, ToClient, Unregistered } from '../protocol/messages.ts'
import { RefusedError } from './errors.ts'
import type { PeerSettings } from './settings.ts'
import { typeDemux } from '../../../transforms/type-demux.ts'

/** The mapped port of a control connection. */
export interface ControlledMapping extends MappingContext {
  readonly settings: MappingContext['settings'] & Pick<PeerSettings, 'maxConnections'>
  /** Data connections, each with the promise of its end. */
  readonly connections: Map<DataConnection, Promise<void>>
  /** Compatible mode: makes a data connection for a user that is not served, as the server expects one. */
  decline (session: ControlSession, message: OpenDataChannel): void
}

/** A control connection. */
export interface ControlledSession extends ControlSession {
  readonly map: ControlledMapping
  /** A pong has arrived. */
  onPong (): void
}

/** A user has connected. The peer connects only to the service of this map, and only when the server asks for its port. */
function openDataChannel (message: OpenDataChannel, session: ControlledSession): void {
  const { map } = session
  const { local, remotePort } = map.map
  const isOwn = message.local_port === local.port
  if (isOwn && map.connections.size < map.settings.maxConnections) {
    const connection = new DataConnection(session, message)
    map.connections.set(connection, connection.run().finally(() => { map.connections.delete(connection) }))
    return
  }
  map.stats.drops[isOwn ? 'limit' : 'not_owner']++
  map.log.log('warn', { port: remotePort, asked: message.local_port }, isOwn ? 'too many connections' : 'the server asks for a local port that is not the configured one')
  if (!session.isStrict) map.decline(session, message)
  else if (message.id !== undefined) session.send({ type: 'data_channel_failed', id: message.id, reason: isOwn ? 'too many connections' : 'not my port' })
}

/** The server is alive. Its time is not used. */
function pong (_message: unknown, session: ControlledSession): void { session.onPong() }

/** Strict mode: the server says why it ends the connection. */
function unregistered ({ reason }: Unregistered, session: ControlledSession): void { session.end(new RefusedError(reason)) }

/** All types that `readToClient` lets through have a handler. */
export const receive = typeDemux<ControlledSession, ToClient>({
  open_data_channel: openDataChannel,
  pong,
  unregistered
}, { typeOf: ({ type }) => type })

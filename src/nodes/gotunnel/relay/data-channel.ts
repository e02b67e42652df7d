/** Data connections of clients, and the users that they are for (gotunnel protocol, sections 3 and 12.3). */
import { sameProof, type Identities } from './identities.ts'
import type { DataChannel } from '../protocol/messages.ts'
import type { MappedPort } from './port.ts'
import { accept, rejectConnection, type PendingConnection, type RejectContext } from './register-response.ts'
import type { RelaySettings } from './settings.ts'
import type { GotunnelRejectReason } from './stats.ts'
import { lingeringClose } from '../../common/lingering-close.ts'
import { SequentialStreams } from '../../../transforms/sequential-streams/index.ts'

export interface DataContext extends RejectContext {
  readonly settings: Pick<RelaySettings, 'mode'>
  readonly identities: Identities
  /** By number. */
  readonly ports: ReadonlyMap<number, DataPort>
  readonly refused: Pick<Record<GotunnelRejectReason, number>, 'unclaimed' | 'not_owner'>
}

/** A port as data connections use it. */
export type DataPort = Pick<MappedPort, 'owner' | 'claim' | 'serveUser' | 'serveUsers'>

/** Joins a data connection with its user; settles when it has ended, and never rejects. */
export async function serveData (context: DataContext, connection: PendingConnection, message: DataChannel): Promise<void> {
  const port = context.ports.get(message.remote_port)
  if (message.id === undefined) await serveFirstInFirstOut(context, connection, message, port)
  else await serveRequest(context, connection, message.id, port)
}

/**
 * Strict mode. The id authenticates it: only the owner of the port knows it, and it is valid once. There is no answer, as the header of
 * the user is one; further users may follow.
 */
async function serveRequest (context: DataContext, { link, slot }: PendingConnection, id: string, port: DataPort | undefined): Promise<void> {
  const user = port?.owner.isStrict === true ? port.claim(id) : undefined
  if (port !== undefined && user !== undefined) {
    slot.release() // from here on the limits of users and of idle connections bound it
    return await port.serveUsers(user, new SequentialStreams(link, { acknowledges: port.owner.acknowledges, clock: context.clock }))
  }
  context.refused.unclaimed++
  await lingeringClose(link, context.clock) // not a reset, which would look like a broken path
}

/**
 * Compatible mode. The token authenticates it, and the user that has waited longest is served. The answer is always `ok`, as that of the
 * original. From the address of the port's owner an outdated token is accepted and failures are not counted. From elsewhere both
 * are checked, as the answer would confirm a guessed token.
 */
async function serveFirstInFirstOut (context: DataContext, connection: PendingConnection, { token, remote_port: remotePort }: DataChannel, port: DataPort | undefined): Promise<void> {
  const proof = context.identities.proofOf(token)
  const isOwn = port !== undefined && sameProof(port.owner.proof, proof)
  const isOwner = isOwn && connection.remote.host === port.owner.remote.host
  if (!isOwner && context.throttle.isThrottled(connection.slot)) return await rejectConnection(context, connection, 'rate')
  if (!isOwner && context.identities.find(proof) === undefined) return await rejectConnection(context, connection, 'token')
  const isStrict = port?.owner.isStrict === true || context.settings.mode === 'strict'
  if (isStrict) return await rejectConnection(context, connection, isOwn ? 'mode' : 'not_owner', { port: remotePort })
  accept(connection.link, false)
  const user = isOwn ? port.claim() : undefined
  if (isOwn && user !== undefined) {
    connection.slot.release() // from here on the limits of users bound it
    return await port.serveUser(user, connection.link)
  }
  context.refused[isOwn ? 'unclaimed' : 'not_owner']++
  await lingeringClose(connection.link, context.clock)
}

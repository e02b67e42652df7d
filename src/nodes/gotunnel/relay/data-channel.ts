/** A client has a data connection for a user (gotunnel protocol, section 3). */
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
  /** By their number. */
  readonly ports: ReadonlyMap<number, DataPort>
  readonly refused: Pick<Record<GotunnelRejectReason, number>, 'unclaimed' | 'not_owner'>
}

/** A port as its data connections know it. */
export type DataPort = Pick<MappedPort, 'owner' | 'claim' | 'serveUser' | 'serveUsers'>

/** Joins it with its user; settles when it has ended, and never rejects. */
export async function serveData (context: DataContext, connection: PendingConnection, message: DataChannel): Promise<void> {
  const port = context.ports.get(message.remote_port)
  if (message.id === undefined) await serveFirstInFirstOut(context, connection, message, port)
  else await serveRequest(context, connection, message.id, port)
}

/**
 * Strict mode. Its id is all that it needs: nobody but the owner of the port has been told of it, and it is good once. There is
 * no answer, as what opens the link of the user is one; other users may follow.
 */
async function serveRequest (context: DataContext, { link, slot }: PendingConnection, id: string, port: DataPort | undefined): Promise<void> {
  const user = port?.owner.isStrict === true ? port.claim(id) : undefined
  if (port !== undefined && user !== undefined) {
    slot.release() // from here on it is bounded by the users, and by what may rest between two of them
    return await port.serveUsers(user, new SequentialStreams(link, { acknowledges: port.owner.acknowledges, clock: context.clock }))
  }
  context.refused.unclaimed++
  await lingeringClose(link, context.clock) // not by a reset, which would look like a path that is broken
}

/**
 * Without an id it is the token that counts, and whoever waits longest is served. The answer says ok in any case, as that of the
 * original does. What comes from where the owner of the port is needs no token of today, and no look at how many were wrong there;
 * from anywhere else both count, or whoever guesses tokens would be told here that one is right.
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
    connection.slot.release() // from here on it is bounded by the users, of which it is one
    return await port.serveUser(user, connection.link)
  }
  context.refused[isOwn ? 'unclaimed' : 'not_owner']++
  await lingeringClose(connection.link, context.clock)
}

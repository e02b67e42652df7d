/** A client has a data connection for a user (gotunnel protocol, section 3). */
import { hangUp } from '../protocol/hang-up.ts'
import { sameProof } from './identities.ts'
import type { DataChannel } from '../protocol/messages.ts'
import type { MappedPort } from './port.ts'
import { accept, mayNotTry, refuse } from './refuse.ts'
import type { Caller, Shared } from './shared.ts'
import { SerialLinks } from '../../../transforms/serial-links/index.ts'

/** Joins it with its user; settles when it has ended, and never rejects. */
export async function serveData (shared: Shared, caller: Caller, message: DataChannel): Promise<void> {
  const port = shared.ports.get(message.remote_port)
  if (message.id === undefined) await serveFirstInFirstOut(shared, caller, message, port)
  else await serveRequest(shared, caller, message.id, port)
}

/**
 * Strict mode. Its id is all that it needs: nobody but the owner of the port has been told of it, and it is good once. There is
 * no answer, as what opens the link of the user is one; other users may follow.
 */
async function serveRequest (shared: Shared, { link, pass }: Caller, id: string, port: MappedPort | undefined): Promise<void> {
  const user = port?.owner.isStrict === true ? port.claim(id) : undefined
  if (port !== undefined && user !== undefined) {
    pass.leave() // from here on it is bounded by the users, and by what may rest between two of them
    return await port.carryAll(user, new SerialLinks(link, { acknowledges: port.owner.acknowledges, clock: shared.clock }))
  }
  shared.refused.unclaimed++
  await hangUp(link, shared.clock) // not by a reset, which would look like a path that is broken
}

/**
 * Without an id it is the token that counts, and whoever waits longest is served. The answer says ok in any case, as that of the
 * original does. What comes from where the owner of the port is needs no token of today, and no look at how many were wrong there;
 * from anywhere else both count, or whoever guesses tokens would be told here that one is right.
 */
async function serveFirstInFirstOut (shared: Shared, caller: Caller, { token, remote_port: remotePort }: DataChannel, port: MappedPort | undefined): Promise<void> {
  const proof = shared.identities.proofOf(token)
  const isOwn = port !== undefined && sameProof(port.owner.proof, proof)
  const isOwner = isOwn && caller.remote.host === port.owner.remote.host
  if (!isOwner && mayNotTry(shared, caller)) return await refuse(shared, caller, 'rate')
  if (!isOwner && shared.identities.find(proof) === undefined) return await refuse(shared, caller, 'token')
  const isStrict = port?.owner.isStrict === true || shared.settings.mode === 'strict'
  if (isStrict) return await refuse(shared, caller, isOwn ? 'mode' : 'foreign', { port: remotePort })
  accept(caller.link, false)
  const user = isOwn ? port.claim() : undefined
  if (isOwn && user !== undefined) {
    caller.pass.leave() // from here on it is bounded by the users, of which it is one
    return await port.carry(user, caller.link)
  }
  shared.refused[isOwn ? 'unclaimed' : 'foreign']++
  await hangUp(caller.link, shared.clock)
}

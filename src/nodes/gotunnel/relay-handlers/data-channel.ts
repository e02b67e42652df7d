/** A client has a data connection for a user (gotunnel protocol, section 3). */
import { hangUp } from '../hang-up.ts'
import { sameProof, type Identity, type Proof } from '../identities.ts'
import type { DataChannel } from '../messages.ts'
import { accept, refuse } from '../refuse.ts'
import type { Caller, Shared } from '../shared.ts'

/**
 * Joins it with its user until both are at their end; never rejects.
 *
 * @param identity undefined when the token is none of today's: whoever has registered with it may still serve its users
 */
export async function serveData (shared: Shared, caller: Caller, { remote_port: remotePort, id }: DataChannel, identity: Identity | undefined, proof: Proof): Promise<void> {
  const port = shared.ports.get(remotePort)
  const isOwn = port !== undefined && sameProof(port.owner.proof, proof)
  if (!isOwn && identity === undefined) return await refuse(shared, caller, 'token')
  const isStrict = isOwn ? port.owner.isStrict : id !== undefined || shared.settings.mode === 'strict'
  if (!isOwn && isStrict) return await refuse(shared, caller, 'foreign', { port: remotePort })
  if (isStrict && id === undefined) return await refuse(shared, caller, 'mode', { port: remotePort })
  if (isOwn) port.owner.dataAt = shared.now
  const user = isOwn ? port.claim(isStrict ? id : undefined) : undefined
  if (port === undefined || user === undefined) {
    if (isStrict) return await refuse(shared, caller, 'unclaimed', { port: remotePort })
    shared.refused[isOwn ? 'unclaimed' : 'foreign']++
    accept(caller.link, false) // and the end, as the original says it
    return await hangUp(caller.link)
  }
  accept(caller.link, false)
  caller.pass.leave() // from here on it is bounded by the users, of which it is one
  await port.carry(user, caller.link)
}

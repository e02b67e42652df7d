/** Settings with the contents of the files that they name: they are read at the start, and again with each reload. */
import type { Identity } from '../../nodes/showchain/protocol/identity.ts'
import type { FinishContext } from '../protocol.ts'
import { allowedIds } from './allow-list.ts'
import { readKeyFile } from './key-file.ts'
import type { ShowchainPeerFlags, ShowchainRelayFlags } from './options.ts'

export type ShowchainRelaySettings = Omit<ShowchainRelayFlags, 'identity'> & { identity: Identity }

export type ShowchainPeerSettings = Omit<ShowchainPeerFlags, 'identity' | 'allow'> & {
  identity: Identity
  /** Ids that may connect; undefined: nothing is served. */
  allow: 'any' | Uint8Array[] | undefined
}

export function finishRelay ({ identity, ...settings }: ShowchainRelayFlags, { nameOf }: FinishContext): ShowchainRelaySettings {
  return { ...settings, identity: readKeyFile(identity, nameOf('identity')) }
}

export function finishPeer ({ identity: file, allow, ...settings }: ShowchainPeerFlags, { nameOf, warn, reject }: FinishContext): ShowchainPeerSettings {
  const allowed = allow === undefined ? undefined : allowedIds.allowed(allow, nameOf('allow'))
  if (allowed === 'any') warn('any node that knows the id of this one may connect to the service: it has to check who its users are')
  if (settings.bootstrap.length < 2) warn('one relay alone does not tell the kind of the NAT: it counts as T4, and there are fewer direct paths; --bootstrap can be repeated')
  const identity = readKeyFile(file, nameOf('identity'))
  for (const [i, { id: { id } }] of (settings.connect ?? []).entries()) {
    if (Buffer.compare(id, identity.id) === 0) reject(['connect', i, 'id'], 'that is the id of this node itself, by its key, expected that of another one')
  }
  return { ...settings, identity, allow: allowed }
}

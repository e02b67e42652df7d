/** Settings with the contents of the files that they name, which are read again with each reload. */
import type { Allowed } from '../../../nodes/rustdesk/peer/options.ts'
import type { FinishContext } from '../../protocol.ts'
import { allowedPeers } from './allow-list.ts'
import type { RustdeskPeerFlags } from './options.ts'

export type RustdeskPeerSettings = Omit<RustdeskPeerFlags, 'allow'> & {
  /** Who may connect; undefined: nothing is served. */
  allow: Allowed | undefined
  /** How the user names the file of the identity. */
  identityKey: string
}

export function finishPeer ({ allow, ...settings }: RustdeskPeerFlags, { nameOf, warn }: FinishContext): RustdeskPeerSettings {
  const allowed = allow === undefined ? undefined : allowedPeers.allowed(allow, nameOf('allow'))
  if (allowed === 'any') warn('any peer of this server may connect to the service: it has to check who its users are')
  return { ...settings, allow: allowed, identityKey: nameOf('identity') }
}

/** Who may connect to a peer: ids, public keys, and files of both. */
import { readId, readPublicKey, type AllowedPeer } from '../../../nodes/rustdesk/peer/options.ts'
import { allowList } from '../../allow-list.ts'

export const allowedPeers = allowList<AllowedPeer>({
  what: 'an id or a key',
  expected: 'an id such as 123456789, or a public key in base64',
  form: 'an id such as 123456789, a public key in base64',
  action: 'connect',
  parse (text) {
    const publicKey = readPublicKey(text)
    if (publicKey !== undefined) return { publicKey }
    const id = readId(text)
    return id === undefined ? undefined : { id }
  }
})

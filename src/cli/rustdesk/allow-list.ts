/** Which peers may register: ids and public keys, and files of them. */
import { readAllowedPeer } from '../../nodes/rustdesk/rendezvous/allowed-peers.ts'
import { allowList } from '../allow-list.ts'

export const allowedPeers = allowList<string>({ what: 'an id or a key', expected: 'that of a peer, the key in base64', form: 'an id, a public key in base64', action: 'register', parse: readAllowedPeer })

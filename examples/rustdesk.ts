/** The servers of RustDesk in a program, and a client that asks for a peer. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { over } from 'tunpipe'
import { loadNacl } from 'tunpipe/crypto'
import { framedMessages, PeerSigner, PunchFailure, serveRendezvous, serverKey, serveRustdeskRelay, type PeerRecord, type PeerStore } from 'tunpipe/nodes/rustdesk'
import { dialTcp } from 'tunpipe/transports'

const folder = await mkdtemp(join(tmpdir(), 'rustdesk-'))
const nacl = await loadNacl()
const { licence, pair } = await serverKey({ nacl, key: '-', folder, signs: true }) // id_ed25519 in the folder, made if there is none
const signer = pair === undefined ? undefined : new PeerSigner({ nacl, pair })

const peers = new Map<string, PeerRecord>()
const store: PeerStore = { // or openPeerStore({ path: 'db_v2.sqlite3' }), the database of the original
  find: async (id) => peers.get(id),
  put: async (peer) => { peers.set(peer.id, peer) }
}

const relay = await serveRustdeskRelay({ host: '127.0.0.1', port: 0 })
const relayServers = [new URL(relay.url).host]
const rendezvous = await serveRendezvous({ bind: '127.0.0.1', port: 0, store, licence, signer, relayServers })

const client = over(await dialTcp({ host: '127.0.0.1', port: rendezvous.ports.tcp }), framedMessages)
client.port.send([{ punch_hole_request: { id: '123456789', licence_key: licence?.text ?? '' } }])
const { value: [answer] } = await client.source[Symbol.asyncIterator]().next()
console.log(answer.punch_hole_response?.failure === PunchFailure.idNotExist ? 'there is no such peer' : 'the peer was asked')
client.abort(new Error('nothing more to ask'))

await Promise.all([rendezvous.close(), relay.close()])
await rm(folder, { recursive: true })

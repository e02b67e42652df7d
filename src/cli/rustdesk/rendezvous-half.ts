/** The rendezvous server of `relay rustdesk`, with its database. */
import { dirname, resolve } from 'node:path'
import type { Logger } from 'pino'
import { PeerSigner, type ServerKey } from '../../nodes/rustdesk/keys/index.ts'
import { serveRendezvous, type RendezvousServer } from '../../nodes/rustdesk/rendezvous/server.ts'
import { openPeerStore } from '../../nodes/rustdesk/store/peer-store.ts'
import type { Nacl } from '../../crypto/nacl/index.ts'
import { reason } from '../reason.ts'
import { verifyFolder } from './folder.ts'
import type { RustdeskRelaySettings } from './settings.ts'

/** @throws {PeerStoreError} when the database cannot be used; an error of the system when it cannot listen */
export async function startRendezvousHalf (settings: RustdeskRelaySettings, { licence, pair }: ServerKey, nacl: Nacl, log: Logger): Promise<RendezvousServer> {
  const path = resolve(settings.data, settings.database)
  await verifyFolder(dirname(path), 'the folder of the database')
  const store = await openPeerStore({ path, maxRows: settings.maxStored, log }).catch((err: NodeJS.ErrnoException) => { throw err.code === 'ERR_PEER_STORE_LIBSQL' ? err : Object.assign(new Error(`the database ${path} cannot be used: ${reason(err)}`, { cause: err }), { code: err.code }) })
  try {
    const server = await serveRendezvous({ ...settings, store, licence, ...(pair === undefined ? {} : { signer: new PeerSigner({ nacl, pair }), encryption: { nacl, signer: pair } }), log })
    return {
      ...server,
      async close () {
        await server.close()
        await store.close()
      }
    }
  } catch (err) {
    await store.close()
    throw err
  }
}

/** Files of the database of peers, and stores of them, for tests. */
import { createHash } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import Database from 'libsql'
import type { Test } from 'tap'
import type { StoreCommand, ThreadInit } from '../../../src/nodes/rustdesk/store/messages.ts'
import { storeOf, type PeerRecord, type PeerStore, type PeerStoreInit, type StoreThread } from '../../../src/nodes/rustdesk/store/peer-store.ts'
import { serveDatabase } from '../../../src/nodes/rustdesk/store/serve-database.ts'
import { reap } from '../programs/reaper.ts'

let root: string | undefined
let count = 0

/** Where a new database may be: in memory if that can be, as tests are not about the time that a disk takes. It goes with this process. */
export function newDatabasePath (): string {
  if (root === undefined) {
    root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tunpipe-peers-'))
    reap('folder', root)
  }
  const folder = join(root, String(count++))
  mkdirSync(folder)
  return join(folder, 'db_v2.sqlite3')
}

/** In place of a thread: each of those loads all loaders of the test again. */
class Here extends EventEmitter implements StoreThread {
  readonly #port: MessagePort

  constructor (init: ThreadInit) {
    super()
    const { port1, port2 } = new MessageChannel()
    this.#port = port1.on('message', (event) => { this.emit('message', event) }).once('close', () => { this.emit('exit') })
    void serveDatabase(port2, init)
  }

  postMessage (command: StoreCommand): void { this.#port.postMessage(command) }

  async terminate (): Promise<void> {
    this.#port.close()
    await once(this, 'exit')
  }
}

/** A store without a thread, so that it blocks the test while it writes. */
export async function openHere ({ path = newDatabasePath(), ...init }: Partial<PeerStoreInit> = {}): Promise<PeerStore> {
  return await storeOf(new Here({ path, maxRows: init.maxRows ?? Infinity, lockTimeout: init.lockTimeout ?? 5000 }), { path, ...init })
}

/** The same, closed with the test. */
export async function openStore (t: Test, init: Partial<PeerStoreInit> = {}): Promise<PeerStore> {
  const store = await openHere(init)
  t.teardown(async () => { await store.close() })
  return store
}

export const peer = (id: string, more: Partial<Omit<PeerRecord, 'id'>> = {}): PeerRecord =>
  ({ id, uuid: Buffer.from(`uuid of ${id}`), pk: new Uint8Array(32).fill(id.length), ip: '::ffff:192.0.2.1', ...more })

/** What a store has of a peer, as it was put. */
export async function stored (store: PeerStore, id: string): Promise<PeerRecord | undefined> {
  const found = await store.find(id)
  return found === undefined ? undefined : { id: found.id, uuid: Buffer.from(found.uuid), pk: new Uint8Array(found.pk), ip: found.ip }
}

/** Another connection to a database, as that of another program. Text in it has to be UTF-8. */
export function connect (t: Test, path: string): Database.Database {
  const connection = new Database(path, { timeout: 2000 })
  t.teardown(() => {
    if (connection.open) connection.close()
  })
  return connection
}

/** Values of a query, row by row. */
export const rowsOf = (connection: Database.Database, sql: string): unknown[][] => connection.prepare(sql).raw().all() as unknown[][]

/** Its schema, in the words of SQLite, without its layout. */
export const schemaOf = (connection: Database.Database): string[] =>
  rowsOf(connection, 'SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name').map(([sql]) => String(sql).toLowerCase().replace(/\s+/g, ' ').replace(/ ?([(),]) ?/g, '$1'))

/** The one file of a database that nobody has open in this process: its locks would end. */
export const digestOfFile = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

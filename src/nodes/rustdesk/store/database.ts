/** The SQL of `db_v2.sqlite3`, whose schema and settings are those of the original server. All of it blocks, so it belongs into a thread. */
import { randomUUID } from 'node:crypto'
import { accessSync, constants, statSync } from 'node:fs'
import { PeerStoreError } from './errors.ts'
import { faultOf, type FoundRow, type PeerRow, type StoreFault } from './messages.ts'

type Libsql = typeof import('libsql')
type Connection = InstanceType<Libsql>
type Statement = ReturnType<Connection['prepare']>

/** Milliseconds that one call may wait for a lock; longer waits are those of the thread, which serves others meanwhile. */
const LOCK_SLICE = 20

/** Bytes of a value that is read, more than any datagram carries. */
const LONGEST_VALUE = 65_535

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS peer (
    guid blob PRIMARY KEY NOT NULL,
    id varchar(100) NOT NULL,
    uuid blob NOT NULL,
    pk blob NOT NULL,
    created_at datetime NOT NULL DEFAULT (current_timestamp),
    user blob,
    status tinyint,
    note varchar(300),
    info text NOT NULL
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS index_peer_id ON peer (id);
  CREATE INDEX IF NOT EXISTS index_peer_user ON peer (user);
  CREATE INDEX IF NOT EXISTS index_peer_created_at ON peer (created_at);
  CREATE INDEX IF NOT EXISTS index_peer_status ON peer (status);`

/** A value as bytes, whatever its type: the package ends the process at text that is not UTF-8. One byte more than allowed is enough to see it. A part of nothing is NULL. */
const bytesOf = (column: string): string => `coalesce(substr(CAST(${column} AS blob), 1, ${LONGEST_VALUE + 1}), x'')`

const FIND = `SELECT ${['uuid', 'pk', 'info'].map(bytesOf).join(', ')} FROM peer WHERE id = ?`

/** Both change nothing where there is a row of this id with another uuid: the caller sees that by the number of changes. */
const UPDATE = 'UPDATE peer SET pk = ?, info = ? WHERE id = ? AND uuid = ?'
const INSERT = 'INSERT INTO peer (guid, id, uuid, pk, info) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING'

export class PeerDatabase {
  readonly #path: string
  readonly #connection: Connection
  readonly #find: Statement
  readonly #update: Statement
  readonly #insert: Statement
  readonly #exists: Statement
  readonly #count: Statement
  readonly #maxRows: number
  /** As of the start, and those that were added. */
  #rows: number
  /** Device and inode of the file that is open. */
  readonly #file: string | undefined

  /**
   * Opens a database, or makes one. A file that is something else stays as it is.
   *
   * @param path absolute, as the package takes others for addresses
   * @param maxRows there are no more rows
   */
  constructor (Database: Libsql, path: string, maxRows = Infinity) {
    this.#path = path
    this.#maxRows = maxRows
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat?.isFile() === false) throw new PeerStoreError('ERR_PEER_STORE_FAULT', 'the database is not a file')
    if (stat !== undefined) accessSync(path, constants.R_OK | constants.W_OK) // SQLite would only read it, and say so when it is written
    this.#connection = new Database(path, { timeout: LOCK_SLICE })
    try {
      this.#prepareFile()
      this.#find = this.#connection.prepare(FIND).raw()
      this.#update = this.#connection.prepare(UPDATE)
      this.#insert = this.#connection.prepare(INSERT)
      this.#exists = this.#connection.prepare('SELECT 1 FROM peer WHERE id = ?').raw()
      this.#count = this.#connection.prepare('SELECT count(*) FROM peer').raw()
      this.#rows = this.#rowsAtStart()
    } catch (err) {
      this.#connection.close()
      throw err
    }
    this.#file = this.#fileNow()
  }

  find (id: string): FoundRow | undefined {
    this.#checkFile()
    const row = this.#find.get([id]) as Uint8Array[] | undefined
    if (row === undefined) return undefined
    const [uuid, pk, info] = row
    if (row.some(({ length }) => length > LONGEST_VALUE)) throw new PeerStoreError('ERR_PEER_STORE_ROW', `a value in the row of this id has more than ${LONGEST_VALUE} bytes`)
    return { uuid, pk, ip: ipOf(info) }
  }

  count (): number {
    this.#checkFile()
    return this.#countRows()
  }

  /**
   * Writes rows in one transaction, and returns when they are on the disk. Throws when none of them is known to be.
   *
   * @returns what is wrong with each, in their order; undefined where it was written
   */
  putAll (rows: readonly PeerRow[]): Array<StoreFault | undefined> {
    this.#checkFile()
    this.#connection.exec('BEGIN IMMEDIATE')
    const before = this.#rows
    let faults
    try {
      faults = rows.map((row) => this.#putRow(row))
      this.#connection.exec('COMMIT')
    } catch (err) {
      this.#rollBack()
      this.#rows = before
      throw err
    }
    this.#checkFile() // what was written to a file that is gone is lost
    return faults
  }

  /** Leaves all rows in the one file. The package lets go of it only when the thread ends. */
  close (): void {
    try {
      this.#connection.pragma('wal_checkpoint(TRUNCATE)') // reports it when others use the database, who write the rest then
    } finally {
      this.#connection.close()
    }
  }

  #prepareFile (): void {
    const connection = this.#connection
    // reads first, so that a file that is no database of peers is not changed
    const peers = connection.prepare("SELECT type = 'table' FROM sqlite_master WHERE name = 'peer'").raw().get() as [number] | undefined
    if (peers?.[0] === 0) throw new PeerStoreError('ERR_PEER_STORE_FAULT', 'what the database has as peer is no table')
    if (peers !== undefined) connection.prepare('SELECT guid, id, uuid, pk, created_at, user, status, note, info FROM peer LIMIT 0')
    connection.pragma('journal_mode = WAL') // a file system without shared memory has another one; rows are as durable there
    connection.pragma('synchronous = EXTRA') // in WAL mode the same as FULL, the setting of the original; in others the folder is written as well
    connection.exec('BEGIN IMMEDIATE')
    try {
      connection.exec(SCHEMA)
      connection.exec('COMMIT')
    } catch (err) {
      this.#rollBack()
      throw err
    }
  }

  #putRow ({ id, uuid, pk, info }: PeerRow): StoreFault | undefined {
    try {
      if (this.#update.run([pk, info, id, uuid]).changes > 0) return undefined
      if (this.#rows >= this.#maxRows && this.#exists.get([id]) === undefined) return { code: 'ERR_PEER_STORE_FULL', message: `there are ${this.#maxRows} peers already`, sqlite: undefined }
      if (this.#insert.run([newGuid(), id, uuid, pk, info]).changes === 0) return { code: 'ERR_PEER_STORE_UUID', message: 'there is a peer of this id with another uuid', sqlite: undefined }
      this.#rows++
      return undefined
    } catch (err) {
      const fault = faultOf(err)
      if (fault.sqlite?.startsWith('SQLITE_CONSTRAINT') === true && this.#connection.inTransaction) return fault // of this row alone
      throw err
    }
  }

  /** Of a file with damaged pages it is not known: what can be read of it is served all the same. */
  #rowsAtStart (): number {
    try {
      return this.#countRows()
    } catch {
      return 0
    }
  }

  #countRows (): number { return (this.#count.get([]) as [number])[0] }

  #rollBack (): void {
    try {
      if (this.#connection.inTransaction) this.#connection.exec('ROLLBACK')
    } catch {
      // the error before is told; while a transaction is left the next one fails as well
    }
  }

  /** By its name alone: whoever opens and closes the file elsewhere in the process ends all locks on it. */
  #checkFile (): void {
    if (this.#fileNow() !== this.#file) throw new PeerStoreError('ERR_PEER_STORE_REPLACED', `${this.#path} was removed, moved or replaced: start again to use what is there now`)
  }

  #fileNow (): string | undefined {
    const stat = statSync(this.#path, { bigint: true, throwIfNoEntry: false })
    return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`
  }
}

/** 16 bytes of a random UUID. */
const newGuid = (): Uint8Array => Buffer.from(randomUUID().replaceAll('-', ''), 'hex')

/** The address in the column `info`; empty where there is none, as for the original. */
function ipOf (info: Uint8Array): string {
  try {
    const { ip } = JSON.parse(Buffer.from(info).toString()) as { ip?: unknown }
    return typeof ip === 'string' ? ip : ''
  } catch {
    return ''
  }
}

/** Makes a database of peers in a folder, as either server reads it: `peers-database.js FOLDER COUNT`. */
import { join } from 'node:path'
import Database from 'libsql'
import { hostOf, idOf, keyOf, uuidOf } from './wire.js'
import { PeerDatabase } from '../../dist/src/nodes/rustdesk/store/database.js'

/** Rows that are written at once. */
const ROWS = 5000

const [folder, count] = process.argv.slice(2)
const database = new PeerDatabase(Database, join(folder, 'db_v2.sqlite3'))
for (let from = 0; from < Number(count); from += ROWS) {
  database.putAll(Array.from({ length: Math.min(ROWS, Number(count) - from) }, (_, i) => {
    const id = idOf(from + i)
    return { id, uuid: uuidOf(id), pk: keyOf(id), info: JSON.stringify({ ip: hostOf(from + i) }) }
  }))
}
database.close()

/** Faults of the database are errors of what was asked, and change nothing else. */
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'libsql'
import t from 'tap'
import type { Logger } from '../../../../src/log.ts'
import { PeerDatabase } from '../../../../src/nodes/rustdesk/store/database.ts'
import { failureOf } from '../../../helpers/ends.ts'
import { startScript } from '../../../helpers/programs/program.ts'
import { digestOfFile, connect, newDatabasePath, openHere, openStore, peer, rowsOf, schemaOf, stored } from '../../../helpers/rustdesk/peer-database.ts'

t.test('a file that is no database of peers stays as it is', async (t) => {
  for (const [what, make] of Object.entries<(path: string) => void>({
    text: (path) => { writeFileSync(path, 'of no use to anybody, but of some length\n'.repeat(200)) },
    'another table of that name': (path) => {
      const connection = connect(t, path)
      connection.exec('CREATE TABLE peer (id text, name text)')
      connection.close()
    },
    'a view of that name': (path) => {
      const connection = connect(t, path)
      connection.exec('CREATE VIEW peer AS SELECT 1 AS id')
      connection.close()
    }
  })) {
    const path = newDatabasePath()
    make(path)
    const before = digestOfFile(path)
    t.throws(() => new PeerDatabase(Database, path), what)
    t.equal(digestOfFile(path), before, what)
  }
})

t.test('where no file can be', async (t) => {
  const path = newDatabasePath()
  mkdirSync(path)
  t.match(await failureOf(openHere({ path })), { code: 'ERR_PEER_STORE_FAULT', message: /not a file/ })
  t.match(await failureOf(openHere({ path: join(path, 'none', 'db') })), { code: 'ERR_PEER_STORE_FAULT' })
  t.same(readdirSync(path), [])
})

t.test('a name that looks like an address is that of a file', async (t) => {
  const path = join(dirname(newDatabasePath()), 'file:a%41?mode=ro#b')
  await (await openStore(t, { path })).put(peer('abcdef'))
  t.equal(await (await openStore(t, { path })).count(), 1)
  t.ok(existsSync(path))
})

t.test('an empty file, one of another journal, and one of other tables become a database of peers', async (t) => {
  const path = newDatabasePath()
  writeFileSync(path, '')
  await (await openStore(t, { path })).put(peer('abcdef'))
  const old = newDatabasePath()
  const connection = connect(t, old)
  connection.exec('CREATE TABLE other (x)')
  for (const sql of schemaOf(connect(t, path)).filter((sql) => sql.startsWith('create table peer'))) connection.exec(sql)
  connection.exec("INSERT INTO peer (guid, id, uuid, pk, info) VALUES (x'01', 'abcdef', x'02', x'03', '{}')")
  connection.close()
  const store = await openStore(t, { path: old })
  t.same((await stored(store, 'abcdef'))?.uuid, Buffer.from([2]))
  t.same(rowsOf(connect(t, old), "SELECT name FROM sqlite_master WHERE name IN ('other', 'index_peer_id') ORDER BY name"), [['index_peer_id'], ['other']])
})

t.test('a database that another program has locked', async (t) => {
  const path = newDatabasePath()
  const lines: object[] = []
  const log = { error: (fields: object) => { lines.push(fields) } } as unknown as Logger
  const store = await openStore(t, { path, lockTimeout: 300, log })
  await store.put(peer('before'))
  const other = connect(t, path)
  other.exec('BEGIN IMMEDIATE')
  const puts = [store.put(peer('locked1')), store.put(peer('locked2'))].map(failureOf)
  t.same(await stored(store, 'before'), peer('before'), 'what is read does not wait')
  t.same((await Promise.all(puts)).map(({ code }) => code), ['ERR_PEER_STORE_LOCKED', 'ERR_PEER_STORE_LOCKED'])
  t.match(lines, [{ err: { code: 'ERR_PEER_STORE_LOCKED' }, failures: 1 }])
  other.exec('ROLLBACK')
  t.equal(await store.count(), 1)
  await store.put(peer('behind'))

  const patient = await openStore(t, { path, lockTimeout: 60_000 })
  other.exec('BEGIN IMMEDIATE')
  const put = patient.put(peer('waiting'))
  await failureOf(store.put(peer('locked3')))
  other.exec('COMMIT')
  await put
  t.equal(await store.count(), 3)
})

t.test('a database that is locked at the start', async (t) => {
  const path = newDatabasePath()
  const other = connect(t, path)
  other.exec('CREATE TABLE x (y); BEGIN EXCLUSIVE')
  t.equal((await failureOf(openHere({ path, lockTimeout: 100 }))).code, 'ERR_PEER_STORE_LOCKED')
  const waiting = openHere({ path, lockTimeout: 60_000 })
  await failureOf(openHere({ path, lockTimeout: 100 }))
  other.exec('COMMIT')
  await (await waiting).close()
})

t.test('a file that is moved, removed or replaced', async (t) => {
  const path = newDatabasePath()
  const store = await openStore(t, { path })
  await store.put(peer('before'))
  renameSync(path, `${path}.old`)
  const failures = async (): Promise<unknown[]> => (await Promise.allSettled([store.put(peer('behind')), store.find('before'), store.count()])).map((result) => result.status === 'rejected' && result.reason.code)
  t.same(await failures(), Array(3).fill('ERR_PEER_STORE_REPLACED'))
  t.notOk(readdirSync(dirname(path)).includes('db_v2.sqlite3'), 'none is made')
  writeFileSync(path, '')
  t.same(await failures(), Array(3).fill('ERR_PEER_STORE_REPLACED'))
  rmSync(path)
  renameSync(`${path}.old`, path)
  await store.put(peer('behind'))
  t.equal(await store.count(), 2)
})

t.test('a database with damaged pages', async (t) => {
  const path = newDatabasePath()
  const store = await openHere({ path })
  await Promise.all(Array.from({ length: 500 }, (_, i) => store.put(peer(`peer ${i}`))))
  await store.close()
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(statSync(path).size - 3 * 4096, 0xa5), 0, undefined, 3 * 4096)
  closeSync(file)
  const damaged = await openStore(t, { path })
  const results = await Promise.allSettled([damaged.find('peer 7'), damaged.put(peer('peer 8')), damaged.put(peer('later1'))])
  for (const result of results) t.match(result, { status: 'rejected', reason: { code: 'ERR_PEER_STORE_FAULT', sqlite: /^SQLITE_(CORRUPT|NOTADB)/ } })
  rmSync(path)
})

t.test('a table that goes away, and triggers of others', async (t) => {
  const path = newDatabasePath()
  const store = await openStore(t, { path })
  const other = connect(t, path)
  other.exec("CREATE TRIGGER no BEFORE INSERT ON peer WHEN new.id = 'banned' BEGIN SELECT RAISE(ABORT, 'no'); END")
  const results = await Promise.allSettled([store.put(peer('first1')), store.put(peer('banned')), store.put(peer('third1'))])
  t.match(results, [{ status: 'fulfilled' }, { reason: { code: 'ERR_PEER_STORE_FAULT', sqlite: 'SQLITE_CONSTRAINT_TRIGGER' } }, { status: 'fulfilled' }])
  t.equal(await store.count(), 2)
  other.exec('ALTER TABLE peer RENAME TO gone')
  t.match(await failureOf(store.put(peer('fourth'))), { code: 'ERR_PEER_STORE_FAULT', sqlite: 'SQLITE_ERROR' })
  t.match(await failureOf(store.find('first1')), { code: 'ERR_PEER_STORE_FAULT' })
  other.exec('ALTER TABLE gone RENAME TO peer')
  t.same(await stored(store, 'first1'), peer('first1'))
})

t.test('without the package', async (t) => {
  const script = new URL('../../../helpers/rustdesk/peer-writer.ts', import.meta.url).pathname
  const imports = [new URL('../../../helpers/programs/without-libsql.js', import.meta.url).href]
  const { stdout } = await startScript(t, script, [newDatabasePath(), '1'], { imports }).ended
  t.match(stdout, /^closed ERR_PEER_STORE_LIBSQL/)
})

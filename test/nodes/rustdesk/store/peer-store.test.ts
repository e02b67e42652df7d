/** The database of peers: what is put is found, by this store and by the next. */
import fc from 'fast-check'
import t from 'tap'
import { LONGEST_BLOB, LONGEST_ID, openPeerStore } from '../../../../src/nodes/rustdesk/store/peer-store.ts'
import { failureOf } from '../../../helpers/ends.ts'
import { connect, newDatabasePath, openHere, openStore, peer, rowsOf, schemaOf, stored } from '../../../helpers/rustdesk/peer-database.ts'
import { sample } from '../../../helpers/sample.ts'

/** The schema of the original (rustdesk protocol, section 4.1). */
const SCHEMA = [
  'create index index_peer_created_at on peer(created_at)',
  'create unique index index_peer_id on peer(id)',
  'create index index_peer_status on peer(status)',
  'create index index_peer_user on peer(user)',
  'create table peer(guid blob primary key not null,id varchar(100)not null,uuid blob not null,pk blob not null,created_at datetime not null default(current_timestamp),user blob,status tinyint,note varchar(300),info text not null)without rowid'
]

t.test('a peer is put by a thread and found, there and after a restart', async (t) => {
  const path = newDatabasePath()
  const store = await openPeerStore({ path })
  t.equal(await store.find('123456789'), undefined)
  await store.put(peer('123456789'))
  t.same(await stored(store, '123456789'), peer('123456789'))
  t.equal(await store.count(), 1)
  await store.close()
  const next = await openStore(t, { path })
  t.same(await stored(next, '123456789'), peer('123456789'))
})

t.test('the file is that of the original', async (t) => {
  const path = newDatabasePath()
  const store = await openStore(t, { path })
  await store.put(peer('a"b\\é', { ip: '2001:db8::1' }))
  const connection = connect(t, path)
  t.same(schemaOf(connection), SCHEMA)
  t.same(rowsOf(connection, 'PRAGMA journal_mode'), [['wal']])
  const [[guid, id, created, ...rest]] = rowsOf(connection, 'SELECT guid, id, created_at, user, status, note, info FROM peer')
  t.match((guid as Buffer).toString('hex'), /^.{12}4.{3}[89ab].{15}$/, 'a random UUID')
  t.equal(id, 'a"b\\é')
  t.match(created, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
  t.same(rest, [null, null, null, '{"ip":"2001:db8::1"}'])
})

t.test('a later put changes key and address alone, and never the uuid', async (t) => {
  const path = newDatabasePath()
  const store = await openStore(t, { path })
  await store.put(peer('first1'))
  const connection = connect(t, path)
  const [[guid]] = rowsOf(connection, 'SELECT guid FROM peer')
  connection.exec("UPDATE peer SET user = x'0102', status = 1, note = 'of the cellar', created_at = '2020-01-02 03:04:05'")
  await store.put(peer('first1', { pk: Buffer.from('another'), ip: '198.51.100.7' }))
  const err = await failureOf(store.put(peer('first1', { uuid: Buffer.from('stranger'), pk: Buffer.from('stolen') })))
  t.equal(err.code, 'ERR_PEER_STORE_UUID')
  t.same(rowsOf(connection, 'SELECT guid, uuid, pk, created_at, user, status, note, info FROM peer'), [
    [guid, peer('first1').uuid, Buffer.from('another'), '2020-01-02 03:04:05', Buffer.from([1, 2]), 1, 'of the cellar', '{"ip":"198.51.100.7"}']
  ])
})

t.test('in one transaction a row that is wrong harms no other', async (t) => {
  const store = await openStore(t)
  await store.put(peer('taken1'))
  const results = await Promise.allSettled([
    store.put(peer('before')),
    store.put(peer('taken1', { uuid: Buffer.from('stranger') })),
    store.put(peer('twice1')),
    store.put(peer('twice1', { ip: '192.0.2.2' })),
    store.put(peer('behind'))
  ])
  t.same(results.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled'])
  t.equal(await store.count(), 4)
  t.equal((await store.find('twice1'))?.ip, '192.0.2.2', 'the later one')
})

t.test('rows are bounded, those that were there at the start included', async (t) => {
  const path = newDatabasePath()
  const before = await openHere({ path })
  await Promise.all([before.put(peer('first1')), before.put(peer('first2'))])
  await before.close()
  const store = await openStore(t, { path, maxRows: 3 })
  const results = await Promise.allSettled([store.put(peer('third1')), store.put(peer('fourth')), store.put(peer('first1', { pk: Buffer.from('another') }))])
  t.same(results.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled'])
  t.match(results[1], { reason: { code: 'ERR_PEER_STORE_FULL' } })
  t.equal((await failureOf(store.put(peer('first2', { uuid: Buffer.from('stranger') })))).code, 'ERR_PEER_STORE_UUID')
  t.equal((await failureOf(store.put(peer('fifth1')))).code, 'ERR_PEER_STORE_FULL')
  t.equal(await store.count(), 3)
})

t.test('memory of the caller is copied', async (t) => {
  const store = await openStore(t)
  const memory = Buffer.alloc(1 << 20, 1)
  const put = store.put(peer('views1', { uuid: memory.subarray(0, 8), pk: memory.subarray(8, 40) }))
  memory.fill(2)
  await put
  t.same(await stored(store, 'views1'), peer('views1', { uuid: Buffer.alloc(8, 1), pk: new Uint8Array(32).fill(1) }))
})

t.test('rows that others wrote', async (t) => {
  const path = newDatabasePath()
  const store = await openStore(t, { path })
  const connection = connect(t, path)
  const insert = (id: string, uuid: string, info: string): void => { connection.exec(`INSERT INTO peer (guid, id, uuid, pk, info) VALUES (randomblob(16), '${id}', ${uuid}, x'05', ${info})`) }
  for (const [id, info] of Object.entries({ nothing: "''", invalid: "'{\"ip\":'", array: '\'["1.2.3.4"]\'', number: '\'{"ip":5}\'', bytes: "CAST(x'7bff' AS text)", nested: `'${'['.repeat(60_000)}'` })) {
    insert(id, "x'01'", info)
    t.same(await stored(store, id), peer(id, { uuid: Buffer.from([1]), pk: new Uint8Array([5]), ip: '' }), `info: ${id}`)
  }
  insert('more', "x'01'", '\'{"name":"x","ip":"192.0.2.9"}\'')
  t.equal((await store.find('more'))?.ip, '192.0.2.9')
  insert('text', "CAST(x'ff41' AS text)", "'{}'")
  t.same((await stored(store, 'text'))?.uuid, Buffer.from([0xff, 0x41]), 'text is read as bytes, of which the package would die')
  insert('count', '42', "'{}'")
  t.same((await stored(store, 'count'))?.uuid, Buffer.from('42'))
  insert('empty', "x''", "'{}'")
  t.same((await stored(store, 'empty'))?.uuid, Buffer.alloc(0))
  insert('large', 'zeroblob(65535)', "'{}'")
  t.equal((await store.find('large'))?.uuid.length, 65_535)
  insert('huge', 'zeroblob(5000000)', "'{}'")
  t.equal((await failureOf(store.find('huge'))).code, 'ERR_PEER_STORE_ROW')
})

t.test('what fits into no row', async (t) => {
  const store = await openStore(t)
  const longest = peer('i'.repeat(LONGEST_ID), { uuid: Buffer.alloc(LONGEST_BLOB, 1), pk: new Uint8Array(LONGEST_BLOB), ip: 'f'.repeat(64) })
  await store.put(longest)
  t.same(await stored(store, longest.id), longest)
  const wrong = [peer(''), peer('i'.repeat(LONGEST_ID + 1)), peer('lone \ud800'), ...[0, LONGEST_BLOB + 1].flatMap((size) => [peer('abcdef', { uuid: Buffer.alloc(size) }), peer('abcdef', { pk: Buffer.alloc(size) })]), peer('abcdef', { ip: 'f'.repeat(65) })]
  for (const record of wrong) t.equal((await failureOf(store.put(record))).code, 'ERR_PEER_STORE_RECORD')
  for (const id of ['', 'i'.repeat(LONGEST_ID + 1)]) t.equal((await failureOf(store.find(id))).code, 'ERR_PEER_STORE_RECORD')
  t.equal(await store.count(), 1)
})

t.test('what waits is bounded in number and bytes', async (t) => {
  const store = await openStore(t, { maxQueued: 10, maxQueuedBytes: 4000 })
  const many = await Promise.allSettled(Array.from({ length: 12 }, (_, i) => store.find(`peer ${i}`)))
  t.same(many.map(({ status }) => status), [...Array(10).fill('fulfilled'), 'rejected', 'rejected'])
  const large = Array.from({ length: 3 }, (_, i) => store.put(peer(`large ${i}`, { uuid: Buffer.alloc(LONGEST_BLOB, 1), pk: Buffer.alloc(LONGEST_BLOB) })))
  const results = await Promise.allSettled(large)
  t.same(results.map((result) => result.status === 'rejected' ? result.reason.code : result.status), ['fulfilled', 'ERR_PEER_STORE_BUSY', 'ERR_PEER_STORE_BUSY'])
  t.same(store.queued, { requests: 0, bytes: 0 })
  await store.put(peer('later1'))
  t.equal(await store.count(), 2)
})

t.test('close drains, and takes nothing more', async (t) => {
  const path = newDatabasePath()
  const store = await openHere({ path })
  const puts = Array.from({ length: 2500 }, (_, i) => store.put(peer(`peer ${i}`)))
  const found = store.find('peer 1')
  const closed = Promise.all([store.close(), store.close()])
  t.equal((await failureOf(store.put(peer('later1')))).code, 'ERR_PEER_STORE_CLOSED')
  t.equal((await failureOf(store.find('peer 1'))).code, 'ERR_PEER_STORE_CLOSED')
  await Promise.all([...puts, found, closed])
  const next = await openStore(t, { path })
  t.equal(await next.count(), 2500)
})

t.test('any order of puts gives what a table in memory has', async (t) => {
  const store = await openStore(t)
  let run = 0
  const blob = fc.uint8Array({ minLength: 1, maxLength: 40 })
  const action = fc.record({ id: fc.integer({ min: 0, max: 5 }), uuid: fc.constantFrom('one', 'two'), pk: blob, ip: fc.ipV4() })
  await fc.assert(fc.asyncProperty(fc.array(fc.array(action, { maxLength: 6 }), { maxLength: 6 }), fc.string({ unit: 'grapheme', maxLength: 20 }), async (turns, name) => {
    const prefix = `${run++} ${name} `
    const table = new Map<string, { uuid: string, pk: Uint8Array, ip: string }>()
    for (const turn of turns) {
      const expected = turn.map(({ id, uuid, pk, ip }) => {
        const isOwner = (table.get(prefix + id)?.uuid ?? uuid) === uuid
        if (isOwner) table.set(prefix + id, { uuid, pk, ip })
        return isOwner ? 'fulfilled' : 'rejected'
      })
      const results = await Promise.allSettled(turn.map(({ id, uuid, ...record }) => store.put({ id: prefix + id, uuid: Buffer.from(uuid), ...record })))
      t.same(results.map(({ status }) => status), expected)
    }
    for (const [id, { uuid, pk, ip }] of table) t.same(await stored(store, id), { id, uuid: Buffer.from(uuid), pk, ip })
  }), { numRuns: sample('orders', { short: 15, long: 500 }) })
})

t.test('a large database', async (t) => {
  const rows = sample('rows', { short: 5000, long: 100_000 })
  const path = newDatabasePath()
  await (await openHere({ path })).close()
  const connection = connect(t, path)
  connection.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) INSERT INTO peer (guid, id, uuid, pk, info) SELECT randomblob(16), 'peer' || i, 'uuid' || i, randomblob(32), '{}' FROM n`)
  connection.close()
  const begin = performance.now()
  const store = await openStore(t, { path })
  t.comment(`${rows} rows open after ${Math.round(performance.now() - begin)} ms`)
  t.equal(await store.count(), rows)
  t.same((await stored(store, `peer${rows}`))?.uuid, Buffer.from(`uuid${rows}`))
})

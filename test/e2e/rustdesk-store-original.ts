/**
 * The database of peers with the real hbbs, where that is. Nobody has it by chance, so this is no part of the suite. It listens on all
 * addresses and contacts its vendor at the start, so this runs in a network namespace of its own, as root:
 *
 * `unshare -n sh -c 'ip link set lo up; HBBS_BIN=/usr/bin/hbbs npx tap --timeout=300 test/e2e/rustdesk-store-original.ts'`
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { isPrivate } from '../helpers/natpass/private-network.ts'
import { newHome } from '../helpers/programs/homes.ts'
import { startScript } from '../helpers/programs/program.ts'
import { HBBS_BIN, OK, register, startHbbs, stopHbbs, UUID_MISMATCH } from '../helpers/rustdesk/original-hbbs.ts'
import { connect, openStore, rowsOf, schemaOf, stored } from '../helpers/rustdesk/peer-database.ts'
import { openPeerStore } from '../../src/nodes/rustdesk/store/peer-store.ts'

const KEY = new Uint8Array(32).fill(1)
const OTHER_KEY = new Uint8Array(32).fill(2)
const LOOPBACK = '::ffff:127.0.0.1'
const TIMEOUT = 120_000

const record = (id: string, uuid: string, pk = KEY) => ({ id, uuid: Buffer.from(uuid), pk, ip: LOOPBACK })

if (HBBS_BIN === undefined) t.plan(0, 'only when asked for: set HBBS_BIN')
else if (!isPrivate()) t.plan(0, 'it listens on all addresses: run it in a network namespace of its own')
else {
  await t.test('its database, here and back', { timeout: TIMEOUT }, async (t) => {
    const folder = newHome()
    const path = join(folder, 'db_v2.sqlite3')
    let hbbs = await startHbbs(t, folder)
    t.equal(await register(t, 'theirs', 'uuid 1', KEY), OK)
    await stopHbbs(hbbs)
    t.ok(existsSync(`${path}-wal`), 'it leaves that')
    const store = await openPeerStore({ path })
    t.same(await stored(store, 'theirs'), record('theirs', 'uuid 1'))
    await store.put(record('theirs', 'uuid 1', OTHER_KEY))
    await store.put(record('fromus', 'uuid 2'))
    await store.close()

    hbbs = await startHbbs(t, folder)
    t.equal(await register(t, 'fromus', 'another', KEY), UUID_MISMATCH)
    t.equal(await register(t, 'fromus', 'uuid 2', KEY), OK)
    t.equal(await register(t, 'theirs', 'another', KEY), UUID_MISMATCH)
    t.equal(await register(t, 'theirs', 'uuid 1', OTHER_KEY), OK)
    t.equal(await register(t, 'second', 'uuid 3', KEY), OK)
    await stopHbbs(hbbs, 'SIGTERM')
    const again = await openStore(t, { path })
    t.same(await stored(again, 'second'), record('second', 'uuid 3'))
    t.equal(await again.count(), 3)
  })

  await t.test('a database of ours, also of a process that was killed', { timeout: TIMEOUT }, async (t) => {
    const folder = newHome()
    const path = join(folder, 'db_v2.sqlite3')
    const writer = startScript(t, fileURLToPath(new URL('../helpers/rustdesk/peer-writer.ts', import.meta.url)), [path])
    await writer.find(/\+peer-3-3\n/)
    writer.signal('SIGKILL')
    await writer.ended
    t.ok(existsSync(`${path}-wal`))
    await startHbbs(t, folder)
    t.equal(await register(t, 'peer-3-3', 'another', KEY), UUID_MISMATCH)
    t.equal(await register(t, 'peer-2-2', 'uuid of peer-2-2', KEY), OK)
  })

  await t.test('both at once', { timeout: TIMEOUT }, async (t) => {
    const folder = newHome()
    const path = join(folder, 'db_v2.sqlite3')
    const hbbs = await startHbbs(t, folder)
    const store = await openStore(t, { path })
    for (let i = 0; i < 5; i++) {
      t.equal(await register(t, `theirs ${i}`, `uuid ${i}`, KEY), OK)
      await store.put(record(`ours ${i}`, `uuid ${i}`))
      t.same(await stored(store, `theirs ${i}`), record(`theirs ${i}`, `uuid ${i}`))
      t.equal(await register(t, `ours ${i}`, 'another', KEY), UUID_MISMATCH)
    }
    t.equal(hbbs.child.exitCode, null)
  })

  await t.test('the schemas are the same', { timeout: TIMEOUT }, async (t) => {
    const [theirs, ours] = [newHome(), newHome()].map((folder) => join(folder, 'db_v2.sqlite3'))
    await stopHbbs(await startHbbs(t, join(theirs, '..')))
    await openStore(t, { path: ours })
    const [original, own] = [theirs, ours].map((path) => connect(t, path))
    t.same(schemaOf(own), schemaOf(original))
    for (const sql of ['PRAGMA table_xinfo(peer)', 'PRAGMA index_list(peer)', 'PRAGMA journal_mode', 'PRAGMA page_size', 'PRAGMA auto_vacuum', 'PRAGMA encoding']) t.same(rowsOf(own, sql), rowsOf(original, sql), sql)
  })
}

/** What was acknowledged is in the database, however the process and the disk end. */
import { chmodSync, existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { STRIP_TYPES } from '../../../helpers/programs/executables.ts'
import { startCommand, startScript, type Program } from '../../../helpers/programs/program.ts'
import { connect, newDatabasePath, openStore, rowsOf, stored } from '../../../helpers/rustdesk/peer-database.ts'
import { sample } from '../../../helpers/sample.ts'

const writer = fileURLToPath(new URL('../../../helpers/rustdesk/peer-writer.ts', import.meta.url))

/** Ids that the process has said to be written. */
const acknowledged = (program: Program): string[] => [...program.stdout.matchAll(/^\+(.*)\n/gm)].map(([, id]) => id)

/** All of them are there, as they were put. */
async function check (t: Test, path: string, ids: readonly string[]): Promise<void> {
  const store = await openStore(t, { path })
  for (const id of ids) if ((await stored(store, id))?.uuid.toString() !== `uuid of ${id}`) t.fail(`${id} is lost`)
  t.ok(await store.count() >= ids.length)
  await store.put({ id: 'later1', uuid: Buffer.from('u'), pk: Buffer.from('p'), ip: '' })
  t.same(rowsOf(connect(t, path), 'PRAGMA integrity_check'), [['ok']])
}

t.test('a process that is killed while it writes', async (t) => {
  for (let i = 0; i < sample('kills', { short: 2, long: 30 }); i++) {
    const path = newDatabasePath()
    const program = startScript(t, writer, [path])
    await program.find(new RegExp(`\\+peer-${5 + i * 7}-3\n`))
    program.signal('SIGKILL')
    await program.ended
    t.ok(existsSync(`${path}-wal`), 'what it leaves')
    await check(t, path, acknowledged(program))
  }
})

t.test('a disk that gets full', { skip: process.platform === 'win32' }, async (t) => {
  const path = newDatabasePath()
  const shell = 'ulimit -f 300; exec "$@"' // blocks of 512 bytes or of 1 KiB; Node does not end by the signal
  const program = startCommand(t, 'sh', ['-c', shell, 'sh', process.execPath, ...STRIP_TYPES, writer, path, '200'])
  const { stdout } = await program.ended
  t.match(stdout, /^-peer-\S+ ERR_PEER_STORE_FAULT SQLITE_(FULL|IOERR\w*)$/m)
  t.match(stdout, /^first: 192\.0\.2\.1\nclosed\n$/m, 'it goes on')
  const ids = acknowledged(program)
  t.ok(ids.length > 20)
  await check(t, path, ids)
})

t.test('a database that cannot be written', { skip: process.platform === 'win32' }, async (t) => {
  const path = newDatabasePath()
  await (await openStore(t, { path })).close()
  chmodSync(path, 0o400)
  const bound = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : [] // permissions bind this root
  const [command, ...args] = [...bound, process.execPath, ...STRIP_TYPES, writer, path, '1']
  t.equal((await startCommand(t, command, args).ended).stdout, 'closed ERR_PEER_STORE_FAULT EACCES\n')
})

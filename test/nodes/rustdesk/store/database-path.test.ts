/** Forms of `DB_URL`. */
import t from 'tap'
import { databasePath } from '../../../../src/nodes/rustdesk/store/database-path.ts'

t.test('forms that name a file', async (t) => {
  for (const [url, path] of Object.entries({
    './db_v2.sqlite3': './db_v2.sqlite3',
    '/data/db_v2.sqlite3': '/data/db_v2.sqlite3',
    'sqlite:db.sqlite3': 'db.sqlite3',
    'sqlite://db.sqlite3': 'db.sqlite3',
    'sqlite:///data/db.sqlite3?mode=rwc&cache=shared': '/data/db.sqlite3',
    '/data/a%20b%3F.sqlite3?mode=rw': '/data/a b?.sqlite3',
    'C:\\data\\db.sqlite3': 'C:\\data\\db.sqlite3'
  })) t.equal(databasePath(url), path)
})

t.test('forms that name none', async (t) => {
  for (const url of ['', 'sqlite:', ':memory:', 'sqlite::memory:', 'db?mode=memory', 'db?mode=ro', 'db?immutable=1', 'db?toString=x', 'db?mode', 'a%zz', 'a%ff', 'a%00b']) {
    t.throws(() => databasePath(url), { code: 'ERR_OPTION' }, url)
  }
})

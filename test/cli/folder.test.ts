import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../../src/cli/folder.ts'

t.test('makes what is missing, for its owner only', async (t) => {
  const root = t.testdir({ file: '' })
  makeFolder(join(root, 'a/b/c'))
  for (const path of ['a', 'a/b', 'a/b/c']) t.equal((statSync(join(root, path)).mode & 0o777).toString(8), '700', path)
  makeFolder(join(root, 'a/b/c'))
  mkdirSync(join(root, 'open'), { mode: 0o755 })
  makeFolder(join(root, 'open'))
  t.equal((statSync(join(root, 'open')).mode & 0o777).toString(8), '755', 'what is there stays as it is')
  t.throws(() => { makeFolder(join(root, 'file')) }, { code: 'EEXIST' })
  t.throws(() => { makeFolder(join(root, 'file/x')) }, { code: 'ENOTDIR' })
  t.throws(() => { makeFolder('/proc/tunpipe/x') }, { code: /ENOENT|EACCES|EPERM/ }, 'returns where nothing can be made')
})

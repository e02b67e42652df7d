/** Files that cannot be executed are known before a process is made. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { verifyExecutable } from '../../../../../src/nodes/natpass/peer/shell/executable.ts'

t.test('programs and scripts', async (t) => {
  await verifyExecutable('/bin/sh')
  const folder = t.testdir()
  const script = (name: string, text: string, mode = 0o755): string => {
    const path = join(folder, name)
    writeFileSync(path, text)
    chmodSync(path, mode)
    return path
  }
  await verifyExecutable(script('plain', '#!/bin/sh\n'))
  await verifyExecutable(script('spaces', '#! \t/bin/sh -e\n'))
  await verifyExecutable(script('twice', `#!${join(folder, 'plain')}\n`))
  await verifyExecutable(script('none', 'echo\n'))
  await verifyExecutable(script('empty', ''))
  mkdirSync(join(folder, 'folder'))
  const refused = [
    '/nonexistent', folder, join(folder, 'folder'), join(folder, 'plain/x'), 'a\0b',
    script('lost', '#!/nonexistent/interpreter\n'), script('to-folder', `#!${folder}\n`), script('endless', `#!${join(folder, 'endless')}\n`),
    script('not-for-anybody', '#!/bin/sh\n', 0o644)
  ]
  for (const path of refused) await t.rejects(verifyExecutable(path), { code: 'ERR_SHELL_START' }, path)
})

/** Much output, under a slow reader, while the size changes. */
import { createHash } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { random } from '../../../../helpers/bytes.ts'
import { turn } from '../../../../helpers/ends.ts'
import { skipWithoutPty, startTestShell } from '../../../../helpers/natpass/pty.ts'
import { sample } from '../../../../helpers/sample.ts'

const BLOCK = 1 << 20

t.test('output arrives whole', { skip: skipWithoutPty }, async (t) => {
  const blocks = sample('MB of output', { short: 20, long: 100 })
  const below = random(11)
  const folder = t.testdir()
  const [data, script] = [join(folder, 'data'), join(folder, 'script')]
  const block = Uint8Array.from({ length: BLOCK }, () => below(256))
  writeFileSync(data, block)
  writeFileSync(script, `#!/bin/sh\nstty raw -echo\nfor i in $(seq ${blocks}); do cat '${data}'; done\nexit 4\n`)
  chmodSync(script, 0o755)
  const sent = createHash('sha256')
  for (let i = 0; i < blocks; i++) sent.update(block)

  const shell = await startTestShell(t, { exec: script })
  const received = createHash('sha256')
  let size = 0
  for await (const batch of shell.link.source) {
    for (const bytes of batch) {
      received.update(bytes)
      size += bytes.length
    }
    for (let turns = below(8) === 0 ? 20 : 0; turns > 0; turns--) await turn()
    if (below(100) === 0) shell.resize(1 + below(300), 1 + below(300))
  }
  t.equal(size, blocks * BLOCK)
  t.equal(received.digest('hex'), sent.digest('hex'))
  t.same(await shell.exited, { code: 4, signal: undefined })
})

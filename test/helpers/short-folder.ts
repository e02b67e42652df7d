import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** A folder for sockets, removed with the test: the path of one has 107 bytes at most, and that of a checkout may be long. */
export function shortFolder (t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'tunpipe-'))
  t.teardown(() => { rmSync(path, { recursive: true, force: true }) })
  return path
}

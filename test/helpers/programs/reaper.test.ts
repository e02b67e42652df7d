import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { canRun } from '../network/requirements.ts'
import { eventually } from '../network/traffic.ts'
import type { Left } from './abandoned.ts'
import { startScript } from './program.ts'

/** A process that has ended stays in /proc until its parent asks for it. */
function isRunning (pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

function there ({ pids, namespaces, folder }: Left): unknown[] {
  const all = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n').map((line) => line.split(' ')[0])
  return [...pids.filter(isRunning), ...namespaces.filter((name) => all.includes(name)), ...[folder].filter(existsSync)]
}

if (await canRun(t)) {
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
    t.test(`a test file that ends by ${signal} leaves nothing`, { timeout: 60_000 }, async (t) => {
      const file = startScript(t, fileURLToPath(new URL('abandoned.ts', import.meta.url)))
      const [, json] = await file.find(/^ *left (.*)$/m)
      const left: Left = JSON.parse(json)
      t.same(there(left), [...left.pids, ...left.namespaces, left.folder])
      file.signal(signal)
      await file.ended // with the process that removes what is left: it has the same stderr
      t.ok(await eventually(async () => there(left).length === 0), `left: ${there(left).join(', ')}`)
    })
  }
}

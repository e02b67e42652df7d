/**
 * Waits for the end of the process that has started it, however that ends, and removes what it has left: groups of processes, network
 * namespaces with all that runs in them, folders. Started by reaper.ts; each line of standard input is `+` or `-`, a kind and a name.
 */
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** @param {number} pid negative: of a group */
function kill (pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (err) {
    if (err.code !== 'ESRCH') throw err
  }
}

function ip (...args) {
  try {
    return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch { // it has not been made yet
    return ''
  }
}

const remove = {
  group: (id) => { kill(-Number(id)) },
  namespace: (name) => {
    for (const pid of ip('netns', 'pids', name).split('\n')) if (pid !== '') kill(Number(pid))
    ip('netns', 'del', name)
  },
  folder: (path) => { rmSync(path, { recursive: true, force: true }) }
}

const left = new Map(Object.keys(remove).map((kind) => [kind, new Set()]))
for await (const line of createInterface({ input: process.stdin })) {
  const [sign, kind, ...name] = line.split(' ')
  if (sign === '+') left.get(kind).add(name.join(' '))
  else left.get(kind).delete(name.join(' '))
}
for (const [kind, names] of left) for (const name of names) remove[kind](name)

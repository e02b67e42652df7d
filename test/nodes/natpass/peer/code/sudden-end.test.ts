/** A peer that is killed leaves nothing running: code-server, the process of a desktop, shells. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join as joinPath } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../../../../helpers/ends.ts'
import { SECRET } from '../../../../helpers/natpass/client.ts'
import { CodeBrowser, installCodeServer } from '../../../../helpers/natpass/code.ts'
import { startPeer } from '../../../../helpers/natpass/peers.ts'
import { skipWithoutPty } from '../../../../helpers/natpass/pty.ts'
import { serve } from '../../../../helpers/natpass/serve.ts'
import { newHome } from '../../../../helpers/programs/homes.ts'
import { startProgram, type Program } from '../../../../helpers/programs/program.ts'
import { skipWithoutX11, startX } from '../../../../helpers/x11.ts'
import type { NatpassPeer } from '../../../../../src/nodes/natpass/peer/peer.ts'
import { AsyncQueue } from '../../../../../src/streams/async-queue.ts'

const options = { skip: process.platform === 'linux' ? false : 'reads /proc' }

installCodeServer(t)

interface Process { readonly pid: number, readonly parent: number, readonly isRunning: boolean }

function processes (): Process[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const [, state, parent] = /^.*\) (\w) (\d+) /s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? []
      return [{ pid: Number(pid), parent: Number(parent), isRunning: state !== 'Z' }]
    } catch {
      return [] // it has ended
    }
  })
}

/** All that a process has started, directly or not. */
function startedBy (pid: number, all = processes()): number[] {
  return all.filter(({ parent }) => parent === pid).flatMap((child) => [child.pid, ...startedBy(child.pid, all)])
}

const areGone = (pids: readonly number[]): boolean => !processes().some(({ pid, isRunning }) => isRunning && pids.includes(pid))

/** A program that serves, and a peer that uses it. */
async function world (t: Test, type: 'code-server' | 'shell' | 'vnc', name: string, env: Record<string, string> = {}): Promise<{ program: Program, laptop: NatpassPeer }> {
  const { port } = await serve(t)
  const program = startProgram(t, 'peer', ['natpass', '--server', `127.0.0.1:${port}`, '--secret', SECRET, '--id', 'nas', '--allow', 'code,shell,vnc', '--codedir', joinPath(newHome(), 'code')], { env })
  await program.find(/^ready natpass tcp:/m)
  return { program, laptop: await startPeer(t, port, { id: 'laptop', rules: [{ name, target: 'nas', type }] }) }
}

/** Kills the peer; all that it had started has to end. */
async function endsWithPeer (t: Test, { child }: Program): Promise<void> {
  const pids = startedBy(child.pid as number)
  t.ok(pids.length > 0, `${pids.length} processes`)
  child.kill('SIGKILL')
  await until(() => areGone(pids))
}

for (const name of ['ide', 'stays']) {
  t.test(`code-server${name === 'stays' ? ' that does not end by SIGTERM' : ''}, and the folder of its socket`, options, async (t) => {
    const { program, laptop } = await world(t, 'code-server', name)
    const browser = new CodeBrowser(laptop.status().rules[0].url ?? '')
    await browser.open(`/forward/${name}/`)
    const { pid, arguments: args } = JSON.parse((await browser.get(`/forward/${name}/request`)).text) as { pid: number, arguments: string[] }
    t.ok(startedBy(program.child.pid as number).includes(pid))
    const folder = dirname(args[args.indexOf('--socket') + 1])
    t.ok(existsSync(folder))
    await endsWithPeer(t, program)
    t.notOk(existsSync(folder))
  })
}

t.test('code-server that does not listen yet', options, async (t) => {
  const { program, laptop } = await world(t, 'code-server', 'hangs')
  const browser = new CodeBrowser(laptop.status().rules[0].url ?? '')
  browser.open('/forward/hangs/').catch(() => {})
  await until(() => startedBy(program.child.pid as number).length > 1)
  await endsWithPeer(t, program)
})

t.test('a shell and what runs in it', { skip: options.skip || skipWithoutPty }, async (t) => {
  const { program, laptop } = await world(t, 'shell', 'sh')
  const [{ link }, input] = [await laptop.openShell('sh'), new AsyncQueue()]
  link.sink(input).catch(() => {})
  input.push(Buffer.from('sleep 1000 & sleep 1000\n'))
  await until(() => startedBy(program.child.pid as number).length === 3)
  await endsWithPeer(t, program)
})

t.test('the process of a desktop', { skip: options.skip || skipWithoutX11 }, async (t) => {
  const { env } = await startX(t)
  const { program, laptop } = await world(t, 'vnc', 'desk', env)
  const asked = await fetch(`${laptop.status().rules[0].url}/new`, { method: 'POST' })
  t.equal(asked.status, 200)
  await endsWithPeer(t, program)
})

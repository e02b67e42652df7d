/** The units and the container file, as far as that can be told without a system that runs them. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createPeerCommand } from '../src/cli/peer-command.ts'
import { createRelayCommand } from '../src/cli/relay-command.ts'
import { parse } from '../src/cli/command.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const units = readdirSync(join(root, 'packaging/systemd')).filter((name) => name.endsWith('.service'))
const read = (unit: string): string => readFileSync(join(root, 'packaging/systemd', unit), 'utf8')
const missing = spawnSync('systemd-analyze', ['--version']).status === 0 || process.env.CI === 'true' ? false : 'no program systemd-analyze'

t.test('systemd understands the units', { skip: missing }, async (t) => {
  t.equal(units.length, 3)
  for (const unit of units) {
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', join(root, 'packaging/systemd', unit)], { encoding: 'utf8' })
    t.same({ status, complaints: stderr.split('\n').filter((line) => line.includes(unit)) }, { status: 0, complaints: [] }, unit)
  }
})

t.test('the commands in the units are commands', async (t) => {
  for (const unit of units) {
    const commands = [...read(unit).matchAll(/^Exec\w+=\/usr\/bin\/env (relay|peer) (.*)$/gm)]
    t.ok(commands.length > 0, unit)
    for (const [, program, words] of commands) {
      let ran = 0
      const run = (): void => { ran++ }
      parse(program === 'relay' ? createRelayCommand(run, run) : createPeerCommand(run, run), words.split(' '))
      t.equal(ran, 1, words)
    }
  }
})

t.test('a unit of one of several peers differs by its name only', async (t) => {
  t.equal(read('tunpipe-peer@.service').replace(/^#.*\n/, '').replaceAll('-%i', '').replaceAll(' %i', ''), read('tunpipe-peer.service').replace(/^#.*\n/, ''))
})

t.test('what the container file copies is there', async (t) => {
  const sources = [...readFileSync(join(root, 'packaging/Containerfile'), 'utf8').matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, words]) => words.split(' '))
  t.ok(sources.length > 5)
  for (const source of sources) t.ok(existsSync(join(root, source)), source)
})

t.test('the health check of the container is that of whichever program runs there', async (t) => {
  const [, command] = /^HEALTHCHECK .*CMD (\[.*\])$/m.exec(readFileSync(join(root, 'packaging/Containerfile'), 'utf8')) ?? []
  const [shell, ...args] = JSON.parse(command)
  const check = (relay: number, peer: number): number | null => {
    const bin = t.testdir({})
    for (const [name, code] of Object.entries({ relay, peer })) writeFileSync(join(bin, name), `#!/bin/sh\ntest "$*" = "status --check" && exit ${code}\nexit 9\n`, { mode: 0o755 })
    return spawnSync(shell, args, { env: { PATH: `${bin}:${process.env.PATH ?? ''}` } }).status
  }
  t.equal(check(0, 3), 0, 'a relay')
  t.equal(check(1, 3), 1, 'a relay that is not well')
  t.equal(check(3, 0), 0, 'a peer')
  t.equal(check(3, 1), 1, 'a peer that is offline')
  t.equal(check(3, 3), 1, 'neither')
  t.equal(check(1, 0), 1, 'a relay that is not well beside a peer')
})

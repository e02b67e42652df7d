/**
 * Our relay with the real programs of natpass, where those are. Nobody has them by chance, so this is no part of the suite. They listen on
 * all addresses, so it runs in a network namespace of its own, as root:
 *
 * `unshare -n sh -c 'ip link set lo up; NATPASS_SERVER_BIN=/usr/bin/np-svr NATPASS_CLIENT_BIN=/usr/bin/np-cli npx tap --timeout=900 test/e2e/natpass-originals.ts'`
 *
 * `SECONDS_OF_LOAD` is how long each load lasts, 5 when it is not set. What the original server does in the same cases is told in comments.
 */
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { freePorts } from '../helpers/free-ports.ts'
import { isRefused } from '../helpers/gotunnel/wire.ts'
import { digestOfLines, endOf, linesAtOnce, linesInBlocks, type NumberedLines } from '../helpers/natpass/numbered-lines.ts'
import { kill, NATPASS_CLIENT_BIN, NATPASS_SERVER_BIN, startOriginalClient, type OriginalRule } from '../helpers/natpass/original.ts'
import { isPrivate } from '../helpers/natpass/private-network.ts'
import { startOriginal, startRelay, type ServerUnderTest } from '../helpers/natpass/servers.ts'
import { ask, ShellUser } from '../helpers/natpass/shell-user.ts'
import { eventually } from '../helpers/network/traffic.ts'
import type { Program } from '../helpers/programs/program.ts'

const LOAD = Number(process.env.SECONDS_OF_LOAD ?? 5)
const TIMEOUT = 120_000 + LOAD * 4000

/** Lines of 20 bytes: 100 MB. */
const MANY_LINES = 5_000_000
const SHELLS = 4
/** Lines that each shell writes ten times a second. */
const BLOCK = 10_000
/** More than the links that a relay lets a client have. */
const MANY_BENCHES = 1100
/** Seconds. */
const STANDSTILL = 20

const shellRule = (port: number, name = 'shell'): OriginalRule => ({ name, target: 'remote', type: 'shell', local_port: port, exec: '/bin/sh', env: ['TERM=vt220', 'GREETING=hello'] })

interface Pair {
  local: Program
  remote: Program
  /** Where the rule of shells listens. */
  shell: number
  bench: number
}

async function startPair (t: Test, server: number): Promise<Pair> {
  const [shell, bench] = await freePorts(2)
  const remote = await startOriginalClient(t, { server, id: 'remote' })
  const local = await startOriginalClient(t, { server, id: 'local', rules: [shellRule(shell), { name: 'bench', target: 'remote', type: 'bench', local_port: bench }] })
  const first = await ShellUser.openSoon(t, shell)
  first.type('exit\n')
  return { local, remote, shell, bench }
}

/** What has come of output, in a few words. */
const summary = ({ count, gaps }: NumberedLines): string => `${count} lines, ${gaps.length} gaps${gaps.length === 0 ? '' : `, the first at ${gaps[0]}`}`

if (NATPASS_CLIENT_BIN === undefined) t.plan(0, 'only when asked for: set NATPASS_CLIENT_BIN, and NATPASS_SERVER_BIN to compare with')
else if (!isPrivate()) t.plan(0, 'they listen on all addresses: run it in a network namespace of its own')
else {
  const servers: Array<[name: string, start: (t: Test) => Promise<ServerUnderTest>, isOurs: boolean]> = [['our relay', (t) => startRelay(t), true]]
  if (NATPASS_SERVER_BIN !== undefined) servers.push(['the original server', startOriginal, false])
  for (const [name, start, isOurs] of servers) {
    await t.test(`two real clients at ${name}`, { timeout: TIMEOUT }, async (t) => {
      const { program, port } = await start(t)
      const pair = await startPair(t, port)
      await t.test('a shell', (t) => shellSession(t, pair))
      await t.test('100 MB of output', { timeout: TIMEOUT }, (t) => manyBytes(t, pair, isOurs))
      await t.test(`${SHELLS} shells for ${LOAD} s`, { timeout: TIMEOUT }, (t) => manyShells(t, pair, isOurs))
      await t.test('the rule bench', (t) => benches(t, pair))
      t.equal(program.child.exitCode, null)
    })
  }

  await t.test('our relay ends, and is back', { timeout: TIMEOUT }, async (t) => {
    const { program, port } = await startRelay(t)
    const { local, remote, shell } = await startPair(t, port)
    const user = await ShellUser.open(t, shell)
    await user.quiet()
    await kill(program)
    for (const client of [local, remote]) await client.find(/read message: EOF|read message: .*reset/)
    await startRelay(t, `127.0.0.1:${port}`)
    await t.rejects(ShellUser.open(t, shell), /502 timeout/, 'a real client does not connect again')
    t.same([local.child.exitCode, remote.child.exitCode], [null, null], 'nor ends, without its dashboard')
    await Promise.all([kill(local), kill(remote)])
    const again = await startPair(t, port)
    await (await ShellUser.open(t, again.shell)).quiet()
  })

  await t.test('a target that is not there', async (t) => {
    const { port } = await startRelay(t)
    const [shell] = await freePorts(1)
    await startOriginalClient(t, { server: port, id: 'local', rules: [shellRule(shell)] })
    t.ok(await eventually(async () => !await isRefused(shell)), 'its page is there')
    await t.rejects(ShellUser.open(t, shell), { message: '502 remote is not connected' })
  })

  await t.test('a wrong secret', async (t) => {
    const { program, port } = await startRelay(t)
    const stranger = await startOriginalClient(t, { server: port, id: 'stranger', secret: 'another' })
    await stranger.find(/read message: EOF/)
    await program.find(/"reason":"secret"/, 'stderr')
  })

  await t.test('two real clients of one id', { timeout: TIMEOUT }, async (t) => {
    const { program, port } = await startRelay(t)
    const { remote, shell } = await startPair(t, port)
    const user = await ShellUser.open(t, shell)
    await user.quiet()
    const newcomer = await startOriginalClient(t, { server: port, id: 'remote' })
    await remote.find(/read message: EOF/)
    await program.find(/"id":"remote".*"reason":"replaced"/, 'stderr')
    const next = await ShellUser.openSoon(t, shell)
    await next.quiet()
    next.type('echo pid=$PPID\n')
    t.equal(Number((await next.hears(/pid=(\d+)\n/))[1]), newcomer.child.pid, 'a shell of the newcomer')
  })

  await t.test('a control end that stands still, while another goes on', { timeout: TIMEOUT }, async (t) => {
    for (const [name, start, isOurs] of servers) {
      for (const block of [BLOCK / 10, BLOCK]) await t.test(`${name}, blocks of ${block} lines`, { timeout: TIMEOUT }, (t) => standstill(t, { start, isOurs, block }))
    }
  })
}

async function shellSession (t: Test, { shell }: Pair): Promise<void> {
  const user = await ShellUser.open(t, shell)
  t.match(user.id, /^[0-9a-f]{16}$/)
  user.type('echo $TERM-$GREETING-$((6 * 7))\n')
  await user.hears(/vt220-hello-42\r\n/)
  t.equal(await user.resize(33, 101), 'ok')
  user.type('stty size\n')
  await user.hears(/33 101\r\n/)
  await user.quiet()
  user.type('cat > /dev/null; echo "still here"\n')
  for (let i = 0; i < 200; i++) user.type(`${'x'.repeat(999)}\n`)
  user.type('\x04')
  await user.hears(/still here/)
  user.type('exit\n')
}

async function manyBytes (t: Test, { shell }: Pair, isOurs: boolean): Promise<void> {
  const user = await ShellUser.open(t, shell)
  await user.quiet()
  const begin = performance.now()
  const lines = await user.lines(linesAtOnce(MANY_LINES))
  const end = await endOf(lines)
  t.comment(`${summary(lines)}; ${end}; ${Math.round(performance.now() - begin)} ms`)
  if (!isOurs) return
  t.same([end, lines.count, lines.gaps.slice(0, 3)], ['whole', MANY_LINES, []])
  t.equal(lines.digest(), digestOfLines(MANY_LINES))
}

async function manyShells (t: Test, { shell }: Pair, isOurs: boolean): Promise<void> {
  const blocks = LOAD * 10
  const users = await Promise.all(Array.from({ length: SHELLS }, () => ShellUser.open(t, shell)))
  const all = await Promise.all(users.map(async (user) => {
    await user.quiet()
    return await user.lines(linesInBlocks(blocks, BLOCK))
  }))
  const ends = await Promise.all(all.map(endOf))
  for (const [i, lines] of all.entries()) t.comment(`${summary(lines)}; ${ends[i]}`)
  if (isOurs) t.same(all.map(({ count, gaps }, i) => [ends[i], count, gaps.length]), Array(SHELLS).fill(['whole', blocks * BLOCK, 0]))
  for (const user of users) user.type('exit\n')
}

async function benches (t: Test, { bench, shell }: Pair): Promise<void> {
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(bench, '/')))
  t.equal(new Set(answers.map(({ text }) => /^[0-9a-f]{16}$/.exec(text)?.[0])).size, 50)
  for (let i = 0; i < MANY_BENCHES; i++) await ask(bench, '/')
  t.equal(await ShellUser.open(t, shell).then(() => 'open', (err: Error) => err.message), 'open', 'links of benches, which no client ends, leave room for others')
}

async function standstill (t: Test, { start, isOurs, block }: { start: (t: Test) => Promise<ServerUnderTest>, isOurs: boolean, block: number }): Promise<void> {
  const { port } = await start(t)
  const { remote, shell } = await startPair(t, port)
  const [other] = await freePorts(1)
  const sleeper = await startOriginalClient(t, { server: port, id: 'sleeper', rules: [shellRule(other, 'other')] })
  const [user, left] = [await ShellUser.open(t, shell), await ShellUser.openSoon(t, other)]
  await Promise.all([user.quiet(), left.quiet()])
  const abandoned = await left.lines(linesInBlocks(STANDSTILL * 10, 10 * BLOCK))
  sleeper.signal('SIGSTOP')
  let longest = 0
  let last = performance.now()
  const lines = await user.lines(linesInBlocks(STANDSTILL * 10, block))
  user.socket.on('message', () => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  })
  const end = await Promise.race([lines.ended.then(() => 'whole'), delay(STANDSTILL * 2000, 'not at its end')])
  longest = Math.max(longest, performance.now() - last)
  t.comment(`${summary(lines)}, ${end} after ${STANDSTILL * 2} s at most; the longest pause had ${Math.round(longest)} ms; ${abandoned.count} lines to the one that stands still`)
  t.equal(remote.child.exitCode, null)
  if (!isOurs) return
  t.same([end, lines.gaps.slice(0, 3)], ['whole', []])
  t.ok(!isOurs || longest < 15_000, 'its sender waits 10 seconds for the one that does not read, and no longer')
}

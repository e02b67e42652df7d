/**
 * Our relay and real clients of natpass on a slow way: frames reach them whole, and nothing is missing. No part of the suite, as
 * `natpass-originals.ts`, which tells how to run it. `SECONDS_OF_LOAD` is 60 here when it is not set.
 */
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { freePort } from '../helpers/free-ports.ts'
import { endOf, LINE_BYTES, linesInBlocks, type NumberedLines } from '../helpers/natpass/numbered-lines.ts'
import { NATPASS_CLIENT_BIN, NATPASS_SERVER_BIN, startOriginalClient } from '../helpers/natpass/original.ts'
import { isPrivate } from '../helpers/natpass/private-network.ts'
import { startOriginal, startRelay, type ServerUnderTest } from '../helpers/natpass/servers.ts'
import { ShellUser } from '../helpers/natpass/shell-user.ts'
import { slowWay } from '../helpers/natpass/slow-way.ts'

const LOAD = Number(process.env.SECONDS_OF_LOAD ?? 60)
const TIMEOUT = 120_000 + LOAD * 4000

const BITS = 2_000_000
/** Bytes of output a second: what the way can take less a quarter, and twice as much as it can take. */
const RATES = { moderate: BITS / 8 * 0.75, excessive: BITS / 8 * 2 }

/**
 * Seconds of output that is too much. What is left over has to find room in the relay and in the kernel, some megabytes: when that is full, the
 * kernel lets the sender write again only once a third of its buffer is free, for which a real client does not wait.
 */
const EXCESS = Math.min(LOAD, 20)

/** How long a real client waits for room for a message, when nobody tells it. */
const ORIGINAL_DEFAULT = '1s'

/** Milliseconds for another shell to answer. */
const PATIENCE = 15_000

const summary = ({ count, gaps }: NumberedLines): string => `${count} lines, ${gaps.length} gaps${gaps.length === 0 ? '' : `, the first at ${gaps[0]}`}`

if (NATPASS_CLIENT_BIN === undefined) t.plan(0, 'only when asked for: set NATPASS_CLIENT_BIN, and NATPASS_SERVER_BIN to compare with')
else if (!isPrivate()) t.plan(0, 'they listen on all addresses: run it in a network namespace of its own')
else {
  const servers: Array<[name: string, start: (t: Test) => Promise<ServerUnderTest>, isOurs: boolean]> = [['our relay', (t) => startRelay(t, '0.0.0.0:0'), true]]
  if (NATPASS_SERVER_BIN !== undefined) servers.push(['the original server', startOriginal, false])
  for (const [name, start, isOurs] of servers) {
    for (const slowEnd of ['control end', 'controlled end'] as const) {
      for (const [kind, rate] of Object.entries(RATES)) {
        await t.test(`${name}: the ${slowEnd} on a slow way, ${kind} output`, { timeout: TIMEOUT }, (t) => slowSession(t, { start, slowEnd, rate, seconds: kind === 'excessive' ? EXCESS : LOAD, isStrict: isOurs }))
      }
    }
  }
}

interface SessionInit {
  start: (t: Test) => Promise<ServerUnderTest>
  slowEnd: 'control end' | 'controlled end'
  /** Bytes a second. */
  rate: number
  seconds: number
  isStrict: boolean
}

async function slowSession (t: Test, { start, slowEnd, rate, seconds, isStrict }: SessionInit): Promise<void> {
  const way = await slowWay(t, BITS)
  const { port, program } = await start(t)
  const behind = { server: `${way.near}:${port}`, namespace: way.namespace, writeTimeout: ORIGINAL_DEFAULT }
  const here = { server: port, writeTimeout: ORIGINAL_DEFAULT }
  const rulePort = await freePort()
  const isControlSlow = slowEnd === 'control end'
  const rule = { name: 'shell', target: 'remote', type: 'shell' as const, local_port: rulePort, local_addr: isControlSlow ? way.fast : '127.0.0.1', exec: '/bin/sh' }
  const remote = await startOriginalClient(t, { id: 'remote', ...isControlSlow ? here : behind })
  const local = await startOriginalClient(t, { id: 'local', rules: [rule], ...isControlSlow ? behind : here })
  const user = await ShellUser.openSoon(t, rulePort, isControlSlow ? way.fast : undefined)
  await user.quiet()
  const blocks = seconds * 10
  const lines = await user.lines(linesInBlocks(blocks, Math.round(rate / 10 / LINE_BYTES)))
  const end = await endOf(lines)
  t.comment(`${summary(lines)}; ${end}`)
  for (const [name, client] of Object.entries({ remote, local })) {
    const complaints = client.stdout.split('\n').filter((line) => /checksum|drop message|write message error|too many timeout|read message: |disconnected|read data on shell|write data/.test(line))
    t.comment(`${name}: ${complaints.length} complaints${complaints.length === 0 ? '' : `, the first: ${complaints[0].slice(0, 200)}`}`)
  }
  const next = await ShellUser.open(t, rulePort, isControlSlow ? way.fast : undefined).then(async (next) => await Promise.race([next.quiet().then(() => 'works'), delay(PATIENCE, 'is silent')]), (err: Error) => `is refused: ${err.message}`)
  t.comment(`then another shell ${next}`)
  if (!isStrict) return
  t.equal(program.child.exitCode, null)
  t.equal(next, 'works', 'both clients are still there')
  t.same(lines.gaps.slice(0, 3), [], 'nothing is missing')
  t.equal(end, 'whole')
}

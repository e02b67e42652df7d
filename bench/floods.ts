/**
 * What a flood of tiny frames does to others: the way of a packet between an honest pair, with one worker and two. With two the flood
 * comes over several connections, so that the worker of the pair has some of them, wherever the system deals them out.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { BenchProcess } from './lib/process.ts'
import { Probe, type Way } from './relay/load.ts'
import type { Run } from './lib/run.ts'

/** A stranger's connection is ended for the last two. */
const KINDS = ['ping', 'pong', 'text', 'empty', 'unknown', 'VMAC', 'AUTH', 'DHCP', 'FORWARD', 'DISCOVERY']
const WHO = ['stranger', 'member']

/** Connections of a flood where two workers share them: all with one of the two once in 128 times. */
const CONNECTIONS = 8
const NONE = 'no flood'

/** Milliseconds between two packets, and before the first one, for the flood to fill what it can. */
const INTERVAL = 5
const RISE = 500

const password = randomBytes(8).toString('hex')

interface Subject {
  name: string
  flood?: [kind: string, who: string]
}

const subjects = (full: boolean): Subject[] => [
  { name: NONE },
  ...WHO.flatMap((who) => (full ? KINDS : who === 'stranger' ? ['ping', 'VMAC'] : ['ping', 'AUTH', 'FORWARD', 'DISCOVERY']).map((kind): Subject => ({ name: `${kind} of a ${who}`, flood: [kind, who] })))
]

async function attack ({ port }: Way, [kind, who]: [string, string], connections: number): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL('./floods/attacker.ts', import.meta.url)), [String(port), password, kind, who, String(connections)])
  await once(child, 'message')
  child.send('go')
  await delay(RISE)
  return child
}

/** Milliseconds that each of so many packets takes. */
async function measure (way: Way, probe: Probe, count: number, { name, flood }: Subject, connections: number): Promise<number[]> {
  const attacker = flood === undefined ? undefined : await attack(way, flood, connections)
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    times.push(await probe.once())
    await delay(INTERVAL)
  }
  if (attacker !== undefined) {
    const [exit, told] = [once(attacker, 'exit'), once(attacker, 'message')]
    attacker.send('stop')
    const [{ sent }] = await told as [{ sent: number }]
    await exit
    if (sent === 0) throw new Error(`${name}: nothing of the flood could be sent`)
  }
  return times.toSorted((a, b) => a - b)
}

export async function floodsBench (run: Run): Promise<void> {
  for (const workers of [1, 2]) {
    if (workers > 1 && process.platform !== 'linux') {
      run.leaveOut('two workers', 'only Linux deals connections out')
      continue
    }
    const relay = await BenchProcess.start('relay/tunpipe-relay.js', { BENCH_PASSWORD: password, BENCH_WORKERS: String(workers) })
    const way = { port: relay.port, password, tls: false }
    const probe = await Probe.open(way, randomInt(0x0a00_0001, 0x0aff_fffe))
    const all = subjects(run.full)
    const name = `a packet of an honest pair, ${workers === 1 ? '1 worker' : `${workers} workers`}`
    const figures = await run.inTurn(name, { rounds: run.rounds(2, 5), warmUps: 1 }, all, (subject) => measure(way, probe, run.full ? 200 : 100, subject, workers === 1 ? 1 : CONNECTIONS))
    for (const [label, part] of [['p50', 0.5], ['p99', 0.99]] as const) {
      run.add({ name: `${name}, ${label}`, unit: 'ms', lessIsBetter: true }, all.map(({ name }, i) => ({
        of: name, ours: true, encrypted: false, values: figures[i].map((times) => times[Math.floor(times.length * part)]), against: i > 0 ? [NONE] : []
      })))
    }
    run.add({ name: `${name}, packets lost`, unit: 'packets', lessIsBetter: true }, [{ of: 'all floods', ours: true, encrypted: false, values: [probe.lost] }])
    probe.close()
    await relay.stop()
  }
}

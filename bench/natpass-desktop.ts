/**
 * A desktop of 1280 x 720 pixels of a real X server, Xvfb, through a relay: how soon the first picture is there, pictures a second and their
 * price in processor time while 10 % of the blocks change, and what is sent while nothing changes.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { cpuOf } from './lib/proc.ts'
import { BenchProcess } from './lib/process.ts'
import type { Run } from './lib/run.ts'
import { Viewer } from './natpass-desktop/viewer.ts'

const [WIDTH, HEIGHT] = [1280, 720]
const BLOCKS = Math.ceil(WIDTH / 64) * Math.ceil(HEIGHT / 64)
/** Where the painter begins. */
const PLACE = 64
const RATES = [20, 50]
const QUALITIES = [50, 100]
const NAME = `${WIDTH} x ${HEIGHT}`

async function startX (): Promise<{ display: string, process: ChildProcess }> {
  const xvfb = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', `${WIDTH}x${HEIGHT}x24`, '-nolisten', 'tcp', '-noreset', '-ac'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
  process.once('exit', () => { xvfb.kill() })
  const [number] = await Promise.race([once(xvfb.stdio[3] as Readable, 'data'), once(xvfb, 'exit').then(() => { throw new Error('Xvfb has ended') })])
  return { display: `:${String(number).trim()}`, process: xvfb }
}

/** Microseconds of processor time of a process and of those that it has started. */
const cpuOfAll = (pid: number): number => [String(pid), ...readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)].reduce((sum, one) => sum + cpuOf(Number(one)), 0)

interface Machine {
  peer: BenchProcess
  painter: BenchProcess
  open: (init?: { fps?: number, quality?: number }) => Promise<Viewer>
}

interface Figures {
  pictures: number
  cores: number
}

async function pictures ({ peer, painter, open }: Machine, init: { fps: number, quality: number }, milliseconds: number): Promise<Figures> {
  const viewer = await open(init)
  await viewer.until(({ blocks }) => blocks >= BLOCKS)
  painter.tell({ paint: true })
  await viewer.until(({ pictures }) => pictures > 5)
  const [cpu, before, since] = [cpuOfAll(peer.pid), viewer.seen.pictures, performance.now()]
  await delay(milliseconds)
  const begun = viewer.seen.pictures
  await viewer.until(({ pictures }) => pictures > begun) // from one picture to another: a part of a period would count as none
  const [spent, seen, time] = [cpuOfAll(peer.pid) - cpu, viewer.seen.pictures - before, performance.now() - since]
  painter.tell({ paint: false })
  await viewer.close()
  return { pictures: seen / time * 1000, cores: spent / time / 1000 }
}

async function firstPicture ({ open }: Machine): Promise<number> {
  const since = performance.now()
  const viewer = await open()
  await viewer.until(({ blocks }) => blocks >= BLOCKS)
  const time = performance.now() - since
  await viewer.close()
  return time
}

async function silence ({ open }: Machine, milliseconds: number): Promise<number> {
  const viewer = await open()
  await viewer.until(({ blocks }) => blocks >= BLOCKS)
  await delay(200) // what is painted last
  const before = viewer.seen.bytes
  await delay(milliseconds)
  const bytes = viewer.seen.bytes - before
  await viewer.close()
  return bytes
}

async function measure (run: Run, machine: Machine): Promise<void> {
  const OURS = { name: 'tunpipe' }
  const time = run.full ? 5000 : 2000
  const first = await run.inTurn(`${NAME}, first picture`, { rounds: run.rounds(5, 9), warmUps: 1 }, [OURS], () => firstPicture(machine))
  run.add({ name: `${NAME}, from the request to the whole first picture`, unit: 'ms', lessIsBetter: true }, [{ of: OURS.name, ours: true, values: first[0] }])
  for (const quality of QUALITIES) {
    for (const fps of RATES) {
      const name = `${NAME}, 10 % of the blocks change, ${quality === 100 ? 'raw' : `JPEG of quality ${quality}`}, ${fps} pictures a second asked for`
      const [figures] = await run.inTurn(name, { rounds: run.rounds(3, 7), warmUps: 1 }, [OURS], () => pictures(machine, { fps, quality }, time))
      run.add({ name, unit: 'pictures/s' }, [{ of: OURS.name, ours: true, values: figures.map(({ pictures }) => pictures) }])
      run.add({ name: `${name}: processor time of the peer and its process`, unit: 'cores', lessIsBetter: true }, [{ of: OURS.name, ours: true, values: figures.map(({ cores }) => cores) }])
    }
  }
  const [still] = await run.inTurn(`${NAME}, nothing changes`, { rounds: run.rounds(3, 5) }, [OURS], () => silence(machine, time))
  run.add({ name: `${NAME}, nothing changes: sent in ${time / 1000} s`, unit: 'B', lessIsBetter: true }, [{ of: OURS.name, ours: true, values: still }])
}

export async function desktopBench (run: Run): Promise<void> {
  const x = await startX().catch((err: unknown) => { run.leaveOut('desktops', `Xvfb does not start: ${String(err)}`) })
  if (x === undefined) return
  const secret = randomBytes(8).toString('hex')
  const relay = await BenchProcess.start('natpass-relay/tunpipe-relay.js', { BENCH_PASSWORD: secret })
  const peer = await BenchProcess.start('natpass-desktop/peer.js', { BENCH_PASSWORD: secret, BENCH_TARGET: String(relay.port), DISPLAY: x.display })
  const painter = await BenchProcess.start('natpass-desktop/painter.js', { DISPLAY: x.display })
  try {
    await measure(run, { peer, painter, open: ({ fps = 50, quality = 50 } = {}) => Viewer.open(relay.port, secret, { fps, quality, place: PLACE }) })
  } finally {
    for (const each of [painter, peer, relay]) await each.stop()
    x.process.kill()
  }
}

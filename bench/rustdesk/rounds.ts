/** Rounds of loads, and what they cost servers. */
import { SERVER_HOST, type ServerLab } from './lab.ts'
import type { Server } from './servers.ts'
import { pinApart, unpin } from '../lib/pin.ts'
import type { BenchProcess } from '../lib/process.ts'
import { beside } from '../lib/row.ts'
import type { Run } from '../lib/run.ts'

/** What a load has done in a round. All that was begun has ended. */
export interface Done {
  count: number
  /** Milliseconds. */
  elapsed: number
  /** The share of a core that the load itself has taken. */
  load: number
}

interface Figures {
  perSecond: number
  perCpuSecond: number
  /** % of a core. */
  load: number
}

interface RoundsInit {
  /** Of the case. */
  name: string
  /** What is counted. */
  unit: string
  /** How much of the unit the load counts once. Default: 1. */
  scale?: number
  /** The script of the load. */
  script: string
  env?: (server: Server) => Record<string, string>
  /** What the load is told for each round. */
  message: object
  warmUps?: number
}

/** Starts the load of a server. */
export const startLoad = (lab: ServerLab, server: Server, script: string, env: Record<string, string> = {}): Promise<BenchProcess> =>
  lab.script(script, { BENCH_HOST: SERVER_HOST, BENCH_PORT: String(server.port), ...env })

/** Tells a load something, and gives what it has done. Rejects with what went wrong there. */
export async function tellLoad<T extends { count: number }> (load: BenchProcess, message: object): Promise<T> {
  const answer = await load.ask<T | { error: string }>(message)
  if ('error' in answer) throw new Error(answer.error)
  return answer
}

async function round (server: Server, load: BenchProcess, message: object): Promise<Figures> {
  const before = server.cpu()
  const { count, elapsed, load: share } = await tellLoad<Done>(load, message)
  return { perSecond: count / elapsed * 1e3, perCpuSecond: count / (server.cpu() - before) * 1e6, load: share * 100 }
}

/**
 * Loads servers in turn. Rows: what is done in a second; in a second of the server's processor time; and what the load takes of its core,
 * which bounds the first of them when it comes near 100 %.
 */
export async function compareRounds (run: Run, lab: ServerLab, servers: readonly Server[], { name, unit, scale = 1, script, env, message, warmUps = 2 }: RoundsInit): Promise<void> {
  const loads = await Promise.all(servers.map((server) => startLoad(lab, server, script, env?.(server))))
  pinApart(run, servers.map(({ pid }) => pid), loads.map(({ pid }) => pid))
  const figures = await run.inTurn(name, { rounds: run.rounds(3, 9), warmUps }, servers, (server) => round(server, loads[servers.indexOf(server)], message))
  const each = (pick: (figures: Figures) => number): number[][] => figures.map((rounds) => rounds.map(pick))
  run.add({ name, unit: `${unit}/s` }, beside(servers, each(({ perSecond }) => perSecond * scale)))
  run.add({ name, unit: `${unit}/CPU-s` }, beside(servers, each(({ perCpuSecond }) => perCpuSecond * scale)))
  run.add({ name: `${name}: the load, of its core`, unit: '%' }, servers.map(({ name, ours }, i) => ({ of: name, ours, values: figures[i].map(({ load }) => load) })))
  unpin()
  for (const load of loads) await load.stop()
}

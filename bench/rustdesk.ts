/**
 * What the servers of RustDesk do for their processor time, beside the least that one would write in Node, and beside the originals where
 * `HBBS_BIN` and `HBBR_BIN` name these.
 *
 * All servers run as programs of their own during the whole run and are loaded in turn, on one core, and their load on another.
 */
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { isInstalled } from './tun/installed.ts'
import { ServerLab } from './rustdesk/lab.ts'
import { manyPeers } from './rustdesk/memory.ts'
import { pairMemory, throughput } from './rustdesk/relay.ts'
import { presence, punches, registrations } from './rustdesk/rendezvous.ts'
import { readRows, type Rows } from './rustdesk/rows.ts'
import { originalRelay, originalRendezvous, ourRelay, ourRendezvous, plainRelay, Server, type ServerInit } from './rustdesk/servers.ts'
import type { Run } from './lib/run.ts'

/** Of the first server; each next one is above it. */
const PORT = 21_116
const STEP = 10

/** An empty variable names none. Programs are started in folders of their own. */
function programOf (variable: string): string | undefined {
  const { [variable]: path = '' } = process.env
  return path === '' ? undefined : resolve(path)
}

function rendezvousInits (run: Run): ServerInit[] {
  const program = programOf('HBBS_BIN')
  if (program === undefined) run.leaveOut('the original rendezvous server', 'HBBS_BIN names none')
  return [ourRendezvous(PORT), ...program === undefined ? [] : [originalRendezvous(program, PORT + STEP)]]
}

function relayInits (run: Run): ServerInit[] {
  const program = programOf('HBBR_BIN')
  if (program === undefined) run.leaveOut('the original relay', 'HBBR_BIN names none')
  return [ourRelay(PORT), plainRelay(PORT + STEP), ...program === undefined ? [] : [originalRelay(program, PORT + 2 * STEP)]]
}

const startAll = (lab: ServerLab, inits: readonly ServerInit[]): Promise<Server[]> => Promise.all(inits.map((init) => Server.start(lab, init)))

const stopAll = (servers: readonly Server[]): Promise<void[]> => Promise.all(servers.map((server) => server.stop()))

async function relays (run: Run, lab: ServerLab): Promise<void> {
  const servers = await startAll(lab, relayInits(run))
  await throughput(run, lab, servers)
  await pairMemory(run, lab, servers)
  await stopAll(servers)
}

async function rendezvous (run: Run, lab: ServerLab, wanted: ReadonlySet<Rows>): Promise<void> {
  const inits = rendezvousInits(run)
  const servers = await startAll(lab, inits)
  if (wanted.has('presence')) await presence(run, lab, servers, PORT + 2 * STEP)
  if (wanted.has('punches')) await punches(run, lab, servers)
  if (wanted.has('registrations')) await registrations(run, lab, servers)
  await stopAll(servers)
  if (wanted.has('peers')) await manyPeers(run, lab, inits)
}

function isResolved (name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name)
    return true
  } catch {
    return false
  }
}

/** What this machine lacks for any of it. */
function missing (): string[] {
  const packages = ['koffi', 'libsql'].filter((name) => !isResolved(name))
  return [...process.platform === 'linux' && process.getuid?.() === 0 ? [] : ['root on Linux'], ...isInstalled('ip') ? [] : ['ip'], ...packages]
}

export async function rustdeskBench (run: Run): Promise<void> {
  const needs = missing()
  if (needs.length > 0) {
    run.leaveOut('all of it', `it needs ${needs.join(', ')}`)
    return
  }
  const wanted = readRows(process.env.BENCH_ROWS)
  const lab = await ServerLab.open()
  try {
    if (wanted.has('relay')) await relays(run, lab)
    if (wanted.size > (wanted.has('relay') ? 1 : 0)) await rendezvous(run, lab, wanted)
  } finally {
    await lab.close()
  }
}

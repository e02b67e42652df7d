/**
 * Packets from one interface to another: two peers and a relay in three network namespaces, beside the plain path between these and
 * other tunnels that there are here. All are set up for the whole run and loaded in turn.
 */
import { existsSync } from 'node:fs'
import { isInstalled } from './tun/installed.ts'
import { freshPings } from './tun/fresh.ts'
import { Lab } from './tun/lab.ts'
import { loadedPings, pings, tcp, udp } from './tun/load.ts'
import { openvpn } from './tun/openvpn.ts'
import { originalCandy } from './tun/original-candy.ts'
import { candy, candyDirect, type FreshTunnel, least, plain, sealed, socat, type Tunnel, WAYS } from './tun/tunnels.ts'
import { wireguard } from './tun/wireguard.ts'
import { wireguardBinaries, type Binary } from './tun/wireguard-binaries.ts'
import type { Options } from './lib/options.ts'
import { CANDY_BIN } from '../test/helpers/candy/original.ts'
import { beside, summary, type Case, type Contestant } from './lib/row.ts'
import type { Run } from './lib/run.ts'

const LOST = { unit: '%', lessIsBetter: true }

/** Ours are compared with what is encrypted if they are so themselves, and always with what is not. */
function compared (run: Run, what: Case, tunnels: Tunnel[], figures: number[][]): void {
  const rivals = (encrypted: boolean): string[] => tunnels.filter((tunnel) => tunnel.ours !== true && tunnel.encrypted === encrypted).map(({ name }) => name)
  run.add(what, tunnels.map(({ name, ours, encrypted }, i) => ({ of: name, ours, encrypted, values: figures[i], against: ours === true ? [...encrypted ? rivals(true) : [], ...rivals(false)] : [] })))
}

/** Without a comparison, as what is lost may be nothing. */
function told (run: Run, what: Case, tunnels: Tunnel[], figures: number[][]): void {
  run.add(what, tunnels.map(({ name, ours, encrypted }, i) => ({ of: name, ours, encrypted, values: figures[i] })))
}

const each = <T>(results: T[][], figure: (result: T) => number): number[][] => results.map((rounds) => rounds.map(figure))

const roundsOf = (run: Run): { rounds: number } => ({ rounds: run.rounds(1, 3) })

/** What is compiled while it runs has been, and every way has been tried, before anything is measured. */
async function warmUp (run: Run, tunnels: Tunnel[]): Promise<void> {
  await run.inTurn('warming up', { rounds: 1 }, tunnels, (tunnel) => tcp(tunnel, run.full ? 3 : 1, 0))
}

/** One stream through each. */
async function streams (run: Run, tunnels: Tunnel[]): Promise<void> {
  const name = 'one TCP stream'
  const results = await run.inTurn(name, roundsOf(run), tunnels, (tunnel) => tcp(tunnel, run.full ? 3 : 1))
  compared(run, { name, unit: 'Gbit/s' }, tunnels, each(results, ({ rate }) => rate / 1e9))
  told(run, { name: `${name}, sent again`, ...LOST }, tunnels, each(results, ({ retransmitted }) => retransmitted * 100))
}

/** There and back while nothing else goes on, and beside a stream that takes what it can get. */
async function latency (run: Run, tunnels: Tunnel[], hops: Tunnel[]): Promise<void> {
  const count = run.full ? 100 : 40
  const idle = [...hops, ...tunnels]
  const ms = { unit: 'ms', lessIsBetter: true }
  const times = await run.inTurn('ping, idle', roundsOf(run), idle, async (tunnel) => summary(await pings(tunnel, count, 0.01)))
  compared(run, { name: 'ping, idle', ...ms }, idle, each(times, ({ value }) => value))
  const loaded = await run.inTurn('ping beside a TCP stream', roundsOf(run), tunnels, async (tunnel) => summary(await loadedPings(tunnel, count, 0.02)))
  compared(run, { name: 'ping beside a TCP stream', ...ms }, tunnels, each(loaded, ({ value }) => value))
  compared(run, { name: 'ping beside a TCP stream, the worst', ...ms }, tunnels, each(loaded, ({ max }) => max))
}

/** A tunnel whose programs are started anew for each round. */
interface Startable extends Contestant {
  encrypted: boolean
  start (): Promise<FreshTunnel>
}

/** There and back through programs that have carried nothing before. */
async function freshLatency (run: Run, lab: Lab, wireguards: readonly Binary[]): Promise<void> {
  const name = 'ping, idle, fresh programs'
  const startable: Startable[] = [
    { name: 'tunpipe, ws', ours: true, encrypted: false, start: () => candy(lab, 'ws') },
    { name: 'tunpipe, direct', ours: true, encrypted: true, start: () => candyDirect(lab) }
  ]
  if (CANDY_BIN !== undefined) for (const way of ['relayed', 'direct'] as const) startable.push({ name: `candy, ${way}`, encrypted: way === 'direct', start: () => originalCandy(lab, way) })
  const [newest] = wireguards
  if (newest !== undefined) startable.push({ name: newest.name, encrypted: true, start: () => wireguard(lab, newest.path, newest.name) })
  const figures = await run.inTurn(name, roundsOf(run), startable, ({ start }) => freshPings(start, run.full ? 200 : 100, 0.01))
  run.add({ name, unit: 'ms', lessIsBetter: true }, beside(startable, figures))
}

/** The same on a way of 20 Mbit/s, with a stream that fills whatever buffer there is until it loses something. From then on the lab is slow. */
async function slowWay (run: Run, lab: Lab, tunnels: Tunnel[]): Promise<void> {
  const name = 'ping beside a TCP stream (cubic) on a way of 20 Mbit/s'
  if (!await lab.slow('20mbit')) {
    run.leaveOut(name, 'this kernel has no token bucket filter')
    return
  }
  const times = await run.inTurn(name, roundsOf(run), tunnels, async (tunnel) => summary(await loadedPings(tunnel, 100, 0.02, { congestion: 'cubic', settle: 2 })))
  compared(run, { name, unit: 'ms', lessIsBetter: true }, tunnels, each(times, ({ value }) => value))
}

/** The rate from which on more is lost than arrives in addition, and the loss at 60 % of that. */
async function datagrams (run: Run, all: Tunnel[]): Promise<void> {
  const name = 'UDP of 1300 bytes'
  const tunnels = all.filter(({ breaksWhenFull }) => breaksWhenFull !== true)
  for (const tunnel of all) if (!tunnels.includes(tunnel)) run.leaveOut(`${name}: ${tunnel.name}`, 'it loses its connection when more comes than it can send')
  const results = await run.inTurn(name, roundsOf(run), tunnels, async (tunnel) => {
    const { rate } = await udp(tunnel, 20e9, 1)
    const { lost, missed } = await udp(tunnel, rate * 0.6, run.full ? 2 : 1)
    return { rate, lost, missed }
  })
  compared(run, { name: `${name}, most that arrives`, unit: 'Gbit/s' }, tunnels, each(results, ({ rate }) => rate / 1e9))
  told(run, { name: `${name}, lost on the way at 60 % of that`, ...LOST }, tunnels, each(results, ({ lost }) => lost * 100))
  const others = tunnels.flatMap((tunnel, i) => tunnel.isOfDatagrams === true ? [] : [{ tunnel, rounds: results[i] }])
  told(run, { name: `${name}, lost in the receiver's socket at 60 % of that`, ...LOST }, others.map(({ tunnel }) => tunnel), others.map(({ rounds }) => rounds.map(({ missed = 0 }) => missed * 100)))
}

/** Sets up whatever there is to compare with. One that cannot be set up is told, and the others go on. */
async function rivals (run: Run, lab: Lab, wireguards: readonly Binary[]): Promise<Tunnel[]> {
  const tunnels: Tunnel[] = []
  const attempt = (name: string, tunnel: Promise<Tunnel>): Promise<void> => tunnel.then((tunnel) => { tunnels.push(tunnel) }, (err: unknown) => { run.fail(name, err) })
  for (const { path, name } of wireguards) await attempt(name, wireguard(lab, path, name))
  if (!isInstalled('openvpn')) run.leaveOut('openvpn', 'not installed')
  else {
    await attempt('openvpn, UDP', openvpn(lab, 'UDP'))
    if (run.full) await attempt('openvpn, TCP', openvpn(lab, 'TCP'))
    else run.leaveOut('openvpn, TCP', 'only with --full')
  }
  if (CANDY_BIN === undefined) run.leaveOut('the original candy', 'CANDY_BIN names none')
  else for (const way of ['relayed', 'direct'] as const) await attempt(`candy, ${way}`, originalCandy(lab, way))
  return tunnels
}

/** What this machine lacks for any of it. */
function missing (): string[] {
  const programs = ['ip', 'iperf3', 'ping'].filter((program) => !isInstalled(program))
  return [...process.getuid?.() === 0 ? [] : ['root'], ...existsSync('/dev/net/tun') ? [] : ['/dev/net/tun'], ...programs]
}

export async function tunBench (run: Run, options: Options): Promise<void> {
  const needs = missing()
  if (needs.length > 0) {
    run.leaveOut('all of it', `it needs ${needs.join(', ')}`)
    return
  }
  const lab = await Lab.open()
  try {
    const wireguards = await wireguardBinaries(run, options.fetch)
    const ours = await Promise.all([candy(lab, 'ws'), candy(lab, 'wss'), candyDirect(lab), sealed(lab)])
    const tunnels = [plain(lab), ...ours, ...await rivals(run, lab, wireguards)]
    const hops = [...isInstalled('socat') ? [await socat(lab)] : [], ...run.full ? await Promise.all(WAYS.map((way) => least(lab, way))) : []]
    if (!isInstalled('socat')) run.leaveOut('three socat', 'socat is not installed')
    if (!run.full) run.leaveOut('the least in Node', 'only with --full')
    await freshLatency(run, lab, wireguards)
    await warmUp(run, tunnels)
    for (const tunnel of hops) await pings(tunnel, 500, 0.002) // as warm as those that have carried streams
    await streams(run, tunnels)
    await latency(run, tunnels, hops)
    await datagrams(run, tunnels)
    if (run.full) await slowWay(run, lab, tunnels)
    else run.leaveOut('ping on a slow way', 'only with --full')
  } finally {
    await lab.close()
  }
}

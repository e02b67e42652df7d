/**
 * Packets from one interface to another: two peers and a relay in three network namespaces, beside the plain path between these and
 * other tunnels that are installed. All are set up for the whole run and loaded in turn; ratios are taken round by round.
 *
 * Root only. Without iperf3 there is nothing to measure.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Lab } from './tun/lab.ts'
import { isInstalled, pings, tcp, udp } from './tun/load.ts'
import { candy, plain, socat, type Tunnel, wireguard } from './tun/tunnels.ts'
import { report, summary, type Row } from './table.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3)
const SECONDS = 3

const rows: Row[] = []

function tell (what: string, { name, isEncrypted }: { name: string, isEncrypted?: boolean }, values: number[], unit: string): void {
  report(rows, 'tun', what, { of: name, encrypted: isEncrypted === undefined ? '' : isEncrypted ? 'yes' : 'no' }, values, unit)
}

/** One stream through each. */
async function streams (tunnels: Tunnel[]): Promise<void> {
  const results = tunnels.map(() => [] as Array<Awaited<ReturnType<typeof tcp>>>)
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, tunnel] of tunnels.entries()) results[i].push(await tcp(tunnel, SECONDS))
  }
  for (const [i, tunnel] of tunnels.entries()) {
    tell('one TCP stream', tunnel, results[i].map(({ rate }) => rate / 1e9), 'Gbit/s')
    tell('retransmitted segments', tunnel, results[i].map(({ retransmits, segments }) => retransmits / segments * 100), '%')
  }
  const ours = tunnels.filter(({ name }) => name.startsWith('candy'))
  for (const mine of ours) {
    for (const other of tunnels.filter((tunnel) => !ours.includes(tunnel))) {
      const [a, b] = [mine, other].map((tunnel) => results[tunnels.indexOf(tunnel)])
      tell(`one TCP stream, against ${other.name}`, { name: mine.name }, a.map(({ rate }, round) => rate / b[round].rate), 'x')
    }
  }
}

/** There and back while nothing else goes on, and beside a stream that takes what it can get. */
async function latency (lab: Lab, tunnels: Tunnel[]): Promise<void> {
  const hops = isInstalled('socat') ? await socat(lab) : undefined
  const idle = hops === undefined ? tunnels : [...tunnels, hops]
  const times = idle.map(() => [] as number[][])
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, tunnel] of idle.entries()) times[i].push(await pings(tunnel, 100, 0.01))
  }
  for (const [i, tunnel] of idle.entries()) tell('ping, idle', tunnel, times[i].flat(), 'ms')
  for (const [i, { name }] of tunnels.entries()) {
    if (hops !== undefined && name.startsWith('candy')) tell('ping, idle, against three socat', { name }, times[i].map((mine, round) => summary(mine).median / summary(times[tunnels.length][round]).median), 'x')
  }
  for (const tunnel of tunnels) {
    const stream = tcp(tunnel, SECONDS + 1)
    const times = await pings(tunnel, 100, 0.02)
    await stream
    tell('ping beside a TCP stream', tunnel, times, 'ms')
  }
}

/** The same on a way of 20 Mbit/s, with a stream that fills whatever buffer there is until it loses something. */
async function slowWay (lab: Lab, tunnels: Tunnel[]): Promise<void> {
  if (!await lab.slow('20mbit')) {
    console.error('tun: no token bucket filter in this kernel to make a slow way with')
    return
  }
  for (const tunnel of tunnels) {
    const stream = tcp(tunnel, 6, 'cubic')
    await delay(2000) // until its buffers are full, if they ever are
    const times = await pings(tunnel, 150, 0.02)
    await stream
    tell('ping beside a TCP stream (cubic) on a way of 20 Mbit/s', tunnel, times, 'ms')
  }
}

/** The rate from which on more is lost than arrives in addition, and the loss at 60 % of that. */
async function datagrams (tunnels: Tunnel[]): Promise<void> {
  for (const tunnel of tunnels) {
    const knees: number[] = []
    const losses: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const knee = (await udp(tunnel, 20e9, 1)).rate
      knees.push(knee / 1e9)
      losses.push((await udp(tunnel, knee * 0.6, 2)).lost * 100)
    }
    tell('UDP of 1300 bytes, most that arrives', tunnel, knees, 'Gbit/s')
    tell('UDP of 1300 bytes, lost at 60 % of that', tunnel, losses, '%')
  }
}

export async function tunBench (): Promise<Row[]> {
  if (process.getuid?.() !== 0 || !isInstalled('iperf3')) {
    console.error('tun: left out, as it needs root and iperf3')
    return rows
  }
  const lab = await Lab.open()
  try {
    const tunnels = [plain(lab), await candy(lab, 'ws'), await candy(lab, 'wss')]
    if (isInstalled('wireguard-go')) tunnels.push(await wireguard(lab))
    else console.error('tun: no wireguard-go here to compare with')
    const newest = process.env.WIREGUARD_GO_BIN
    if (newest !== undefined) tunnels.push(await wireguard(lab, newest, 'newest wireguard-go, direct'))
    await streams(tunnels)
    await latency(lab, tunnels)
    await datagrams(tunnels)
    await slowWay(lab, tunnels)
  } finally {
    await lab.close()
  }
  return rows
}

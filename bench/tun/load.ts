/** What goes through a tunnel while it is measured: TCP and UDP by iperf3, and pings. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { said } from './lab.ts'
import type { Namespace } from '../../test/helpers/network/namespaces.ts'

export interface Flow {
  from: Namespace
  to: Namespace
  /** Of `to`. */
  address: string
  /** It is made of datagrams itself, which `to` counts like those of programs when there is no room for them. */
  isOfDatagrams?: boolean
}

/** Seconds after which a path is given up. */
const PATIENCE = 15

/** With a server at the other end for one client, which is gone afterwards. */
async function withServer<T> ({ to }: Flow, use: (server: ChildProcess) => Promise<T>): Promise<T> {
  const server = to.spawn('iperf3', ['-s', '-1', '--forceflush'])
  const exit = once(server, 'exit')
  await said(server, /listening/i)
  try {
    return await use(server)
  } finally {
    server.kill()
    await exit
  }
}

async function iperf ({ from, address }: Flow, seconds: number, args: string[]): Promise<any> {
  const out = await from.run('timeout', String(seconds + PATIENCE), 'iperf3', '-J', '-c', address, '-t', String(seconds), ...args)
  return JSON.parse(out).end
}

export interface TcpResult {
  /** Bits a second at the receiver. */
  rate: number
  /** The share of segments that were sent again, of segments as long as the path carries them. */
  retransmitted: number
}

/** One stream of TCP for so many seconds, after some that do not count. */
export async function tcp (flow: Flow, seconds: number, before = 1): Promise<TcpResult> {
  const { sum_received: received, sum_sent: sent } = await withServer(flow, () => iperf(flow, seconds, ['-O', String(before)]))
  return { rate: received.bits_per_second, retransmitted: sent.retransmits / (sent.bytes / 1348) }
}

export interface UdpResult {
  /** Bits a second that arrive at the receiver. */
  rate: number
  /** The share that does not reach the receiving program, ... */
  lost: number
  /** ... and, apart from that, the share that has come to its socket and found it full, as it has had no time; where that can be told. */
  missed: number | undefined
}

/** UDP at so many bits a second. */
export async function udp (flow: Flow, rate: number, seconds: number): Promise<UdpResult> {
  const before = await fullSockets(flow.to)
  const { sum } = await withServer(flow, () => iperf(flow, seconds, ['-u', '-b', String(Math.round(rate)), '-l', '1300']))
  const missed = flow.isOfDatagrams === true ? undefined : await fullSockets(flow.to) - before
  const lost = Math.max(0, sum.lost_packets - (missed ?? 0))
  return { rate: sum.bits_per_second * (1 - sum.lost_percent / 100), lost: lost / sum.packets, missed: missed === undefined ? undefined : missed / sum.packets }
}

/** Datagrams that a host has had no room for in the socket that they were for. */
async function fullSockets (host: Namespace): Promise<number> {
  const [names, values] = (await host.run('cat', '/proc/net/snmp')).split('\n').filter((line) => line.startsWith('Udp:')).map((line) => line.split(' '))
  return Number(values[names.indexOf('RcvbufErrors')])
}

/** Milliseconds there and back, each ping; those that are lost are left out. */
export async function pings ({ from, address }: Flow, count: number, interval: number): Promise<number[]> {
  const out = await from.run('ping', '-n', '-c', String(count), '-i', String(interval), '-W', '2', address)
  return [...out.matchAll(/time=([\d.]+)/g)].map(([, time]) => Number(time))
}

export interface Beside {
  /** Congestion control of the stream. Default: that of the system. */
  congestion?: string
  /** Seconds until its buffers are full, if they ever are. Default: 0. */
  settle?: number
}

/** The same beside a stream that takes what it can get, after its first second. */
export async function loadedPings (flow: Flow, count: number, interval: number, { congestion, settle = 0 }: Beside = {}): Promise<number[]> {
  return await withServer(flow, async (server) => {
    const firstReport = said(server, /-1\.\d\d +sec/)
    const stream = iperf(flow, Math.ceil(1.2 + settle + count * interval), congestion === undefined ? [] : ['-C', congestion])
    const [times] = await Promise.all([firstReport.then(() => delay(settle * 1000)).then(() => pings(flow, count, interval)), stream])
    return times
  })
}

/** What goes through a tunnel while it is measured: TCP and UDP by iperf3, and pings. */
import { execFileSync } from 'node:child_process'
import { said } from './lab.ts'
import type { Namespace } from '../../test/e2e/namespaces.ts'

export interface Flow {
  from: Namespace
  to: Namespace
  /** Of `to`. */
  address: string
}

export const isInstalled = (program: string): boolean => {
  try {
    execFileSync('which', [program], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

async function iperf ({ from, to, address }: Flow, args: string[]): Promise<any> {
  const server = to.spawn('iperf3', ['-s', '-1', '--forceflush'])
  await said(server, /listening/i)
  return JSON.parse(await from.run('iperf3', '-J', '-c', address, ...args)).end
}

export interface TcpResult {
  /** Bits a second at the receiver. */
  rate: number
  retransmits: number
  /** Of segments as long as the path carries them. */
  segments: number
}

/** One stream of TCP for so many seconds, of which the first does not count; with the congestion control of the system, or another. */
export async function tcp (flow: Flow, seconds: number, congestion?: string): Promise<TcpResult> {
  const { sum_received: received, sum_sent: sent } = await iperf(flow, ['-t', String(seconds), '-O', '1', ...congestion === undefined ? [] : ['-C', congestion]])
  return { rate: received.bits_per_second, retransmits: sent.retransmits, segments: sent.bytes / 1348 }
}

/** UDP at so many bits a second; the bits a second that arrive, and the share that is lost. */
export async function udp (flow: Flow, rate: number, seconds: number): Promise<{ rate: number, lost: number }> {
  const { sum } = await iperf(flow, ['-u', '-b', String(Math.round(rate)), '-l', '1300', '-t', String(seconds)])
  return { rate: sum.bits_per_second * (1 - sum.lost_percent / 100), lost: sum.lost_percent / 100 }
}

/** Milliseconds there and back, each ping; those that are lost are left out. */
export async function pings ({ from, address }: Flow, count: number, interval: number): Promise<number[]> {
  const out = await from.run('ping', '-n', '-c', String(count), '-i', String(interval), '-W', '2', address)
  return [...out.matchAll(/time=([\d.]+)/g)].map(([, time]) => Number(time))
}

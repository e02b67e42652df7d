/**
 * What a datagram costs, out and in: datagrams in a second of processor time, beside `node:dgram`. The one that is measured and its other
 * side are processes on cores of their own.
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { pinApart, unpin } from './lib/pin.ts'
import { BenchProcess } from './lib/process.ts'
import { beside } from './lib/row.ts'
import type { Run } from './lib/run.ts'

/** Bytes of a datagram that carries a packet of an interface with an MTU of 1360. */
const SIZE = 1388
const MANY = 64

const WAYS = [
  { name: 'tunpipe', ours: true, way: 'tunpipe' },
  { name: 'node:dgram', way: 'node:dgram' }
] as const

interface Subject {
  name: string
  ours?: boolean
  /** The one that is measured, and the one that sends. */
  measured: BenchProcess
  sender: BenchProcess
}

async function perCpuSecond ({ measured, sender }: Subject, milliseconds: number): Promise<number> {
  sender.tell({ on: true })
  await delay(100)
  const before = await measured.usage()
  await delay(milliseconds)
  const after = await measured.usage()
  sender.tell({ on: false })
  await delay(50) // what is on its way
  return (after.count - before.count) / (after.cpu - before.cpu) * 1e6
}

const LOOPBACK = '127.0.0.'

const startSender = (way: string, port: number, addresses: number, network = LOOPBACK, within: readonly string[] = []): Promise<BenchProcess> =>
  BenchProcess.start('udp/sender.js', { BENCH_UDP: way, BENCH_NETWORK: network, BENCH_PORT: String(port), BENCH_SIZE: String(SIZE), BENCH_ADDRESSES: String(addresses) }, within)

const startReceiver = (way: string): Promise<BenchProcess> => BenchProcess.start('udp/receiver.js', { BENCH_UDP: way })

async function compare (run: Run, name: string, subjects: Subject[], others: BenchProcess[]): Promise<void> {
  pinApart(run, subjects.map(({ measured }) => measured.pid), others.map(({ pid }) => pid))
  const figures = await run.inTurn(name, { rounds: run.rounds(5, 9), warmUps: 1 }, subjects, (subject) => perCpuSecond(subject, run.full ? 1000 : 500))
  run.add({ name, unit: 'datagrams/CPU-s' }, beside(subjects, figures))
  unpin()
  await Promise.all([...subjects.map(({ measured }) => measured), ...others].map((process) => process.stop()))
}

/** A network namespace with an interface that takes everything and leads nowhere: what sending costs, without what receiving costs. */
const NOWHERE = ['unshare', '-n', 'sh', '-c', 'ip link add out0 type veth peer name end0 && ip addr add 192.0.2.254/24 dev out0 && ip link set out0 arp off up && ip link set end0 up && exec "$@"', 'sh']

/** Over the loopback a group stays whole on its way to a receiver that takes groups, and is split for others. */
const SENT = [
  { to: 'one address that takes groups', addresses: 1, sink: 'tunpipe' },
  { to: 'one address that takes none', addresses: 1, sink: 'tunpipe, batch' },
  { to: `${MANY} addresses in turn`, addresses: MANY, sink: 'tunpipe' },
  { to: `${MANY} addresses in turn, whose socket is full`, addresses: MANY, sink: 'full' }
]

async function sent (run: Run): Promise<void> {
  for (const { to, addresses, sink: way } of SENT) {
    const sink = await startReceiver(way)
    const subjects = await Promise.all(WAYS.map(async ({ way, ...of }) => {
      const measured = await startSender(way, sink.port, addresses)
      return { ...of, measured, sender: measured }
    }))
    await compare(run, `sent, ${SIZE} B, to ${to}`, subjects, [sink])
  }
  const name = `sent, ${SIZE} B, to ${MANY} addresses in turn, by an interface that leads nowhere`
  if (process.getuid?.() !== 0 || spawnSync(NOWHERE[0], [...NOWHERE.slice(1), 'true']).status !== 0) {
    run.leaveOut(name, 'it needs root, network namespaces and ip')
    return
  }
  const subjects = await Promise.all(WAYS.map(async ({ way, ...of }) => {
    const measured = await startSender(way, 9, MANY, '192.0.2.', NOWHERE)
    return { ...of, measured, sender: measured }
  }))
  await compare(run, name, subjects, [])
}

export async function udpBench (run: Run): Promise<void> {
  await sent(run)
  for (const from of WAYS) {
    const subjects = await Promise.all(WAYS.map(async ({ way, ...of }) => {
      const measured = await startReceiver(way)
      return { ...of, measured, sender: await startSender(from.way, measured.port, 1) }
    }))
    await compare(run, `received, ${SIZE} B, sent by ${from.name}`, subjects, subjects.map(({ sender }) => sender))
  }
}

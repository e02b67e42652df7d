/**
 * An address that swallows what is sent to it, on the loopback: a process that listens there and is stopped, whose queue is full, so that
 * the kernel answers no SYN. Once it goes on, it answers the next SYN, a second later at the earliest, and forwards: a slow way.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Readable } from 'node:stream'
import type { Test } from 'tap'
import { spawnGroup } from './programs/reaper.ts'

const PROGRAM = `
const { connect, createServer } = require('node:net')
const [host, port, to] = process.argv.slice(1)
let places = 2
const server = createServer({ allowHalfOpen: true }, (socket) => {
  if (places-- > 0) return
  const next = connect({ host: '127.0.0.1', port: Number(to), allowHalfOpen: true })
  for (const [one, other] of [[socket, next], [next, socket]]) one.on('error', () => { other.destroy() }).pipe(other)
})
server.listen({ host, port: Number(port), backlog: 1 }, () => {
  require('node:fs').writeSync(1, 'listening')
  process.kill(process.pid, 'SIGSTOP')
})`

/** Connections that the kernel completes for a listener with a backlog of 1. */
const PLACES = 2

const SYN_SENT = '02'

export interface StoppedForwarder {
  /** Whether a connection to it is being tried, which gets no answer. */
  isTried (): boolean
  resume (): void
}

/** @param to the port of 127.0.0.1 that it forwards to */
export async function stoppedForwarder (t: Test, host: string, port: number, to = port): Promise<StoppedForwarder> {
  const child = spawnGroup(process.execPath, ['-e', PROGRAM, host, String(port), String(to)], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  await once(child.stdout as Readable, 'data')
  for (let i = 0; i < PLACES; i++) {
    const socket = connect(port, host)
    t.teardown(() => { socket.destroy() })
    await once(socket.on('error', () => {}), 'connect')
  }
  const remote = `${Buffer.from(host.split('.').map(Number)).reverse().toString('hex')}:${port.toString(16).padStart(4, '0')}`.toUpperCase()
  return {
    isTried: () => readFileSync('/proc/net/tcp', 'latin1').split('\n').some((line) => line.includes(` ${remote} ${SYN_SENT} `)),
    resume () { child.kill('SIGCONT') }
  }
}

/** gotunnel as those who run it see it: services, users, both programs, and the commands that ask them. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { homeEnv } from '../programs/homes.ts'
import { askControl } from './control.ts'
import { startProgram, type Program } from '../programs/program.ts'

export const TOKEN = 'a-token-for-tests'

export interface TcpService {
  port: number
  /** Those that are there, the oldest first. */
  sockets: Set<Socket>
  /** Nobody can connect any more; those that are there stay. */
  close (): Promise<void>
}

/** Says its name, then whatever it is told; ends when its user does. */
export async function tcpService (t: Test, name: string, port = 0): Promise<TcpService> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).once('close', () => { sockets.delete(socket) })
    socket.write(`${name}:`)
    socket.pipe(socket)
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    async close () {
      server.close() // settles with the last connection, which is not waited for
    }
  }
}

/** All that comes back when one says this and no more. */
export async function ask (port: number, says: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end(says)
  return await text(socket)
}

export class User {
  readonly socket: Socket
  /** The other side has nothing more to say, or is gone. */
  readonly closed: Promise<unknown>
  #heard = ''

  constructor (t: Test, port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).setEncoding('utf8').on('error', () => {})
    this.socket.on('data', (text: string) => { this.#heard += text })
    this.closed = new Promise((resolve) => { this.socket.once('end', resolve).once('close', resolve) })
    t.teardown(() => { this.socket.destroy() })
  }

  say (text: string): void { this.socket.write(text) }

  /** Waits until all that was heard is this. */
  async hear (expected: string): Promise<void> {
    while (this.#heard !== expected) {
      if (!expected.startsWith(this.#heard)) throw new Error(`heard ${this.#heard} in place of ${expected}`)
      await Promise.race([once(this.socket, 'data'), this.closed.then(() => { throw new Error(`closed after ${this.#heard}`) })])
    }
  }
}

export interface Side {
  program: Program
  env: Record<string, string>
}

export interface RelaySide extends Side {
  /** `tcp://127.0.0.1:17000` */
  url: string
  port: number
  /** Writes the file anew. */
  write (text: string): void
  /** Asks as the commands do, but without a process each time. */
  ask (command: 'status' | 'reload'): Promise<any>
}

/** A relay with this file; its control port is on the loopback, and so are those that it maps. */
export async function startRelay (t: Test, text: string, ...args: string[]): Promise<RelaySide> {
  const env = homeEnv()
  const file = join(t.testdir(), 'relay.yaml')
  const write = (text: string): void => { writeFileSync(file, text, { mode: 0o600 }) }
  write(text)
  const program = startProgram(t, 'relay', ['--config', file, ...args], { env })
  const [, url, port] = await program.find(/ready gotunnel ((?:tcp|tls):\/\/127\.0\.0\.1:(\d+))/)
  return { program, env, url, port: Number(port), write, ask: (command) => askControl(env, 'relay', command) }
}

/** `listen` and `bind` of a relay for one test, and whatever else is to be below `gotunnel`. */
export const relayFile = (...lines: string[]): string => ['gotunnel:', '  listen: 127.0.0.1:0', '  bind: 127.0.0.1', ...lines.map((line) => `  ${line}`), ''].join('\n')

export interface PeerSide extends Side {
  status (): Promise<any>
}

export function startPeer (t: Test, server: { port: number }, args: readonly string[], token = TOKEN): PeerSide {
  const env: Record<string, string> = { ...homeEnv(), TUNPIPE_TOKEN: token }
  const program = startProgram(t, 'peer', ['gotunnel', '--server', `127.0.0.1:${server.port}`, ...args], { env })
  return { program, env, status: () => askControl(env, `peer-${args.includes('--name') ? args[args.indexOf('--name') + 1] : 'gotunnel'}`, 'status') }
}

/** Asks until the answer is as expected: some things are counted a moment after they can be seen. */
export async function eventually<T> (look: () => Promise<T>, isAsExpected: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await look()
    if (isAsExpected(value)) return value
  }
}

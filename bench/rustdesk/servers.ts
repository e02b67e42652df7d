/** The servers under test as programs, each with a folder of its own, in the network of the lab. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SERVER_HOST, type ServerLab } from './lab.ts'
import { cpuOf, procFile, residentOf } from '../lib/proc.ts'
import type { Usage } from '../lib/process.ts'
import type { Contestant } from '../lib/row.ts'

const PAUSE = 5
const PATIENCE = 20_000

/** As tables of sockets in `/proc/PID/net` have it: one of TCP that listens, one of UDP that is bound. */
const STATE = { tcp: '0A', udp: '07' } as const

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** Of a program in Node: it tells its memory, once it has collected garbage. */
const NODE = ['--expose-gc', '--import', path('memory-report.js')]
const OURS = [...NODE, path('../../dist/bin/relay.js'), 'rustdesk', '--bind', SERVER_HOST, '--control', 'none']

/** No limit that is ever reached, in Mb/s. */
const NO_LIMIT = '1000000'

/** What is started. */
export interface ServerInit {
  name: string
  ours?: boolean
  command: string
  args: readonly string[]
  env?: Record<string, string>
  port: number
  /** On that port. */
  transports: ReadonlyArray<keyof typeof STATE>
}

/** Our rendezvous server. */
export const ourRendezvous = (port: number): ServerInit => ({
  name: 'tunpipe', ours: true, command: process.execPath, args: [...OURS, '--port', String(port), '--relay-port', '0'], port, transports: ['udp', 'tcp']
})

/** `hbbs`. */
export const originalRendezvous = (program: string, port: number): ServerInit => ({
  name: 'hbbs of HBBS_BIN', command: program, args: ['--bind', SERVER_HOST, '--port', String(port)], env: { TEST_HBBS: 'no' }, port, transports: ['udp', 'tcp']
})

/** Sends datagrams back. */
export const plainEcho = (port: number): ServerInit => ({ ...plain('node:dgram echo', 'plain-echo.js', port), transports: ['udp'] })

/** Our relay. */
export const ourRelay = (port: number): ServerInit => ({
  name: 'tunpipe', ours: true, command: process.execPath, args: [...OURS, '--port', '0', '--relay-port', String(port), '--single-bandwidth', NO_LIMIT, '--total-bandwidth', NO_LIMIT], port, transports: ['tcp']
})

/** `hbbr`. */
export const originalRelay = (program: string, port: number): ServerInit => ({
  name: 'hbbr of HBBR_BIN', command: program, args: ['--bind', SERVER_HOST, '--port', String(port)], env: { SINGLE_BANDWIDTH: NO_LIMIT, TOTAL_BANDWIDTH: NO_LIMIT, LIMIT_SPEED: NO_LIMIT }, port, transports: ['tcp']
})

/** Two sockets and `pipe()`. */
export const plainRelay = (port: number): ServerInit => ({ ...plain('pipe() relay', 'plain-relay.js', port), transports: ['tcp'] })

const plain = (name: string, script: string, port: number): Omit<ServerInit, 'transports'> => ({
  name, command: process.execPath, args: [...NODE, path(script)], env: { BENCH_HOST: SERVER_HOST, BENCH_PORT: String(port) }, port
})

export class Server implements Contestant {
  readonly name: string
  readonly ours: boolean
  readonly encrypted = false
  readonly port: number
  readonly folder: string
  readonly #child: ChildProcess

  private constructor ({ name, ours = false, port }: ServerInit, folder: string, child: ChildProcess) {
    this.name = name
    this.ours = ours
    this.port = port
    this.folder = folder
    this.#child = child
  }

  /** @param folder where it finds and leaves its files */
  static async start (lab: ServerLab, init: ServerInit, folder = lab.newFolder()): Promise<Server> {
    const child = lab.spawn(init.command, init.args, { cwd: folder, stdio: ['ignore', 'ignore', 'ignore', 'ipc'], env: { PATH: process.env.PATH, HOME: folder, ...init.env } }) // these servers read many variables
    const server = new Server(init, folder, child)
    const isLoaded = server.#isNode ? once(child, 'message') : undefined
    await server.#listening(init.transports)
    await isLoaded
    return server
  }

  get pid (): number { return this.#child.pid as number }

  /** Microseconds of processor time since the start. */
  cpu (): number { return cpuOf(this.pid) }

  /** Bytes: resident, and what a program in Node has allocated. */
  async memory (): Promise<{ resident: number, allocated?: number }> {
    if (!this.#isNode) return { resident: residentOf(this.pid) }
    const answer = once(this.#child, 'message', { signal: AbortSignal.timeout(PATIENCE) })
    this.#child.send({ collect: true })
    const [{ rss, heap }] = await answer as [Usage]
    return { resident: rss, allocated: heap }
  }

  get #isNode (): boolean { return this.#child.spawnargs.includes(NODE[0]) }

  /** The public key of a rendezvous server, in base64. */
  key (): string { return readFileSync(join(this.folder, 'id_ed25519.pub'), 'utf8').trim() }

  async stop (): Promise<void> {
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }

  async #listening (transports: ServerInit['transports']): Promise<void> {
    const port = this.port.toString(16).toUpperCase().padStart(4, '0')
    const isOpen = (transport: keyof typeof STATE): boolean => {
      try {
        return new RegExp(`:${port} [0-9A-F]+:0000 ${STATE[transport]} `).test(procFile(this.pid, `net/${transport}`))
      } catch {
        return false // of a process that is about to have ended
      }
    }
    const isEnded = (): boolean => this.#child.exitCode !== null || this.#child.signalCode !== null
    for (const deadline = performance.now() + PATIENCE; isEnded() || !transports.every(isOpen);) {
      if (isEnded() || performance.now() > deadline) throw new Error(`${this.name} ${isEnded() ? 'has ended' : 'does not listen'}`)
      await delay(PAUSE)
    }
  }
}

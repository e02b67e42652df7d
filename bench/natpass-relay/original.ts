/** The server of the original, where `NATPASS_SERVER_BIN` names it. It listens on all addresses. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { cpuOf } from '../lib/proc.ts'

const PAUSE = 20
const PATIENCE = 10_000

async function freePort (): Promise<number> {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return port
}

async function isListening (port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  const connected = await once(socket, 'connect').then(() => true, () => false)
  socket.destroy()
  return connected
}

export class OriginalServer {
  readonly port: number
  readonly #child: ChildProcess
  readonly #folder: string

  private constructor (program: string, port: number, secret: string) {
    this.port = port
    this.#folder = mkdtempSync(join(tmpdir(), 'tunpipe-bench-'))
    const file = join(this.#folder, 'conf.yaml')
    writeFileSync(file, JSON.stringify({ listen: port, secret, log: { dir: join(this.#folder, 'logs') } })) // JSON is YAML
    this.#child = spawn(program, ['--conf', file], { cwd: this.#folder, env: { ...process.env, HOME: this.#folder }, stdio: 'ignore' })
    process.once('exit', () => { this.#remove() })
  }

  static async start (program: string, secret: string): Promise<OriginalServer> {
    const server = new OriginalServer(program, await freePort(), secret)
    for (const deadline = performance.now() + PATIENCE; !await isListening(server.port);) {
      if (performance.now() > deadline) throw new Error('it does not listen')
      await delay(PAUSE)
    }
    return server
  }

  get pid (): number { return this.#child.pid as number }

  /** Microseconds of processor time since the start. */
  cpu (): number { return cpuOf(this.pid) }

  async stop (): Promise<void> {
    const exit = once(this.#child, 'exit')
    this.#remove()
    await exit
  }

  #remove (): void {
    this.#child.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

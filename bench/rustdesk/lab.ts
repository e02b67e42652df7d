/**
 * A network of its own for servers and their load: one namespace in which all of 10.0.0.0/8 is this machine, as servers take 127.0.0.0/8
 * for their operator. Nothing in it leads anywhere else. Gone when the bench is over, or interrupted.
 */
import { execFile, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BenchProcess } from '../lib/process.ts'
import { Namespace } from '../../test/helpers/network/namespaces.ts'

const run = promisify(execFile)

/** Where servers listen. */
export const SERVER_HOST = '10.9.9.1'

/** Ports of ended connections are free again at once, where there are more of these than that. */
const SETTINGS = { 'net/ipv4/tcp_max_tw_buckets': '4096', 'net/ipv4/ip_local_port_range': '1024 65535' }

export class ServerLab {
  readonly #folder = mkdtempSync(join(tmpdir(), 'tunpipe-bench-'))
  #folders = 0
  readonly #children = new Set<ChildProcess>()
  readonly #scripts: BenchProcess[] = []
  readonly #namespace = new Namespace(`bench${process.pid}s`, this.#children)

  private constructor () { process.once('exit', this.#closeNow) }

  static async open (): Promise<ServerLab> {
    const lab = new ServerLab()
    try {
      await run('ip', ['netns', 'add', lab.#namespace.name])
      await lab.#namespace.ip('link', 'set', 'lo', 'up')
      await lab.#namespace.ip('addr', 'add', '10.0.0.1/8', 'dev', 'lo')
      for (const [name, value] of Object.entries(SETTINGS)) await lab.#namespace.run('sh', '-c', `echo ${value} > /proc/sys/${name}`)
      return lab
    } catch (err) {
      await lab.close()
      throw err
    }
  }

  /** For files of a server. */
  newFolder (): string {
    const folder = join(this.#folder, String(this.#folders++))
    mkdirSync(folder)
    return folder
  }

  /** Starts a program in here. */
  spawn (command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    return this.#namespace.spawn(command, args, options)
  }

  /** Starts a script of the bench in here. */
  async script (script: string, env: Record<string, string>): Promise<BenchProcess> {
    const started = await BenchProcess.start(script, env, ['ip', 'netns', 'exec', this.#namespace.name])
    this.#scripts.push(started)
    return started
  }

  async close (): Promise<void> {
    for (const script of this.#scripts) await script.stop()
    const ends = [...this.#children].map((child) => once(child, 'exit'))
    for (const child of this.#children) child.kill('SIGKILL')
    await Promise.all(ends)
    process.removeListener('exit', this.#closeNow)
    this.#closeNow()
  }

  /** For an end of the process that waits for nobody. */
  readonly #closeNow = (): void => {
    for (const child of this.#children) child.kill('SIGKILL')
    spawnSync('ip', ['netns', 'del', this.#namespace.name]) // there may be none, when opening has failed
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

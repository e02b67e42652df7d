/** A program in a process of its own, so that what it uses can be told from what its clients use. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** See `child.js`. */
export interface Usage {
  cpu: number
  rss: number
  heap: number
  dropped: number
}

export class BenchProcess {
  readonly name: string
  readonly port: number
  readonly #child: ChildProcess

  private constructor (name: string, child: ChildProcess, port: number) {
    this.name = name
    this.#child = child
    this.port = port
  }

  /** @param script relative to this folder */
  static async start (script: string, env: Record<string, string> = {}): Promise<BenchProcess> {
    const child = fork(new URL(script, import.meta.url), { env: { ...process.env, ...env }, execArgv: ['--expose-gc'] })
    const [{ port }] = await once(child, 'message') as [{ port: number }]
    return new BenchProcess(script.replace(/^.*\/|\.js$/g, ''), child, port)
  }

  /** @param collect collects garbage first, for a steady figure of memory; it costs processor time */
  async usage (collect = false): Promise<Usage> {
    const answer = once(this.#child, 'message')
    this.#child.send({ collect })
    const [usage] = await answer as [Usage]
    return usage
  }

  async stop (): Promise<void> {
    const exit = once(this.#child, 'exit')
    this.#child.disconnect()
    await exit
  }
}

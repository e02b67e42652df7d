/** A relay in a process of its own, so that what it uses can be told from what its clients use. */
import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'

export const password = randomBytes(8).toString('hex')

/** See `child.js`. */
export interface Usage {
  cpu: number
  rss: number
  heap: number
  dropped: number
}

export type RelayName = 'tunpipe-relay' | 'plain-ws-relay'

export class RelayProcess {
  readonly name: RelayName
  readonly port: number
  readonly #child: ChildProcess

  private constructor (name: RelayName, child: ChildProcess, port: number) {
    this.name = name
    this.#child = child
    this.port = port
  }

  static async start (name: RelayName): Promise<RelayProcess> {
    const child = fork(new URL(`./${name}.js`, import.meta.url), {
      env: { ...process.env, BENCH_PASSWORD: password },
      execArgv: ['--expose-gc']
    })
    const [{ port }] = await once(child, 'message') as [{ port: number }]
    return new RelayProcess(name, child, port)
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

/** A program in a process of its own, so that what it uses can be told from what its clients use. It ends with this one. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

/** See `child.js`. */
export interface Usage {
  cpu: number
  rss: number
  heap: number
  count: number
}

export class BenchProcess {
  readonly #child: ChildProcess
  readonly #ended = new AbortController()
  #port = 0

  private constructor (script: string, env: Record<string, string>, [command, ...args]: readonly string[]) {
    const options = command === undefined ? { execArgv: ['--expose-gc'] } : { execPath: command, execArgv: [...args, process.execPath, '--expose-gc'] }
    this.#child = fork(new URL(`../${script}`, import.meta.url), { env: { ...process.env, ...env }, ...options })
    this.#child.once('exit', () => { this.#ended.abort(new Error(`${script} has ended`)) })
  }

  /**
   * @param script relative to `bench`
   * @param within a command that becomes the program behind it, in a network namespace say
   */
  static async start (script: string, env: Record<string, string> = {}, within: readonly string[] = []): Promise<BenchProcess> {
    const started = new BenchProcess(script, env, within)
    started.#port = (await started.#message<{ port: number }>()).port
    return started
  }

  get port (): number { return this.#port }

  get pid (): number { return this.#child.pid as number }

  /** @param collect collects garbage first, for a steady figure of memory; it costs processor time */
  async usage (collect = false): Promise<Usage> {
    return await this.ask<Usage>({ collect })
  }

  /**
   * KiB of one connection: resident, allocated.
   *
   * @param connect makes so many connections, which stay; first a few, so that what is made once does not count
   * @param rest milliseconds after which V8 has given back the room for what was new while they were made: some 8 s after the garbage is collected
   */
  async memoryOf (connections: number, warmUp: number, connect: (count: number) => Promise<void>, rest = 0): Promise<[number, number]> {
    const settled = async (): Promise<Usage> => {
      if (rest > 0) await this.usage(true)
      await delay(rest)
      return await this.usage(true)
    }
    await connect(warmUp)
    const before = await settled()
    await connect(connections)
    const after = await settled()
    return [(after.rss - before.rss) / connections / 1024, (after.heap - before.heap) / connections / 1024]
  }

  /** Tells the program something that it does not answer. */
  tell (message: object): void { this.#child.send(message) }

  /** Tells it something, and waits for its answer. */
  async ask<T> (message: object): Promise<T> {
    const answer = this.#message<T>()
    this.#child.send(message)
    return await answer
  }

  async stop (): Promise<void> {
    if (this.#ended.signal.aborted) return
    const exit = once(this.#child, 'exit')
    this.#child.disconnect()
    await exit
  }

  async #message<T> (): Promise<T> {
    const { signal } = this.#ended
    try {
      return (await once(this.#child, 'message', { signal }))[0]
    } catch (err) {
      throw signal.aborted ? signal.reason : err
    }
  }
}

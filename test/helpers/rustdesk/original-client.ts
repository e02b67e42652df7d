/**
 * A client that has the wire of the original one, for whoever has it: the executable that RUSTDESK_CLIENT_BIN names. Its commands are
 * `serve`, to be controlled, `connect`, to control, `online`, `nat-test` and `register-flood`, with options `--name value`; it writes events
 * to stdout, an object of JSON a line, and ends with 1 after an event `failed`.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Namespace } from '../network/namespaces.ts'
import { newHome } from '../programs/homes.ts'
import { JsonLines, type Line } from '../programs/json-lines.ts'

export const { RUSTDESK_CLIENT_BIN } = process.env

/** Milliseconds: two rounds of a registration, and some. */
const PATIENCE = 60_000

export type ClientOptions = Readonly<Record<string, string | number | true>>

export class OriginalClient {
  readonly #child: ChildProcess
  readonly #out = new JsonLines()
  readonly #of: string
  readonly #ended: Promise<unknown>

  /** Starts it with a home of its own, or with that of another, whose key and machine it then has. */
  constructor (host: Namespace, command: string, options: ClientOptions, home = newHome()) {
    const args = Object.entries(options).flatMap(([name, value]) => value === true ? [`--${name}`] : [`--${name}`, String(value)])
    this.#of = `${command} of ${host.name}`
    this.#child = host.spawn(String(RUSTDESK_CLIENT_BIN), [command, ...args], { cwd: home, env: { PATH: process.env.PATH, HOME: home }, stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => { this.#out.push(text) })
    this.#ended = once(this.#child, 'close')
  }

  /** Everything so far. */
  get events (): readonly Line[] { return this.#out.all }

  /** Waits for the next event of this name. */
  event (name: string, patience = PATIENCE): Promise<Line> {
    return this.#out.next('event', name, { of: this.#of, over: this.#ended, patience })
  }

  /** How often there was an event of this name. */
  count (name: string): number { return this.events.filter(({ event }) => event === name).length }

  /** Waits for its end; gives what it has said. */
  async end (): Promise<readonly Line[]> {
    await this.#ended
    return this.events
  }

  async stop (): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}

/** A call of one peer to another, to its end: what was agreed, and what came of the data. */
export interface Call {
  /** Why there is no session. */
  error?: string
  isDirect?: boolean
  isLocal?: boolean
  kind?: string
  /** Encrypted from end to end, with a key that the server has signed. */
  isSecured?: boolean
  /** What was sent came back, and the other side has seen the same. */
  isSame?: boolean
  bytes?: number
  frames?: number
  mbitEachWay?: number
  slowestMs?: number
  /** Events before the end. */
  events: readonly Line[]
}

export async function call (host: Namespace, options: ClientOptions, home?: string): Promise<Call> {
  const events = await new OriginalClient(host, 'connect', options, home).end()
  const find = (name: string): Line | undefined => events.findLast(({ event }) => event === name)
  const [connected, done, failed] = [find('connected'), find('done'), find('failed')] as any[]
  return {
    ...failed !== undefined && { error: failed.error },
    ...connected !== undefined && { isDirect: connected.direct, isLocal: connected.is_local, kind: connected.kind, isSecured: connected.secured },
    ...done !== undefined && { isSame: done.same_there && done.same_back, bytes: done.sent.bytes, frames: done.sent.frames, mbitEachWay: done.mbit_each_way, slowestMs: done.slowest_ms },
    events
  }
}

/** The program `code-server`, which listens on a Unix socket of its own (natpass protocol, section 4.3). */
import { spawn, type ChildProcess } from 'node:child_process'
import { constants } from 'node:fs'
import { access, mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { withoutSecrets } from '../own-environment.ts'
import { CodedError } from '../../../../errors.ts'
import { oneLine, printable } from '../../../../text/printable.ts'
import type { Clock } from '../../../../types.ts'

/** Milliseconds until it has to listen, and from SIGTERM to SIGKILL. */
const START_TIMEOUT = 60_000
const KILL_AFTER = 500

/** Bytes of a line of its output; longer ones are cut. */
const MAX_LINE = 4096

/** Bytes of the name of a folder. */
const MAX_NAME = 128

/** Bytes of the path of a Unix socket, which is cut silently beyond: 108 on Linux, 104 elsewhere, each with a zero at its end. */
const MAX_SOCKET_PATH = 103

const PROGRAM = 'code-server'

/**
 * Runs a program, and beside it, in its group, what ends the group when this process is gone, however it has ended: its standard input
 * is open as long as this process. The arguments are the folder of the socket, the program, and those of that.
 */
const GUARDED = `folder=$1
shift
exec 3<&0 </dev/null
(
  trap '' HUP INT TERM
  read -r line <&3
  kill -TERM 0
  sleep 1
  rm -rf -- "$folder"
  kill -KILL 0
) >/dev/null 2>&1 &
exec "$@" 3<&-`

export class CodeServerError extends CodedError<'ERR_CODE_SERVER'> {
  override readonly name = 'CodeServerError'

  constructor (text: string, options?: ErrorOptions) { super('ERR_CODE_SERVER', text, options) }
}

export interface CodeServerInit {
  /** The folder of all rules. */
  folder: string
  /** Of the rule, as the other end says it. */
  name: string
  clock: Clock
  /** Aborted when nobody waits for it any more. */
  signal: AbortSignal
  /** Default: `process.env`. */
  env?: NodeJS.ProcessEnv
}

/**
 * The folder of a rule within the folder of all: no name leaves it, or is hidden.
 *
 * @throws {CodeServerError} when the name is too long, or has control characters
 */
export function folderName (name: string): string {
  if (Buffer.byteLength(name) > MAX_NAME || /\p{Cc}/u.test(name)) throw new CodeServerError(`the name of the rule is no name of a folder, expected at most ${MAX_NAME} bytes without control characters`)
  const flat = name.replaceAll(/[/\\]/g, '_')
  return flat === '' || flat.startsWith('.') ? `_${flat}` : flat
}

/** @throws {CodeServerError} when it is not there */
async function find (path = ''): Promise<string> {
  for (const folder of path.split(delimiter)) {
    if (folder === '') continue // the current folder, where nobody expects it
    const file = join(folder, PROGRAM)
    try {
      await access(file, constants.X_OK)
      if ((await stat(file)).isFile()) return file
    } catch {
      // not here
    }
  }
  throw new CodeServerError(`${PROGRAM} is not installed: it is in no folder of PATH`)
}

/** @throws {CodeServerError} when it is not there, or has ended or not listened in a minute; the reason of the signal. Then nothing is left behind. */
export async function startCodeServer ({ folder, name, clock, signal, env = process.env }: CodeServerInit): Promise<CodeServer> {
  const own = join(folder, folderName(name))
  const program = await find(env.PATH)
  await mkdir(own, { recursive: true, mode: 0o700 })
  const sockets = await mkdtemp(join(tmpdir(), 'tunpipe-code-')) // for this user alone: whoever reaches the socket needs no password
  const socketPath = join(sockets, 'code.sock')
  try {
    signal.throwIfAborted()
    if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH) throw new CodeServerError(`the path of its socket is too long, ${socketPath}: set TMPDIR to a shorter one`)
  } catch (err) {
    await rm(sockets, { recursive: true, force: true })
    throw err
  }
  const args = ['--auth', 'none', '--socket', socketPath, '--user-data-dir', join(own, 'data'), '--extensions-dir', join(own, 'extensions'), '--config', join(own, 'conf')]
  const child = spawn('/bin/sh', ['-c', GUARDED, 'sh', sockets, program, ...args], { cwd: own, env: withoutSecrets(env), detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const server = new CodeServer(child, socketPath, clock)
  await server.listening(signal)
  return server
}

export class CodeServer {
  /** Where it listens. */
  readonly socketPath: string
  /** Settles with the reason when it has ended, and the folder of its socket is gone. */
  readonly ended: Promise<Error>
  readonly #child: ChildProcess
  readonly #clock: Clock
  #lastLine = ''
  #hasEnded = false
  #isEnding = false

  constructor (child: ChildProcess, socketPath: string, clock: Clock) {
    this.#child = child
    this.socketPath = socketPath
    this.#clock = clock
    child.stdin?.on('error', () => {}) // nothing is written to it
    this.ended = new Promise<Error>((resolve) => {
      child.once('error', (cause) => {
        if (child.pid !== undefined) return
        this.#hasEnded = true
        resolve(new CodeServerError(`${PROGRAM} does not start: ${cause.message}`, { cause }))
      })
      child.once('exit', (code, signal) => {
        this.#hasEnded = true
        this.#signal('SIGKILL') // the rest of its group
        const tell = (): void => {
          clock.clear(timer)
          resolve(new CodeServerError(`${PROGRAM} has ended by ${signal ?? `code ${code}`}${this.#lastLine === '' ? '' : `: ${this.#lastLine}`}`))
        }
        const timer = clock.set(KILL_AFTER, tell)
        child.once('close', tell) // its last line is read
      })
    }).then(async (reason) => {
      await rm(dirname(socketPath), { recursive: true, force: true }).catch(() => {})
      return reason
    })
  }

  /** Settles when it listens. @throws {CodeServerError} when it has ended before, or has not in a minute; the reason of the signal. Then it is killed. */
  async listening (signal: AbortSignal): Promise<void> {
    let fail: (err: Error) => void = () => {}
    const failed = new Promise<Error>((resolve) => { fail = resolve })
    const leave = (): void => { fail(signal.reason) }
    const timer = this.#clock.set(START_TIMEOUT, () => { fail(new CodeServerError(`${PROGRAM} does not listen after ${START_TIMEOUT / 1000} seconds`)) })
    signal.addEventListener('abort', leave, { once: true })
    const ready = new Promise<undefined>((resolve) => {
      for (const stream of [this.#child.stdout, this.#child.stderr]) {
        let rest = ''
        stream?.setEncoding('utf8').on('data', (text: string) => {
          const lines = (rest + text).split('\n')
          rest = (lines.pop() as string).slice(0, MAX_LINE)
          for (const line of lines) {
            if (line.trim() !== '') this.#lastLine = printable(oneLine(line))
            if (line.includes('listening on') && line.includes(this.socketPath)) resolve(undefined)
          }
        })
      }
    })
    const failure = await Promise.race([ready, failed, this.ended])
    this.#clock.clear(timer)
    signal.removeEventListener('abort', leave)
    if (failure === undefined) return
    await this.end()
    throw failure
  }

  /** Ends it, and what it has started; settles when it has ended. */
  async end (): Promise<void> {
    if (!this.#hasEnded && !this.#isEnding) {
      this.#isEnding = true
      this.#signal('SIGTERM')
      const timer = this.#clock.set(KILL_AFTER, () => { this.#signal('SIGKILL') })
      void this.ended.then(() => { this.#clock.clear(timer) })
    }
    await this.ended
  }

  #signal (signal: NodeJS.Signals): void {
    try {
      process.kill(-(this.#child.pid as number), signal)
    } catch {
      // all have ended
    }
  }
}

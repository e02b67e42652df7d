/** A program in a terminal of its own, as a link of bytes (natpass protocol, section 4.3). */
import { accessSync, constants } from 'node:fs'
import { chooseProgram } from './choose-program.ts'
import { shellEnvironment } from './environment.ts'
import { verifyExecutable } from './executable.ts'
import { EXEC_FAILED, loadPty, type Forked, type Pty } from './pty.ts'
import { PtyStream } from './pty-stream.ts'
import { signalSession } from './session-processes.ts'
import { ShellError } from './shell-error.ts'
import { verifySize, type TerminalSize } from './terminal-size.ts'
import type { ShellExit } from '../../protocol/link-codec.ts'
import { systemClock } from '../../../../streams/clock.ts'
import { oneLine } from '../../../../text/printable.ts'
import { streamLink } from '../../../../transports/stream-link.ts'
import type { Clock, Link } from '../../../../types.ts'

/** Milliseconds that a program gets to end after it was told to. */
const KILL_AFTER = 500

/** Milliseconds after which a program counts as started that has written nothing. A failure is reported within a few. */
const START_TIME = 100

/** Bytes of the path of a program. */
const MAX_PATH = 4096

const DEFAULT_SIZE: TerminalSize = { rows: 24, cols: 80 }

/** Options of {@link startShell}. */
export interface ShellInit {
  /** The program, without arguments. Default: `bash` or `sh`. */
  exec?: string
  /** `NAME=VALUE` each; the later one counts, also over variables of this process. Default: none. */
  env?: readonly string[]
  /** Default: 24 rows, 80 columns. */
  size?: TerminalSize
  /** Variables of this process. Default: `process.env`. */
  own?: Readonly<Record<string, string | undefined>>
  clock?: Clock
}

export interface Shell {
  /** Output and input. The end of `sink` is the end of input as a terminal has it, ^D. `abort` ends the program, and all that it runs. */
  readonly link: Link
  readonly pid: number
  /** Settles once, when the program has ended and `link.source` has delivered all its output, or was aborted. */
  readonly exited: Promise<ShellExit>
  /** Does nothing after the end. @throws {ShellError} `ERR_SHELL_SIZE` */
  resize (rows: number, cols: number): void
}

/**
 * Starts a program.
 *
 * @throws {ShellError} when it cannot be started; nothing is left behind then
 * @throws {NativeError} `ERR_NATIVE_KOFFI`
 */
export async function startShell ({ exec, env = [], size = DEFAULT_SIZE, own = process.env, clock = systemClock }: ShellInit = {}): Promise<Shell> {
  const { rows, cols } = verifySize(size.rows, size.cols)
  const variables = shellEnvironment(own, env)
  const program = programOf(exec, own.PATH)
  const pty = await loadPty()
  await verifyExecutable(program)
  const running = new Running(pty, program, variables, { rows, cols }, clock)
  await running.started()
  return running
}

/** @throws {ShellError} `ERR_SHELL_NONE`, `ERR_SHELL_START` */
function programOf (exec: string | undefined, path: string | undefined): string {
  if (exec !== undefined && (exec.includes('\0') || Buffer.byteLength(exec) > MAX_PATH)) throw new ShellError('ERR_SHELL_START', 'not a path of a program')
  const program = chooseProgram({ exec, platform: process.platform, path, exists: canExecute })
  if (program !== undefined) return program
  throw exec === undefined || exec === ''
    ? new ShellError('ERR_SHELL_NONE', 'no shell command supported')
    : new ShellError('ERR_SHELL_START', `cannot execute ${exec}: it is not in PATH`)
}

function canExecute (file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Where the program starts: where this process is, unless that is gone. */
function folder (): string {
  try {
    return process.cwd()
  } catch {
    return '/'
  }
}

class Running implements Shell {
  readonly link: Link
  readonly exited: Promise<ShellExit>
  readonly #pty: Pty
  readonly #program: string
  readonly #clock: Clock
  readonly #forked: Forked
  readonly #stream: PtyStream
  #exit: ShellExit | undefined
  #isDelivered = false
  #settle: (exit: ShellExit) => void = () => {}

  /** @throws {ShellError} `ERR_SHELL_START` when the system has no room for a terminal or a process */
  constructor (pty: Pty, program: string, env: readonly string[], size: TerminalSize, clock: Clock) {
    this.#pty = pty
    this.#program = program
    this.#clock = clock
    this.exited = new Promise((resolve) => { this.#settle = resolve })
    try {
      this.#forked = pty.fork(program, env, folder(), size, (code, signal) => { this.#ended(code, signal) })
    } catch (cause) {
      throw new ShellError('ERR_SHELL_START', `cannot execute ${program}: ${(cause as Error).message}`, { cause })
    }
    const stream = this.#stream = new PtyStream(this.#forked.fd, clock, (isAborted) => { this.#closed(isAborted) })
    this.link = streamLink(stream)
    for (const event of ['end', 'close']) stream.once(event, () => { this.#delivered() })
  }

  get pid (): number { return this.#forked.pid }

  resize (rows: number, cols: number): void {
    const size = verifySize(rows, cols)
    if (this.#stream.isOpen) this.#pty.resize(this.#forked.fd, size)
  }

  /** Settles when the program runs. @throws {ShellError} `ERR_SHELL_START` when it could not be executed after all */
  async started (): Promise<void> {
    const first = await this.#stream.first(START_TIME)
    if (!first.startsWith(EXEC_FAILED)) return
    this.#stream.destroy()
    throw new ShellError('ERR_SHELL_START', `cannot execute ${this.#program}: ${oneLine(first.slice(EXEC_FAILED.length)).trim()}`)
  }

  #ended (code: number, signal: number): void {
    this.#exit = signal === 0 ? { code, signal: undefined } : { code: undefined, signal }
    this.#stream.exited()
    this.#report()
  }

  #delivered (): void {
    this.#isDelivered = true
    this.#report()
  }

  #report (): void {
    if (this.#exit !== undefined && this.#isDelivered) this.#settle(this.#exit)
  }

  /** A program that ends by itself may leave others behind; one that is ended may not, nor may it go on without its terminal. */
  #closed (isAborted: boolean): void {
    if (this.#exit !== undefined) return
    if (isAborted) void signalSession(this.pid, 'SIGHUP', 'SIGCONT')
    this.#clock.set(KILL_AFTER, () => {
      if (isAborted || this.#exit === undefined) void signalSession(this.pid, 'SIGKILL')
    })
  }
}

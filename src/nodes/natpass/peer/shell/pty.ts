/** Terminals of the system. The only place that knows `@lydell/node-pty`, which is optional. */
import { closeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { ShellError } from './shell-error.ts'
import type { TerminalSize } from './terminal-size.ts'
import { loadCloseOnExec } from '../../../../net/native/close-on-exec.ts'

/** A program that runs in a terminal of its own, as leader of a session. */
export interface Forked {
  /** The other end of its terminal, without blocking. Programs that are started later do not inherit it. */
  readonly fd: number
  readonly pid: number
}

/** `signal` is 0 when the program has ended by itself. */
export type OnExit = (code: number, signal: number) => void

export interface Pty {
  /** A program that cannot be executed is reported as its output: {@link EXEC_FAILED} and the text of the system; it exits with 1 then. */
  fork (file: string, env: readonly string[], cwd: string, size: TerminalSize, onExit: OnExit): Forked
  resize (fd: number, size: TerminalSize): void
}

export const EXEC_FAILED = 'execvp(3) failed.: '

/**
 * The compiled part of the package. Its JavaScript is not used: it blocks the process while a program does not read its input, and drops
 * output of a program that ends while its reader is busy.
 */
interface Addon {
  fork (file: string, args: readonly string[], env: readonly string[], cwd: string, cols: number, rows: number, uid: number, gid: number, isUtf8: boolean, helper: string, onExit: OnExit): Forked
  resize (fd: number, cols: number, rows: number): void
}

/** Stands for the user and the group of this process. */
const OWN = -1

let loaded: Promise<Pty> | undefined

/**
 * Loads the packages once.
 *
 * @throws {ShellError} `ERR_SHELL_PTY`, `ERR_SHELL_PLATFORM`
 * @throws {NativeError} `ERR_NATIVE_KOFFI`: without koffi each program would inherit the terminals of all others
 */
export function loadPty (): Promise<Pty> {
  loaded ??= load()
  return loaded
}

async function load (): Promise<Pty> {
  if (process.platform === 'win32') throw new ShellError('ERR_SHELL_PLATFORM', 'shells of Windows cannot be opened yet')
  const name = `@lydell/node-pty-${process.platform}-${process.arch}`
  let addon: Addon
  let helper = '' // what starts programs on macOS
  try {
    const own = createRequire(createRequire(import.meta.url).resolve('@lydell/node-pty'))
    addon = own(`${name}/pty.node`)
    if (process.platform === 'darwin') helper = own.resolve(`${name}/spawn-helper`)
  } catch (cause) {
    throw new ShellError('ERR_SHELL_PTY', 'the optional package @lydell/node-pty is not installed: npm install @lydell/node-pty', { cause })
  }
  const closeOnExec = await loadCloseOnExec()
  return {
    fork (file, env, cwd, { rows, cols }, onExit) {
      const forked = addon.fork(file, [], env, cwd, cols, rows, OWN, OWN, true, helper, onExit)
      try {
        closeOnExec(forked.fd)
      } catch (err) {
        closeSync(forked.fd) // which ends the program
        throw err
      }
      return forked
    },
    resize: (fd, { rows, cols }) => { addon.resize(fd, cols, rows) }
  }
}

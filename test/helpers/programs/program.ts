/** Runs the real programs as child processes. Nothing here sleeps: one waits for a line or for the end. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'
import { bareNode, executable, STRIP_TYPES, type ExecutableName } from './executables.ts'
import { homeEnv } from './homes.ts'

export interface ProgramInit {
  env?: Record<string, string>
  cwd?: string
  stdin?: 'pipe' | 'ignore'
  /** Modules that are loaded before it, as URLs. */
  imports?: readonly string[]
}

export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

export class Program {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  stdout = ''
  stderr = ''
  readonly #waiting = new Set<() => void>()

  constructor (script: string, args: readonly string[], { env = {}, cwd, stdin = 'ignore', imports = [] }: ProgramInit = {}) {
    const { TUNPIPE_PASSWORD: _password, TUNPIPE_TOKEN: _token, ...inherited } = process.env
    const loader = script.endsWith('.ts') ? STRIP_TYPES : []
    const [command, ...rest] = bareNode(...imports.flatMap((url) => ['--import', url]), ...loader, script, ...args)
    this.child = spawn(command, rest, { cwd, env: { ...inherited, ...homeEnv(), ...env }, stdio: [stdin, 'pipe', 'pipe'] })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.#wake()
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#wake()
    })
    this.ended = once(this.child, 'close').then(([code]) => {
      this.#wake()
      return { code, stdout: this.stdout, stderr: this.stderr }
    })
  }

  #wake (): void {
    for (const wake of this.#waiting) wake()
  }

  /** What the pattern finds on stdout, or on stderr; rejects when the program ends without it. */
  async find (pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    let over = false
    void this.ended.then(() => { over = true })
    for (;;) {
      const match = pattern.exec(this[stream])
      if (match !== null) return match
      if (over) throw new Error(`ended without ${pattern.source}: ${this.stdout}${this.stderr}`)
      const more = new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake)
          resolve()
        }
        this.#waiting.add(wake)
      })
      await Promise.race([more, this.ended])
    }
  }

  signal (name: NodeJS.Signals): void {
    this.child.kill(name)
  }
}

/** Starts a script; it is gone when the test is over. */
export function startScript (t: Test, script: string, args: readonly string[] = [], init?: ProgramInit): Program {
  const program = new Program(script, args, init)
  t.teardown(() => { program.signal('SIGKILL') })
  return program
}

export function startProgram (t: Test, name: ExecutableName, args: readonly string[], init?: ProgramInit): Program {
  return startScript(t, executable(name), args, init)
}

/** Runs it to its end. */
export async function runProgram (t: Test, name: ExecutableName, args: readonly string[], init?: ProgramInit): Promise<Ended> {
  return await startProgram(t, name, args, init).ended
}

/** Runs the real programs as child processes. Nothing here sleeps: one waits for a line or for the end. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'
import { executable, STRIP_TYPES, type ExecutableName } from './executables.ts'
import { homeEnv } from './homes.ts'
import { killGroup, spawnGroup } from './reaper.ts'

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

  constructor (command: string, args: readonly string[], { env = {}, cwd, stdin = 'ignore' }: ProgramInit = {}) {
    const { TUNPIPE_PASSWORD: _password, TUNPIPE_TOKEN: _token, ...inherited } = process.env
    this.child = spawnGroup(command, args, { cwd, env: { ...inherited, ...homeEnv(), ...env }, stdio: [stdin, 'pipe', 'pipe'] })
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

/** Starts a command; it is gone when the test is over. */
export function startCommand (t: Test, command: string, args: readonly string[] = [], init?: ProgramInit): Program {
  const program = new Program(command, args, init)
  t.teardown(() => { killGroup(program.child.pid as number) })
  return program
}

/** Starts a Node with arguments of its own. */
export const startNode = (t: Test, args: readonly string[], init?: ProgramInit): Program => startCommand(t, process.execPath, args, init)

/** Starts a script, of types as well. */
export function startScript (t: Test, script: string, args: readonly string[] = [], { imports = [], ...init }: ProgramInit = {}): Program {
  const loader = script.endsWith('.ts') ? STRIP_TYPES : []
  return startNode(t, [...imports.flatMap((url) => ['--import', url]), ...loader, script, ...args], init)
}

export function startProgram (t: Test, name: ExecutableName, args: readonly string[], init?: ProgramInit): Program {
  return startScript(t, executable(name), args, init)
}

/** Runs it to its end. */
export async function runProgram (t: Test, name: ExecutableName, args: readonly string[], init?: ProgramInit): Promise<Ended> {
  return await startProgram(t, name, args, init).ended
}

/** Runs a Node to its end; gives what it has written to stdout. */
export async function outputOf (t: Test, args: readonly string[], init?: ProgramInit): Promise<string> {
  const { code, stdout, stderr } = await startNode(t, args, init).ended
  if (code !== 0) throw new Error(`code ${code}: ${stderr}`)
  return stdout
}

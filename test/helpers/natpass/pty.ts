/** Terminals of the system for the tests that want them. */
import type { Test } from 'tap'
import { loadPty } from '../../../src/nodes/natpass/peer/shell/pty.ts'
import { startShell, type Shell, type ShellInit } from '../../../src/nodes/natpass/peer/shell/shell.ts'

/** Why tests with terminals are skipped, or `false` to run them. On a build machine they always run. */
export const skipWithoutPty: string | false = process.env.CI === 'true'
  ? false
  : await loadPty().then(() => false as const, (err: Error) => err.message)

/** A plain environment: a prompt that is known, no files of the user. */
export const PLAIN = { PATH: process.env.PATH, HOME: '/nonexistent', PS1: '$ ', LC_ALL: 'C.UTF-8', ENV: undefined }

/** Whether there is such a process. */
export function isRunning (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** A shell that ends with the test. */
export async function startTestShell (t: Test, init: ShellInit = {}): Promise<Shell> {
  const shell = await startShell({ own: PLAIN, exec: '/bin/sh', ...init })
  t.teardown(async () => {
    shell.link.abort(new Error('the test is over'))
    await shell.exited
  })
  return shell
}

/** A conversation with a shell. */
export class Talk {
  /** All output so far. */
  heard = Buffer.alloc(0)
  readonly ended: Promise<void>
  readonly #shell: Pick<Shell, 'link'>
  #at = 0
  #wake: () => void = () => {}
  #isOver = false

  constructor (shell: Pick<Shell, 'link'>) {
    this.#shell = shell
    this.ended = this.#read()
  }

  type (text: string | Uint8Array): void { this.#shell.link.port.send([Buffer.from(text)]) }

  /** The next output up to a text, which is taken; in latin1, so that bytes stay what they are. */
  async until (text: string): Promise<string> {
    for (;;) {
      const rest = this.heard.toString('latin1', this.#at)
      const at = rest.indexOf(text)
      if (at >= 0) {
        this.#at += at + text.length
        return rest.slice(0, at)
      }
      if (this.#isOver) throw new Error(`the shell has ended before ${JSON.stringify(text)}: ${JSON.stringify(rest)}`)
      await new Promise<void>((resolve) => { this.#wake = resolve })
    }
  }

  async #read (): Promise<void> {
    try {
      for await (const batch of this.#shell.link.source) {
        this.heard = Buffer.concat([this.heard, ...batch])
        this.#wake()
      }
    } catch {
      // aborted
    }
    this.#isOver = true
    this.#wake()
  }
}

/** The terminal that this process was started in, or the pipes in its place. */
import { spawnSync } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import type { TerminalSize } from '../../../nodes/natpass/peer/shell/terminal-size.ts'

export class LocalTerminal {
  /** Input comes from a terminal. */
  readonly isInteractive = process.stdin.isTTY
  readonly input: Readable = process.stdin
  /** Where the size is known. */
  readonly #screen = [process.stdout, process.stderr].find(({ isTTY }) => isTTY)
  /** `process.stdout` blocks the process while its terminal does not read, and what comes from the network as well. */
  readonly #output: Writable = process.stdout.isTTY ? createWriteStream('', { fd: process.stdout.fd, autoClose: false }) : process.stdout
  #isRaw = false

  constructor () { this.#output.on('error', () => {}) } // `write` tells it

  /** Undefined where there is none, or it is not known. */
  get size (): TerminalSize | undefined {
    const { rows = 0, columns: cols = 0 } = this.#screen ?? {}
    return rows > 0 && cols > 0 ? { rows, cols } : undefined
  }

  /** @returns a function that stops the calls */
  onResize (tell: () => void): () => void {
    this.#screen?.on('resize', tell)
    return () => { this.#screen?.off('resize', tell) }
  }

  /** From now on keys are input, and output is shown as it is. Does nothing without a terminal. A process that ends leaves this mode. */
  enterRawMode (): void {
    if (!this.isInteractive || this.#isRaw) return
    this.#isRaw = true
    process.stdin.setRawMode(true)
    spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] }) // which Node leaves on: the shell has ended its lines already
  }

  leaveRawMode (): void {
    if (!this.#isRaw) return
    this.#isRaw = false
    process.stdin.setRawMode(false) // also what stty has changed
  }

  /** Settles when the system has taken the bytes. Rejects when it does not. */
  write (bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#output.write(bytes, (err) => {
        if (err == null) resolve()
        else reject(err)
      })
    })
  }

  /** Tells the user something, on stderr. */
  say (text: string): void { process.stderr.write(`${text}${this.#isRaw ? '\r\n' : '\n'}`) }
}

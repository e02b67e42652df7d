/** A user of a rule of an original client: what its page does in a browser (natpass protocol, section 4.2). */
import { once } from 'node:events'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { endOf, linesAtOnce, NumberedLines, QUIET } from './numbered-lines.ts'
import { eventually } from '../network/traffic.ts'

/** Asks the page of a rule. */
export async function ask (port: number, path: string, { host = '127.0.0.1', form }: { host?: string, form?: Record<string, string> } = {}): Promise<{ status: number, text: string }> {
  const response = await fetch(`http://${host}:${port}${path}`, form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) })
  return { status: response.status, text: await response.text() }
}

export class ShellUser {
  readonly id: string
  readonly socket: WebSocket
  /** What was heard and not taken yet. */
  heard = ''
  readonly #port: number
  readonly #host: string
  #take: ((chunk: Buffer) => void) | undefined
  #wake: () => void = () => {}

  private constructor (socket: WebSocket, id: string, port: number, host: string) {
    this.socket = socket
    this.id = id
    this.#port = port
    this.#host = host
    socket.on('error', () => {})
    socket.on('message', (chunk: Buffer) => {
      if (this.#take !== undefined) return this.#take(chunk)
      this.heard += chunk.toString('latin1')
      this.#wake()
    })
  }

  /**
   * Opens a shell by a rule.
   *
   * @throws {Error} with the text of the page when it is refused
   */
  static async open (t: Test, port: number, host = '127.0.0.1'): Promise<ShellUser> {
    const { status, text: id } = await ask(port, '/new', { host })
    if (status !== 200) throw new Error(`${status} ${id.trim()}`)
    const socket = new WebSocket(`ws://${host}:${port}/ws/${id}`)
    t.teardown(() => { socket.terminate() })
    const user = new ShellUser(socket, id, port, host)
    await once(socket, 'open')
    return user
  }

  /** The same, until both ends are known to the server. */
  static async openSoon (t: Test, port: number, host?: string): Promise<ShellUser> {
    let user: ShellUser | undefined
    let why: unknown
    const isOpen = await eventually(() => ShellUser.open(t, port, host).then((opened) => {
      user = opened
      return true
    }, (err: unknown) => {
      why = err
      return false
    }))
    if (!isOpen || user === undefined) throw why
    return user
  }

  type (text: string): void { this.socket.send(text) }

  /** Waits for what the pattern finds, and takes everything up to its end. */
  async hears (pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.heard)
      if (found !== null) {
        this.heard = this.heard.slice(found.index + found[0].length)
        return found
      }
      await new Promise<void>((resolve) => { this.#wake = resolve })
    }
  }

  /** Makes the shell one that adds nothing to what its programs write. */
  async quiet (): Promise<void> {
    this.type(QUIET)
    await this.hears(/READY\n/)
  }

  /** Starts a command of numbered lines in a quiet shell; settles at its first line. */
  async lines (command: string): Promise<NumberedLines> {
    this.type(command)
    await this.hears(/BEGIN\n/)
    const lines = new NumberedLines()
    this.#take = (chunk) => { lines.push(chunk) }
    lines.push(Buffer.from(this.heard, 'latin1'))
    this.heard = ''
    void lines.ended.then(() => { this.#take = undefined })
    return lines
  }

  /** Writes so many lines at full speed; all that came of them. */
  async burst (count: number): Promise<NumberedLines> {
    const lines = await this.lines(linesAtOnce(count))
    await endOf(lines)
    return lines
  }

  async resize (rows: number, cols: number): Promise<string> {
    return (await ask(this.#port, '/resize', { host: this.#host, form: { id: this.id, rows: String(rows), cols: String(cols) } })).text
  }
}

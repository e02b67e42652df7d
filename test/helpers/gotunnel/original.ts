/** The real gotunnel programs, for whoever has them: in a folder with a configuration of its own, as they read no other. */
import type { ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { newHome } from '../programs/homes.ts'
import { spawnGroup } from '../programs/reaper.ts'

/** Milliseconds after which what has not been said will not be said. */
const PATIENCE = 20_000

export class Original {
  readonly ended: Promise<unknown>
  readonly #child: ChildProcess
  #said = ''
  /** Where the last find has ended. */
  #read = 0
  #wake: () => void = () => {}

  /** It is gone when the test is over. */
  constructor (t: Test, program: string, section: 'server' | 'client', settings: Record<string, unknown>) {
    const cwd = newHome()
    writeFileSync(join(cwd, 'config.yaml'), JSON.stringify({ [section]: { log_lang: 'en', ...settings } })) // JSON is YAML
    this.#child = spawnGroup(program, [], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text
        this.#wake()
      })
    }
    this.ended = once(this.#child, 'close')
    t.teardown(() => this.kill())
  }

  /** Waits for what the pattern finds behind the last find. */
  async says (pattern: RegExp): Promise<void> {
    let isOver = false
    let timer: NodeJS.Timeout | undefined
    const over = Promise.race([this.ended, new Promise((resolve) => { timer = setTimeout(resolve, PATIENCE) })]).then(() => { isOver = true })
    for (;;) {
      const found = pattern.exec(this.#said.slice(this.#read))
      if (found !== null) {
        clearTimeout(timer)
        this.#read += found.index + found[0].length
        return
      }
      if (isOver) throw new Error(`it has not said ${pattern.source}, but: ${this.#said}`)
      await Promise.race([over, new Promise<void>((resolve) => { this.#wake = resolve })])
    }
  }

  async kill (): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.ended
  }
}

const CHUNK = 64 * 1024
const POOL = randomBytes(1024 * 1024 + CHUNK)

/** So many bytes, which are not the same twice; their digest. */
async function send (socket: Socket, bytes: number): Promise<string> {
  const digest = createHash('sha256')
  let at = randomBytes(2).readUInt16BE()
  for (let left = bytes; left > 0; left -= CHUNK) {
    const chunk = POOL.subarray(at, at + Math.min(left, CHUNK))
    at = (at + 7919) % (POOL.length - CHUNK)
    digest.update(chunk)
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
  return digest.digest('hex')
}

/** The digest of so many bytes that come, and what comes behind them until `rest` bytes more are there. */
async function receive (socket: Socket, bytes: number, rest: number): Promise<[digest: string, rest: string]> {
  const digest = createHash('sha256')
  let count = 0
  let behind = ''
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', () => { reject(new Error(`closed after ${count} of ${bytes} bytes and ${behind.length} of ${rest} behind them`)) })
    socket.on('data', (chunk: Buffer) => {
      const wanted = chunk.subarray(0, bytes - count)
      digest.update(wanted)
      count += wanted.length
      behind += chunk.toString('latin1', wanted.length)
      if (count === bytes && behind.length === rest) resolve()
    })
  })
  return [digest.digest('hex'), behind]
}

const DIGESTS = 128

/** Exchanges so many bytes with each user, then says what it has sent and received, and ends. */
export async function exchangeService (t: Test, bytes: number): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).once('close', () => { sockets.delete(socket) })
    Promise.all([send(socket, bytes), receive(socket, bytes, 0)]).then(([sent, [received]]) => { socket.end(sent + received) }, () => { socket.destroy() })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

/**
 * A user of one. The original ends both directions with the first, so nobody here ends one before all is said.
 *
 * @param begun called with the first byte from the service
 */
export async function exchange (t: Test, port: number, bytes: number, begun: () => void = () => {}): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  t.teardown(() => { socket.destroy() })
  socket.once('data', begun)
  const ended = new Promise((resolve) => { socket.once('end', resolve) })
  const [sent, [received, digests]] = await Promise.all([send(socket, bytes), receive(socket, bytes, DIGESTS)])
  await ended
  socket.end()
  return digests === received + sent
}

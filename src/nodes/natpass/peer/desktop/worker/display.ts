/** The connection to the X server: how it is found, what ends it, and requests that are answered. */
import { access, constants } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { DisplayError } from './display-error.ts'
import { loadX11, type Callback, type Client, type ScreenSetup, type Setup, type XEvent } from './x11-package.ts'
import type { Clock } from '../../../../../types.ts'

/** `DISPLAY` and `WAYLAND_DISPLAY`. What `XAUTHORITY` names is read by the package, so that is always the variable of the process. */
export type Environment = Readonly<Record<string, string | undefined>>

const FIRST_PORT = 6000

/** Milliseconds for the X server to take a connection. */
const OPEN_TIMEOUT = 5000
/** The same to do what is left at the end. */
const CLOSE_TIMEOUT = 500

/** One screen of one X server. */
export class Display {
  readonly client: Client
  readonly setup: Setup
  readonly screen: ScreenSetup
  /** Whether server and client may share memory. */
  readonly isLocal: boolean
  readonly #clock: Clock
  #error: DisplayError | undefined
  readonly #waiting = new Set<(err: DisplayError) => void>()

  constructor (setup: Setup, screen: ScreenSetup, isLocal: boolean, clock: Clock) {
    this.client = setup.client
    this.setup = setup
    this.screen = screen
    this.isLocal = isLocal
    this.#clock = clock
    this.client.atoms = {} // by default those of all connections are in one table, also where these have several servers
    this.client.on('error', () => {}) // refused requests without an answer: a window that is gone, say
    this.client.stream.on('close', () => { this.#lose() })
  }

  get root (): number { return this.screen.root }

  /** What has ended the connection. */
  get error (): DisplayError | undefined { return this.#error }

  /**
   * The answer to a request.
   *
   * @throws {DisplayError} `ERR_DISPLAY_REQUEST`, `ERR_DISPLAY_LOST`
   */
  ask<T> (request: (done: Callback<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) {
        reject(this.#error)
        return
      }
      this.#waiting.add(reject)
      request((err, reply) => {
        this.#waiting.delete(reject)
        if (err == null) resolve(reply)
        else reject(new DisplayError('ERR_DISPLAY_REQUEST', `the X server has refused a request: ${err.message}`, { cause: err }))
        return true
      })
    })
  }

  /** An extension of the protocol; undefined where the server has none of that name. */
  async extension<E> (name: string): Promise<E | undefined> {
    return await new Promise((resolve) => {
      this.client.require<E>(name, (err, extension) => { resolve(err === null ? extension : undefined) })
    })
  }

  /** A promise while the server is slower than requests come: it settles when it has taken what waited for it, or is gone. */
  ready (): Promise<void> | undefined {
    const { stream } = this.client
    if (stream.destroyed || !stream.writableNeedDrain) return undefined
    return new Promise((resolve) => {
      const settle = (): void => {
        stream.off('drain', settle).off('close', settle)
        resolve()
      }
      stream.on('drain', settle).on('close', settle)
    })
  }

  on (take: (event: XEvent) => void): void { this.client.on('event', take) }

  /** Ends the connection, when all that was requested has been done, or the server takes too long for that. */
  async close (): Promise<void> {
    const { stream } = this.client
    const timer = this.#clock.set(CLOSE_TIMEOUT, () => { stream.destroy() })
    await this.ask<void>((done) => { this.client.sync((err) => done(err, undefined)) }).catch(() => {})
    this.#clock.clear(timer)
    stream.destroy()
  }

  #lose (): void {
    const error = this.#error ??= new DisplayError('ERR_DISPLAY_LOST', 'the X server has ended the connection')
    for (const reject of this.#waiting) reject(error)
    this.#waiting.clear()
  }
}

/**
 * Connects to the X server of the environment.
 *
 * @throws {DisplayError}
 */
export async function openDisplay (environment: Environment, clock: Clock): Promise<Display> {
  const { display, socket: where, screen: number, isLocal } = addressOf(environment)
  const { createClient } = await loadX11()
  await checkAuthority(process.env.XAUTHORITY)
  const socket = await dial(where, display)
  const timer = clock.set(OPEN_TIMEOUT, () => { socket.destroy() })
  return await new Promise<Display>((resolve, reject) => {
    const refuse = (): void => { reject(new DisplayError('ERR_DISPLAY_PERMISSION', `the X server ${display} does not take the connection`)) }
    socket.once('close', refuse)
    // Without `auth: undefined` the package would not look into the file of XAUTHORITY for a socket that it is given.
    // Without `bufferRequests` the first message is written in parts, and a server that refuses ends the connection before the last one: its
    // reason would not be read.
    const client = createClient({ display, stream: socket, auth: undefined, shm: false, bufferRequests: true }, (err, setup) => {
      const screen = setup?.screen[number]
      if (err !== undefined) refuse()
      else if (screen === undefined) reject(new DisplayError('ERR_DISPLAY_NONE', `the X server ${display} has no screen ${number}`))
      else resolve(new Display(setup, screen, isLocal, clock))
    })
    client.on('error', (err: Error) => {
      reject(new DisplayError('ERR_DISPLAY_PERMISSION', `the X server ${display} refuses this user, see XAUTHORITY: ${err.message.trim()}`, { cause: err }))
    })
  }).catch((err: DisplayError) => {
    socket.destroy()
    throw err
  }).finally(() => { clock.clear(timer) })
}

interface DisplayAddress {
  readonly display: string
  readonly socket: { readonly path: string } | { readonly host: string, readonly port: number }
  readonly screen: number
  readonly isLocal: boolean
}

function addressOf ({ DISPLAY: display = '', WAYLAND_DISPLAY: wayland = '' }: Environment): DisplayAddress {
  if (display === '') {
    throw new DisplayError('ERR_DISPLAY_NONE', wayland === ''
      ? 'this peer has no desktop: DISPLAY is not set'
      : 'the desktop of this peer is one of Wayland without an X server (DISPLAY is not set), which cannot be shown')
  }
  const [, host, number, screen = '0'] = /^(?:unix|unix\/)?([^/:]*|\[[\da-f:]+\]):(\d{1,5})(?:\.(\d{1,2}))?$/i.exec(display) ?? []
  if (host === undefined || FIRST_PORT + Number(number) > 0xffff) throw new DisplayError('ERR_DISPLAY_NONE', `DISPLAY is ${JSON.stringify(display)}, expected one such as :0`)
  const isLocal = host === ''
  return {
    display: `${host}:${number}`,
    socket: isLocal ? { path: `/tmp/.X11-unix/X${number}` } : { host: host.replace(/^\[|\]$/g, ''), port: FIRST_PORT + Number(number) },
    screen: Number(screen),
    isLocal
  }
}

/** The package throws where nobody catches it for a file that cannot be read. One that is missing is fine. */
async function checkAuthority (file: string | undefined): Promise<void> {
  if (file === undefined || file === '') return
  try {
    await access(file, constants.R_OK)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new DisplayError('ERR_DISPLAY_PERMISSION', `the file of XAUTHORITY cannot be read: ${(cause as Error).message}`, { cause })
  }
}

async function dial (where: DisplayAddress['socket'], display: string): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = connect(where, () => {
      socket.off('error', refuse)
      socket.on('error', () => {}) // 'close' follows
      resolve(socket)
    })
    const refuse = (cause: NodeJS.ErrnoException): void => {
      const [code, text] = cause.code === 'EACCES' ? ['ERR_DISPLAY_PERMISSION', 'refuses this user'] as const : ['ERR_DISPLAY_NONE', 'cannot be reached'] as const
      reject(new DisplayError(code, `the X server ${display} ${text}: ${cause.message}`, { cause }))
    }
    socket.on('error', refuse)
  })
}

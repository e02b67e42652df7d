/**
 * The control socket of a running program, a Unix socket for its owner only. A request is one line of JSON, and the answer is
 * another; some commands send more after it, such as a capture.
 */
import { chmodSync } from 'node:fs'
import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Logger } from '../../log.ts'
import { makeFolder } from '../folder.ts'
import { codeOf, reason } from '../reason.ts'
import { isSameFile } from './same-file.ts'
import { listenUnix } from '../unix-socket.ts'

/** A request has a few hundred bytes. */
const MAX_REQUEST_BYTES = 4096
const REQUEST_TIMEOUT_MS = 5000

const MAX_CONNECTIONS = 16

/** The error code of an answer to a request for another process. */
export const OTHER_PROCESS = 'ERR_OTHER_PROCESS'

export interface Request {
  command: string
  /** Absolute path of the configuration file of the process that is asked. */
  config?: string
  [option: string]: unknown
}

/** Answers a request; an error is sent to the requester. The socket stays open when something follows the answer, and is ended otherwise. */
export type Command = (request: Request, socket: Socket) => Promise<Answer>

export interface Answer {
  /** Sent as one line. */
  body: object
  /** Sends more after the answer; settles when that has been written. */
  follow?: () => Promise<void>
}

/** The identity of this process. */
export interface Identity {
  readonly program: string
  /** Absolute path of its configuration file, if it has one. */
  readonly config?: string
}

export interface Control {
  close (): Promise<void>
}

/**
 * Never rejects: a program works without its control socket, so errors are logged as warnings.
 *
 * @param identity - its program is part of every answer, so that a client can check it
 * @returns undefined when there is no socket
 */
export async function serveControl (path: string, identity: Identity, commands: Readonly<Record<string, Command>>, log: Logger): Promise<Control | undefined> {
  const sockets = new Set<Socket>()
  try {
    makeFolder(dirname(path))
    const server = await listenUnix(path, (socket) => {
      if (sockets.size >= MAX_CONNECTIONS) {
        answer(socket, { program: identity.program, error: `${MAX_CONNECTIONS} ask at once already` })
        return
      }
      sockets.add(socket)
      socket.once('close', () => { sockets.delete(socket) })
      void serve(socket, identity, commands)
    })
    if (server === undefined) {
      log.warn({ path }, 'the control socket is that of another process: status and reload do not reach this one (give it a --control, or a peer a --name)')
      return undefined
    }
    chmodSync(path, 0o600)
    return {
      async close () {
        for (const socket of sockets) socket.destroy()
        await server.close()
      }
    }
  } catch (err) {
    log.warn({ path, reason: reason(err) }, 'there is no control socket: status and reload do not reach this process (see --control)')
    return undefined
  }
}

/** Sends the last line and closes the connection, whether or not the other side does. */
function answer (socket: Socket, body: object): void {
  socket.write(`${JSON.stringify(body)}\n`)
  socket.destroySoon()
}

async function serve (socket: Socket, identity: Identity, commands: Readonly<Record<string, Command>>): Promise<void> {
  try {
    const request = await readRequest(socket)
    rejectOtherConfig(request, identity)
    const command = Object.hasOwn(commands, request.command) ? commands[request.command] : undefined
    if (command === undefined) throw Object.assign(new Error(`there is no ${String(request.command)} here, only ${Object.keys(commands).join(', ')}`), { code: 'ERR_USAGE' })
    const { body, follow } = await command(request, socket)
    if (follow === undefined) {
      answer(socket, { program: identity.program, ...body })
      return
    }
    socket.write(`${JSON.stringify({ program: identity.program, ...body })}\n`)
    await follow()
    socket.destroySoon()
  } catch (err) {
    answer(socket, { program: identity.program, error: reason(err), code: codeOf(err) })
  }
}

/** @throws when the request is for a process with another configuration */
function rejectOtherConfig ({ config: wanted }: Request, { program, config }: Identity): void {
  if (typeof wanted !== 'string' || (config !== undefined && isSameFile(wanted, config))) return
  throw Object.assign(new Error(`this ${program} runs ${config === undefined ? 'without a configuration file' : `with ${config}`}, not with ${wanted}`), { code: OTHER_PROCESS })
}

/** Reads one line of JSON. Rejects when it is invalid, too long or too late. */
function readRequest (socket: Socket): Promise<Request> {
  return new Promise((resolve, reject) => {
    let read = Buffer.alloc(0)
    const settle = (err: Error | undefined, request?: Request): void => {
      clearTimeout(timer)
      socket.off('data', onData).off('close', onClose)
      if (request === undefined) reject(err ?? new Error('the request is no line of JSON with a command'))
      else resolve(request)
    }
    const onData = (bytes: Buffer): void => {
      read = Buffer.concat([read, bytes])
      const end = read.indexOf(0x0a)
      if (end < 0 && read.length <= MAX_REQUEST_BYTES) return
      settle(undefined, end < 0 ? undefined : parse(read.toString('utf8', 0, end)))
    }
    const onClose = (): void => { settle(new Error('the connection has ended')) }
    const timer = setTimeout(() => { settle(new Error('no request has come')) }, REQUEST_TIMEOUT_MS)
    socket.on('data', onData).once('close', onClose)
  })
}

function parse (line: string): Request | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && typeof (value as Request).command === 'string' ? value as Request : undefined
  } catch {
    return undefined
  }
}

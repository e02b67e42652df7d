/**
 * Unix sockets with one owner at a time. The kernel closes the socket of a process that has ended, so a socket file without a listener
 * is stale. A pid file would not do: ids are used again, and in containers that share a folder every process has the id 1.
 */
import { once } from 'node:events'
import { closeSync, lstatSync, openSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import { codeOf } from './reason.ts'

/** Bytes of the path of a socket (`sockaddr_un`). */
const MAX_PATH = 107

/** Only the owner may connect. */
const UMASK = 0o177

export interface UnixServer {
  /** Also removes the file. */
  close (): Promise<void>
}

/** @returns undefined when another process listens there. @throws an error of the system when the socket cannot be created */
export async function listenUnix (file: string, onConnection: (socket: Socket) => void): Promise<UnixServer | undefined> {
  const { path, free } = shortPath(file)
  const server = await bind(path, onConnection) ?? (await isAlive(path) ? undefined : await takeOver(path, onConnection))
  if (server === undefined) {
    free()
    return undefined
  }
  server.unref() // does not keep the process alive
  return {
    async close () {
      server.close()
      await once(server, 'close')
      free()
    }
  }
}

/** Rejects when there is no listener. */
export async function dialUnix (file: string): Promise<Socket> {
  const { path, free } = shortPath(file)
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return socket
  } finally {
    free()
  }
}

/** A path to the same file within the limit: through an open folder in `/proc/self/fd` if necessary. */
function shortPath (file: string): { path: string, free (): void } {
  if (Buffer.byteLength(file) <= MAX_PATH) return { path: file, free () {} }
  const fd = openSync(dirname(file), 'r')
  return { path: `/proc/self/fd/${fd}/${basename(file)}`, free () { closeSync(fd) } }
}

async function bind (path: string, onConnection: (socket: Socket) => void): Promise<Server | undefined> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {}) // a client that only checks for a listener closes at once
    onConnection(socket)
  })
  const umask = process.umask(UMASK)
  try {
    server.listen(path) // creates the file synchronously
  } finally {
    process.umask(umask)
  }
  try {
    await once(server, 'listening')
    return server
  } catch (err) {
    if (codeOf(err) === 'EADDRINUSE') return undefined
    throw err
  }
}

/** Whether a process listens: the test is a connection. */
async function isAlive (path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch (err) {
    return codeOf(err) !== 'ECONNREFUSED' && codeOf(err) !== 'ENOENT'
  } finally {
    socket.destroy()
  }
}

/** Replaces a stale socket. Two processes at the same moment may both succeed; that requires a crash before, and is accepted. */
async function takeOver (path: string, onConnection: (socket: Socket) => void): Promise<Server | undefined> {
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there !== undefined && !there.isSocket()) throw new Error('the file is not a socket')
  rmSync(path, { force: true })
  return await bind(path, onConnection)
}

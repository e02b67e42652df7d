/**
 * Keeps two processes from using one state file, by a Unix socket beside it. The system closes the socket of a process that
 * has died, however it died, so a lock that nobody answers on is a left-over. A file with a process id in it would not do:
 * ids are used again, and in containers that share a folder every process is number 1.
 */
import { once } from 'node:events'
import { closeSync, openSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { basename, dirname } from 'node:path'
import { codeOf } from '../reason.ts'

/** A path of a socket has at most 107 bytes (`sockaddr_un`). */
const LONGEST_PATH = 107

export interface StateLock {
  release (): Promise<void>
}

/** @returns undefined when another process holds it. Rejects when the folder does not let anyone make one. */
export async function acquireLock (file: string): Promise<StateLock | undefined> {
  const { path, free } = shortPath(file)
  const server = await bind(path) ?? (await isAlive(path) ? undefined : await takeOver(path))
  if (server === undefined) {
    free()
    return undefined
  }
  server.unref() // a lock alone is no reason to stay
  return {
    async release () {
      server.close() // also removes the file
      await once(server, 'close')
      free()
    }
  }
}

/** Linux can reach a file through an open folder, whatever the length of its path. */
function shortPath (file: string): { path: string, free (): void } {
  if (Buffer.byteLength(file) <= LONGEST_PATH) return { path: file, free () {} }
  const fd = openSync(dirname(file), 'r')
  return { path: `/proc/self/fd/${fd}/${basename(file)}`, free () { closeSync(fd) } }
}

async function bind (path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy()) // connecting is asking; being accepted is the answer
  server.listen(path)
  try {
    await once(server, 'listening')
    return server
  } catch (err) {
    if (codeOf(err) === 'EADDRINUSE') return undefined
    throw err
  }
}

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

/** Two processes that come here in the same moment may both succeed; that takes a crash before it and no luck at all. */
async function takeOver (path: string): Promise<Server | undefined> {
  rmSync(path, { force: true })
  return await bind(path)
}

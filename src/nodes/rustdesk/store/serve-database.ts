/** Opens a database and serves it by a port, whose other end is a store. */
import type { MessagePort } from 'node:worker_threads'
import { systemClock, wait } from '../../../streams/clock.ts'
import { PeerDatabase } from './database.ts'
import { PeerStoreError } from './errors.ts'
import { faultOf, type StoreCommand, type StoreEvent, type ThreadInit } from './messages.ts'
import { isLocked, lockedError, RequestQueue } from './request-queue.ts'

/** Milliseconds between two attempts to open a locked database. */
const OPEN_PAUSE = 50

async function open ({ path, lockTimeout, maxRows }: ThreadInit): Promise<PeerDatabase> {
  const libsql = await import('libsql').catch((err: NodeJS.ErrnoException) => {
    throw new PeerStoreError('ERR_PEER_STORE_LIBSQL', `the optional package libsql does not load: npm install libsql (${String(err?.code)})`)
  })
  const end = systemClock.now() + lockTimeout
  for (;;) {
    try {
      return new PeerDatabase(libsql.default, path, maxRows)
    } catch (err) {
      if (!isLocked(err)) throw err
      if (systemClock.now() >= end) throw lockedError(lockTimeout)
      await wait(systemClock, OPEN_PAUSE)
    }
  }
}

function serve (database: PeerDatabase, port: MessagePort, { lockTimeout }: ThreadInit): void {
  const emit = (event: StoreEvent): void => { port.postMessage(event) }
  const queue = new RequestQueue({ database, lockTimeout, clock: systemClock, answer: (answers) => { emit({ type: 'answers', answers }) } })
  port.on('message', (command: StoreCommand) => {
    if (command !== 'close') return queue.push(command)
    queue.whenIdle(() => {
      try {
        database.close()
      } catch (err) {
        emit({ type: 'failed', fault: faultOf(err) })
      }
      port.close()
    })
  })
  emit({ type: 'open' })
}

/** Ends with the message that closes it; what cannot be opened is told, and the port stays as it is. */
export async function serveDatabase (port: MessagePort, init: ThreadInit): Promise<void> {
  try {
    serve(await open(init), port, init)
  } catch (err) {
    port.postMessage({ type: 'failed', fault: faultOf(err) } satisfies StoreEvent)
  }
}

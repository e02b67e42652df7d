/** The listening half that all transports share: incoming links as a bounded async iterable. */
import type { AddressInfo, Server } from 'node:net'
import { LinkClosedError } from '../errors.ts'
import { type Logger, silent } from '../log.ts'
import { throttle } from '../limits/throttle.ts'
import { systemClock } from '../streams/clock.ts'
import type { Link, Listener } from '../types.ts'

/** Maximum number of links that wait to be accepted; further ones are rejected, so that memory stays bounded when a program stops accepting. */
export const ACCEPT_BACKLOG = 1024

/**
 * Passes on each link until the listener is closed. A link that `accept` throws for is aborted, and does not end the listener.
 *
 * @throws an error of the system when it could not listen
 */
export async function acceptEach<L extends Link> (listener: AsyncIterable<L>, accept: (link: L) => void, onFault: (err: Error, link: L) => void): Promise<void> {
  for await (const link of listener) {
    try {
      accept(link)
    } catch (err) {
      link.abort(err as Error)
      onFault(err as Error, link)
    }
  }
}

export interface AcceptQueue<L extends Link> {
  /** Whether `offer` takes a link now. */
  readonly hasRoom: boolean
  /** False when the queue is full or closed: then the caller has to end the connection. */
  offer (link: L): boolean
  fail (err: Error): void
  close (): void
  links (): AsyncIterableIterator<L, undefined, undefined>
}

/** A reader that waits for a link. */
interface Waiting<L> {
  resolve (result: IteratorResult<L, undefined>): void
  reject (err: Error): void
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

/** @param stop stops listening; called once, when the queue is closed or its reader has left */
export function acceptQueue<L extends Link> (stop: () => void): AcceptQueue<L> {
  const waiting: L[] = []
  let over: { err?: Error } | undefined
  let readers: Array<Waiting<L>> = []
  const leave = (settle: (reader: Waiting<L>) => void): void => {
    const left = readers
    readers = []
    for (const reader of left) settle(reader)
  }
  const close = (): void => {
    if (over !== undefined) return
    over = {}
    stop()
    // As the kernel does with connections that were not accepted: otherwise they would stay open.
    for (const link of waiting.splice(0)) link.abort(new LinkClosedError('the listener accepts no links any more'))
    leave(({ resolve }) => { resolve(DONE) })
  }
  const hasRoom = (): boolean => over === undefined && waiting.length < ACCEPT_BACKLOG
  return {
    get hasRoom () { return hasRoom() },
    offer (link) {
      if (!hasRoom()) return false
      const reader = readers.shift()
      if (reader === undefined) waiting.push(link)
      else reader.resolve({ done: false, value: link })
      return true
    },
    fail (err) {
      if (over !== undefined) return
      over = { err }
      leave(({ reject }) => { reject(err) })
    },
    close,
    links () { // no generator, which takes several promises for each link
      let hasThrown = false
      return {
        next () {
          const link = waiting.shift()
          if (link !== undefined) return Promise.resolve({ done: false, value: link })
          if (over?.err !== undefined && !hasThrown) {
            hasThrown = true // an iterator throws once, then is done
            return Promise.reject(over.err)
          }
          if (over !== undefined) return Promise.resolve(DONE)
          return new Promise((resolve, reject) => {
            readers.push({
              resolve,
              reject (err) {
                hasThrown = true
                reject(err)
              }
            })
          })
        },
        return () {
          close()
          return Promise.resolve(DONE)
        },
        [Symbol.asyncIterator] () { return this }
      }
    }
  }
}

/**
 * The listener of a `net`, `tls` or `http` server whose connections go into `queue`.
 *
 * @param log called when the system could not accept connections: `err`, the last error, and `count`, how many
 */
export function serverListener<L extends Link> (server: Server, queue: AcceptQueue<L>, log: Logger = silent, clock = systemClock): Listener<L> {
  const reportError = throttle<Error>((err, count) => { log.warn({ err, count }, 'connections could not be accepted') }, { clock })
  const listening = new Promise<number>((resolve, reject) => {
    server.once('listening', () => { resolve((server.address() as AddressInfo).port) })
    server.once('close', () => { reject(new LinkClosedError('the listener was closed before it listened')) })
    server.on('error', (err) => {
      if (server.listening) { // accepting one connection has failed (too many open files): the next may succeed
        reportError(err)
        return
      }
      reject(err)
      queue.fail(err)
    })
  })
  listening.catch(() => {}) // code that only iterates gets the error there
  return {
    port: () => listening,
    close: () => { queue.close() },
    [Symbol.asyncIterator]: () => queue.links()
  }
}

/** The listening half that all transports share: incoming links as a bounded async iterable. */
import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'
import { Channel } from '../channel.ts'
import { LinkClosedError } from '../errors.ts'
import type { Link, Listener } from '../types.ts'

/** Links that wait to be taken; more are refused, so that a program that stops accepting does not grow. */
export const ACCEPT_BACKLOG = 1024

export interface AcceptQueue<L extends Link> {
  /** False when too many wait, or after `close`: then the caller ends the connection. */
  offer (link: L): boolean
  fail (err: Error): void
  close (): void
  links (): AsyncGenerator<L>
}

/** @param stop ends listening; called once, when the queue is closed or its reader has left */
export function acceptQueue<L extends Link> (stop: () => void): AcceptQueue<L> {
  const waiting = new Channel<L>()
  const close = (): void => {
    if (waiting.closed) return
    waiting.end()
    stop()
  }
  return {
    offer (link) {
      if (waiting.closed || waiting.size >= ACCEPT_BACKLOG) return false
      waiting.push(link)
      return true
    },
    fail: (err) => { waiting.fail(err) },
    close,
    async * links () {
      let taken: L[] = []
      try {
        for await (taken of waiting) {
          for (let link = taken.shift(); link !== undefined; link = taken.shift()) yield link
        }
      } finally {
        close()
        for (const link of taken) link.abort(new LinkClosedError('nobody accepts links any more'))
      }
    }
  }
}

/** The listener of a `net`, `tls` or `http` server whose connections go into `queue`. */
export function serverListener<L extends Link> (server: Server, queue: AcceptQueue<L>): Listener<L> {
  let failure: Error | undefined
  server.on('error', (err) => {
    if (server.listening) return // one connection could not be accepted (too many open files): the next may be
    failure = err
    queue.fail(err)
  })
  return {
    async port () {
      if (failure !== undefined) throw failure
      if (!server.listening) await once(server, 'listening')
      return (server.address() as AddressInfo).port
    },
    close: () => { queue.close() },
    [Symbol.asyncIterator]: () => queue.links()
  }
}

/**
 * Closing a connection so that what was sent still arrives: closing with unread bytes resets it, and the reset may overtake the answer.
 */
import { LinkClosedError } from '../../errors.ts'
import type { AnyLink, Batch, Clock } from '../../types.ts'

/** Milliseconds for the other side to read the last message and to close. */
const LINGER = 1000

async function * nothing (): AsyncGenerator<Batch<never>> {}

/**
 * Closes a connection that nothing else reads. Settles when the connection has ended, within a second; never rejects.
 *
 * @param close ends the outgoing side. Default: ends `sink`
 */
export function lingeringClose<L extends AnyLink> (link: L, clock: Clock, close?: (link: L) => unknown): Promise<void> {
  return linger(link, clock, async () => {
    for await (const batch of link.source) batch.length = 0
  }, close)
}

/**
 * The same for a connection whose reader goes on: it has to ignore what comes, until the end.
 *
 * @param read settles with that reader; may reject
 */
export function lingeringEnd<L extends AnyLink> (link: L, clock: Clock, read: Promise<unknown>, close?: (link: L) => unknown): Promise<void> {
  return linger(link, clock, () => read, close)
}

async function linger<L extends AnyLink> (link: L, clock: Clock, read: () => Promise<unknown>, close: (link: L) => unknown = (link) => link.sink(nothing())): Promise<void> {
  const abort = (): void => { link.abort(new LinkClosedError('the connection was ended')) }
  const timer = clock.set(LINGER, abort)
  try {
    await close(link)
    await read()
  } catch {
    // the other side has closed it
  } finally {
    clock.clear(timer)
    abort()
  }
}

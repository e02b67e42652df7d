import { LinkClosedError } from '../../errors.ts'
import type { AnyLink, Batch, Clock } from '../../types.ts'

/** Milliseconds for the other side to read the last message and to close. */
const LINGER = 1000

async function * nothing (): AsyncGenerator<Batch<never>> {}

/**
 * Closes a connection so that what was sent still arrives: closing with unread bytes resets it, and the reset may overtake the
 * answer. Settles when the connection has ended, within a second; never rejects.
 *
 * @param close ends the outgoing side. Default: ends `sink`
 */
export async function lingeringClose<L extends AnyLink> (link: L, clock: Clock, close: (link: L) => unknown = (link) => link.sink(nothing())): Promise<void> {
  const abort = (): void => { link.abort(new LinkClosedError('the connection was ended')) }
  const timer = clock.set(LINGER, abort)
  try {
    await close(link)
    for await (const batch of link.source) batch.length = 0
  } catch {
    // the other side has closed it
  } finally {
    clock.clear(timer)
    abort()
  }
}

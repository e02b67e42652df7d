import { LinkClosedError } from '../../errors.ts'
import type { AnyLink, Batch, Clock } from '../../types.ts'

/** Milliseconds that the other side has to read what it was told, and to leave. */
const LINGER = 1000

async function * nothing (): AsyncGenerator<Batch<never>> {}

/**
 * Ends a connection so that what was sent on it still arrives: a connection that is closed with bytes unread is reset, and a
 * reset may overtake the answer. Settles when it is gone, within a second; never rejects.
 *
 * @param close says that nothing follows. Default: the end of `sink`
 */
export async function lingeringClose<L extends AnyLink> (link: L, clock: Clock, close: (link: L) => unknown = (link) => link.sink(nothing())): Promise<void> {
  const abort = (): void => { link.abort(new LinkClosedError('the connection was ended')) }
  const timer = clock.set(LINGER, abort)
  try {
    await close(link)
    for await (const batch of link.source) batch.length = 0
  } catch {
    // It is gone, which is all that was wanted.
  } finally {
    clock.clear(timer)
    abort()
  }
}

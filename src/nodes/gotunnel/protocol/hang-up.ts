import { LinkClosedError } from '../../../errors.ts'
import type { AnyLink, Batch, Clock } from '../../../types.ts'

/** Milliseconds that the other side has to read what it was told, and to leave. */
const FAREWELL = 1000

async function * nothing (): AsyncGenerator<Batch<never>> {}

/**
 * Ends a connection so that what was sent on it still arrives: a connection that is closed with bytes unread is reset, and a
 * reset may overtake the answer. Settles when it is gone, within a second; never rejects.
 */
export async function hangUp (link: AnyLink, clock: Clock): Promise<void> {
  const abort = (): void => { link.abort(new LinkClosedError('the connection was ended')) }
  const timer = clock.set(FAREWELL, abort)
  try {
    await link.sink(nothing())
    for await (const batch of link.source) batch.length = 0
  } catch {
    // It is gone, which is all that was wanted.
  } finally {
    clock.clear(timer)
    abort()
  }
}

/** Joins two connections to one: what arrives at either leaves through the other. */
import { LinkClosedError } from './errors.ts'
import type { Batch, Link } from './types.ts'

export interface BridgeInit {
  /** What happens to what `a` brings on its way to `b`: counting, a limit. Default: nothing. */
  forward?: (source: AsyncIterable<Batch>) => AsyncIterable<Batch>
  /** The same from `b` to `a`. */
  backward?: (source: AsyncIterable<Batch>) => AsyncIterable<Batch>
}

const asItIs = (source: AsyncIterable<Batch>): AsyncIterable<Batch> => source

/**
 * Copies both ways until both have ended. Half-close is kept: the end of one direction ends only that one on the other side. A
 * slow receiver slows its sender down, so a bridge holds what its links hold and no more. When one direction breaks, both links
 * are aborted.
 *
 * Rejects with what broke.
 */
export async function bridge (a: Link, b: Link, { forward = asItIs, backward = asItIs }: BridgeInit = {}): Promise<void> {
  try {
    await Promise.all([b.sink(forward(a.source)), a.sink(backward(b.source))])
  } catch (err) {
    const reason = new LinkClosedError('the other side of the bridge has broken', { cause: err })
    a.abort(reason)
    b.abort(reason)
    throw err
  }
}

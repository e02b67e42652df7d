/** Joins two connections to one: what arrives at either leaves through the other. */
import { pipe } from 'it-pipe'
import { LinkClosedError } from '../errors.ts'
import { meter, type Meter } from './meter.ts'
import type { BridgeAccount } from '../limits/buffer-budget.ts'
import type { Link } from '../types.ts'

export interface BridgeInit {
  /** Told of the bytes of each batch on its way from `a` to `b`; what it returns is awaited before they go on. Default: nothing. */
  forward?: Meter
  /** The same from `b` to `a`. */
  backward?: Meter
  /** What is kept for this bridge counts there, which says how far it reads ahead. It is closed with the bridge. Default: each for itself. */
  account?: BridgeAccount
}

const uncounted: Meter = () => undefined

/**
 * Copies both ways until both have ended. Half-close is kept: the end of one direction ends only that one on the other side. A
 * slow receiver slows its sender down, so a bridge holds what its links hold and no more. When one direction breaks, both links
 * are aborted.
 *
 * Rejects with what broke.
 */
export async function bridge (a: Link, b: Link, { forward = uncounted, backward = uncounted, account }: BridgeInit = {}): Promise<void> {
  if (account !== undefined) {
    account.forward.target = b
    account.backward.target = a
    for (const link of [a, b]) link.boundUnsent?.(account.unsent)
    a.readAhead?.(account.forward)
    b.readAhead?.(account.backward)
  }
  // Only where both know of it: another link may keep what it is given to write, or have a bound for it.
  if (a.poolReads !== undefined && b.poolReads !== undefined) {
    a.poolReads()
    b.poolReads()
  }
  try {
    await Promise.all([
      pipe(a.source, meter(forward, account?.forward.writing), b.sink),
      pipe(b.source, meter(backward, account?.backward.writing), a.sink)
    ])
  } catch (err) {
    const reason = new LinkClosedError('the other side of the bridge has broken', { cause: err })
    a.abort(reason)
    b.abort(reason)
    throw err
  } finally {
    account?.close()
  }
}

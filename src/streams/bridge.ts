/** Copies between two connections, in both directions. */
import { pipe } from 'it-pipe'
import { LinkClosedError } from '../errors.ts'
import { meter, type Meter } from './meter.ts'
import type { BridgeAccount } from '../limits/buffer-budget.ts'
import type { Link } from '../types.ts'

/** Options of {@link bridge}. */
export interface BridgeInit {
  /** Called with the bytes of each batch from `a` to `b`; its promise is awaited before they are written. Default: none. */
  forward?: Meter
  /** The same from `b` to `a`. */
  backward?: Meter
  /** Accounts for the memory of this bridge and bounds its read-ahead. Closed with the bridge. Default: the bounds of the links. @internal */
  account?: BridgeAccount
}

const uncounted: Meter = () => undefined

/**
 * Copies in both directions until both have ended. Half-close is kept. A slow receiver slows its sender down, so a bridge holds only what
 * its links hold. When one direction breaks, both links are aborted.
 *
 * @throws the error that broke a direction
 */
export async function bridge (a: Omit<Link, 'port'>, b: Omit<Link, 'port'>, init: BridgeInit = {}): Promise<void> {
  const { forward = uncounted, backward = uncounted, account } = init
  if (account !== undefined) {
    account.forward.target = b
    account.backward.target = a
    for (const link of [a, b]) link.boundUnsent?.(account.unsent)
    a.readAhead?.(account.forward)
    b.readAhead?.(account.backward)
  }
  // Only where both links support it: another link may keep what it is given to write, or bound its size.
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

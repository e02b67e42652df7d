/** Finds out whether a relay accepts connections, by TCP. */
import type { Probe } from './relay-servers.ts'
import { LinkClosedError } from '../../../errors.ts'
import { systemClock } from '../../../streams/clock.ts'
import { systemLookup, type Lookup } from '../../../transports/happy-eyeballs.ts'
import { dialTcp } from '../../../transports/tcp.ts'
import type { Clock } from '../../../types.ts'

/** Milliseconds for the name, and for the connection. */
const TIMEOUT = 3000

/** Options of {@link tcpProbe}. */
export interface TcpProbeInit {
  /** Default: that of the system. */
  lookup?: Lookup
  /** Default: that of the system. */
  clock?: Clock
}

/** Makes a probe that gives up after 3 s, and looks each name up once at a time. */
export function tcpProbe ({ lookup = systemLookup, clock = systemClock }: TcpProbeInit = {}): Probe {
  const once = onceAtATime(lookup)
  return ({ host, port }) => dialTcp({ host, port, timeout: TIMEOUT, lookup: once, clock }).then((link) => {
    link.abort(new LinkClosedError('the relay is alive'))
    return true
  }, () => false)
}

/** A look-up cannot be cancelled: while no name server answers, those of each check would pile up. */
function onceAtATime (lookup: Lookup): Lookup {
  const pending = new Map<string, ReturnType<Lookup>>()
  return (name) => {
    const known = pending.get(name)
    if (known !== undefined) return known
    const found = lookup(name).finally(() => { pending.delete(name) })
    pending.set(name, found)
    return found
  }
}

/** Asks the gateway of a network to pass a port on to this machine: UPnP-IGD, NAT-PMP. */
import { readFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { askInThread } from './ask-in-thread.ts'
import { MappingKeeper, type PortMappingStatus } from './mapping-keeper.ts'
import type { MappingProtocol } from './messages.ts'
import { defaultGateway } from './search.ts'
import { OptionError } from '../../errors.ts'
import { verifyMilliseconds, verifyPort } from '../../options.ts'
import { systemClock } from '../../streams/clock.ts'
import { printable } from '../../text/printable.ts'
import type { Clock } from '../../types.ts'

/** Seconds for which a mapping is asked: the least that UPnP takes for granted. */
const LEASE = 3600

const PROTOCOLS: readonly MappingProtocol[] = ['nat-pmp', 'upnp']

/** Options of {@link PortMapping}. */
export interface PortMappingInit {
  /** IPv4 address of this machine in the network of the gateway. */
  address: string
  /** The UDP port. */
  port: number
  /** The address that is asked by NAT-PMP. Default: the next hop of the default route, on Linux; elsewhere only UPnP is tried. */
  gateway?: string
  /** What is tried. Default: NAT-PMP, then UPnP. */
  protocols?: readonly MappingProtocol[]
  /** Milliseconds for one attempt. Default: 15,000. */
  timeout?: number
  /** Called when the status has changed. */
  onChange?: (status: PortMappingStatus) => void
  /** Ends it, as `close`. */
  signal?: AbortSignal
  clock?: Clock
}

/**
 * A mapping of one UDP port, asked for until `close`, and renewed. It needs the optional package `@achingbrain/nat-port-mapper`, which runs in
 * a thread for each request, and takes no memory in between. Nothing is thrown later: `status` tells what has happened.
 */
export class PortMapping {
  readonly #keeper: MappingKeeper
  readonly #signal: AbortSignal | undefined

  /** @throws {OptionError} */
  constructor ({ address, port, gateway, protocols = PROTOCOLS, timeout = 15_000, clock = systemClock, onChange, signal }: PortMappingInit) {
    verifyPort('port', port, 1)
    verifyMilliseconds('timeout', timeout)
    for (const [name, value] of Object.entries({ address, gateway })) {
      if (value !== undefined && !isIPv4(value)) throw new OptionError(`${name} is an IPv4 address, not ${printable(String(value))}`)
    }
    if (protocols.length === 0 || !protocols.every((name) => PROTOCOLS.includes(name))) throw new OptionError(`protocols are ${PROTOCOLS.join(' and ')}, at least one of them`)
    this.#signal = signal
    this.#keeper = new MappingKeeper({
      ask: async (kind, held, signal) => {
        const nextHop = gateway ?? defaultGateway(await readFile('/proc/net/route', 'latin1').catch(() => ''))
        return await askInThread({ kind, address, port, gateway: nextHop, protocols, lease: LEASE, held }, signal)
      },
      timeout,
      onChange,
      clock
    })
  }

  get status (): PortMappingStatus { return this.#keeper.status }

  /** Begins to look for a gateway. Does nothing when it has begun, or is closed. */
  start (): void {
    if (this.#signal?.aborted !== true && this.#keeper.start()) this.#signal?.addEventListener('abort', this.#abort, { once: true })
  }

  /** Removes the mapping, and ends the thread, after 2 seconds in any case. May be called more than once. */
  close (): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#abort)
    return this.#keeper.close()
  }

  readonly #abort = (): void => { void this.close() }
}

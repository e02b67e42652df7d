/** What happened to packets: counted, and the last of it kept in order. */
import type { Packet, PacketError, PacketProtocol } from './packet.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { OptionError } from '../../../errors.ts'
import type { Endpoint } from '../../../types.ts'

/** What can happen to a packet, with its text in the trace. */
export const HAPPENINGS = {
  sent: 'sent',
  delivered: 'delivered',
  translated: 'translated',
  lost: 'lost',
  duplicated: 'duplicated',
  heldBack: 'held back',
  queueFull: 'dropped: queue full',
  networkFull: 'dropped: too much on its way',
  tooLarge: 'dropped: larger than the MTU',
  partitioned: 'dropped: partitioned',
  noRoute: 'dropped: no route',
  noHost: 'dropped: no such host',
  noPort: 'dropped: nobody at the port',
  readerFull: 'dropped: the reader is behind',
  filtered: 'dropped: filtered',
  unmapped: 'dropped: no mapping',
  portsExhausted: 'dropped: no port left',
  tableFull: 'dropped: table full',
  noHairpin: 'dropped: no hairpinning',
  hopsExceeded: 'dropped: too many hops'
} as const

/** What can happen to a packet. */
export type Happening = keyof typeof HAPPENINGS

/** One line of the trace. */
export interface TraceEvent {
  /** Milliseconds of the network's clock. */
  readonly time: number
  readonly what: Happening
  /** The name of the host, gateway or subnet. */
  readonly where: string
  readonly id: number
  readonly protocol: PacketProtocol
  readonly source: Endpoint
  readonly destination: Endpoint
  /** Bytes with all headers. */
  readonly size: number
  /** It is an answer of ICMP. */
  readonly error?: PacketError
}

export const eventOf = (time: number, what: Happening, where: string, { id, protocol, source, destination, size, error }: Packet): TraceEvent =>
  error === undefined ? { time, what, where, id, protocol, source, destination, size } : { time, what, where, id, protocol, source, destination, size, error }

/** `12.500 ms  alice  sent  udp 192.168.1.2:5000 > 203.0.113.9:7  32 bytes  #3`. */
export function formatEvent ({ time, what, where, id, protocol, source, destination, size, error }: TraceEvent): string {
  const way = error === undefined
    ? `${protocol} ${endpointText(source)} > ${endpointText(destination)}`
    : `icmp ${source.host} > ${destination.host} (${error.kind}: ${protocol} ${endpointText(destination)} > ${endpointText(error.of)})`
  return `${time.toFixed(3).padStart(12)} ms  ${where.padEnd(16)}  ${HAPPENINGS[what].padEnd(12)}  ${way}  ${size} bytes  #${id}`
}

/** The last events, the oldest first. */
export class Trace implements Iterable<TraceEvent> {
  readonly limit: number
  #total = 0
  readonly #events: TraceEvent[] = []

  /** @throws {OptionError} when the limit is no whole number of at least 0 */
  constructor (limit: number) {
    if (!Number.isSafeInteger(limit) || limit < 0) throw new OptionError(`trace is a whole number of events, at least 0, not ${String(limit)}`)
    this.limit = limit
  }

  /** Events that were kept or have been. */
  get total (): number { return this.#total }

  get length (): number { return this.#events.length }

  /** @internal */
  add (event: TraceEvent): void {
    this.#events[this.#total++ % this.limit] = event
  }

  * [Symbol.iterator] (): Generator<TraceEvent> {
    const start = this.#total > this.limit ? this.#total % this.limit : 0
    for (let i = 0; i < this.#events.length; i++) yield this.#events[(start + i) % this.#events.length]
  }

  /** One line for each event. */
  toString (): string {
    const gone = this.#total - this.#events.length
    return [...gone > 0 ? [`... ${gone} events before these`] : [], ...[...this].map(formatEvent)].join('\n')
  }
}

/** The connections of a host, by their addresses. */
import { Connection } from './connection.ts'
import type { ConnectionEvents, ConnectionInit, ConnectionSettings } from './connection-init.ts'
import { ConnectionStream } from './connection-stream.ts'
import { streamError, type StreamErrorCode } from './errors.ts'
import { LEAST_MAX_DATA, MAX_DATA, optionsOf, type Segment } from './segment.ts'
import { advance } from './sequence.ts'
import type { SimulatedLink } from './transport.ts'
import type { HostStack } from '../host-stack.ts'
import { headersOf } from '../packet.ts'
import { streamLink } from '../../../stream-link.ts'
import type { Endpoint } from '../../../../types.ts'

/** Connections of a host, with those that only keep their addresses; and of those the most. */
const MAX_CONNECTIONS = 65_536
const MAX_TIME_WAIT = 4096

/** Called once each at most, one of `opened` and `failed` at first. */
export interface EntryEvents {
  opened (link: SimulatedLink): void
  /** There is no connection. */
  failed (code: StreamErrorCode): void
  /** The local port is not used any more. */
  released (): void
}

/** Of a connection and its link. */
export interface LinkSettings extends ConnectionSettings {
  readonly queueLimit: number
}

export interface EntryInit {
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly limits: LinkSettings
  readonly events: EntryEvents
}

/** A connection with its addresses. */
export class Entry {
  readonly key: string
  readonly connection: Connection
  readonly #init: EntryInit
  readonly #host: HostStack
  #stream: ConnectionStream | undefined
  #isReleased = false

  constructor (init: EntryInit, host: HostStack, own: Pick<ConnectionInit, 'sequence' | 'maxData' | 'send'> & Pick<ConnectionEvents, 'gone'>) {
    const { local, remote, limits } = init
    this.#init = init
    this.#host = host
    this.key = keyOf(local, remote)
    this.connection = new Connection({
      ...limits,
      ...own,
      clock: host.simulation.clock,
      events: {
        opened: () => { this.#opened() },
        readable: () => { if (this.#stream?.hasMore() === true) host.simulation.woke() },
        writable: () => {
          host.simulation.woke()
          this.#stream?.hasRoom()
        },
        failed: (code) => { this.#failed(code) },
        gone: () => {
          this.release()
          own.gone()
        }
      }
    })
  }

  get remote (): Endpoint { return this.#init.remote }

  /** The local port is not used any more. */
  release (): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#init.events.released()
  }

  #opened (): void {
    const { local, remote, limits, events } = this.#init
    this.#host.simulation.woke()
    this.#stream = new ConnectionStream(this.connection)
    events.opened(Object.assign(streamLink(this.#stream, limits), { local, remote, delivery: () => this.connection.delivery }))
  }

  #failed (code: StreamErrorCode): void {
    this.#host.simulation.woke()
    if (this.#stream === undefined) this.#init.events.failed(code)
    else this.#stream.destroy(streamError(code, 'read'))
  }
}

const keyOf = (local: Endpoint, remote: Endpoint): string => `${local.host} ${local.port} ${remote.host} ${remote.port}`

/** Sequence numbers of new connections go on by this in a millisecond, so that those of a later one are greater (RFC 9293, section 3.4.1). */
const SEQUENCES_PER_MS = 250

export class ConnectionTable {
  readonly #host: HostStack
  readonly #entries = new Map<string, Entry>()
  /** Those that only keep their addresses, the oldest first. */
  readonly #waiting = new Set<Entry>()
  #firstSequence: number | undefined

  constructor (host: HostStack) { this.#host = host }

  get size (): number { return this.#entries.size }

  get isFull (): boolean { return this.#entries.size >= MAX_CONNECTIONS }

  /**
   * A new connection, which is not started yet.
   *
   * @returns undefined when the addresses are in use, or there are too many connections
   */
  open (init: EntryInit): Entry | undefined {
    const { local, remote } = init
    this.#entries.get(keyOf(local, remote))?.connection.leaveTimeWait()
    if (this.#entries.has(keyOf(local, remote)) || this.isFull) return undefined
    const entry: Entry = new Entry(init, this.#host, {
      sequence: this.#newSequence(),
      maxData: this.#maxDataTo(remote.host, local.host),
      send: (segment) => {
        const result = this.send(local, remote, segment)
        if (result === 'EMSGSIZE') entry.connection.limitData(this.#maxDataTo(remote.host, local.host))
        else if (typeof result === 'string') entry.connection.unreachable('ENETUNREACH')
      },
      gone: () => {
        this.#entries.delete(entry.key)
        this.#waiting.delete(entry)
      }
    })
    this.#entries.set(entry.key, entry)
    return entry
  }

  /** Sends a segment, also one of no connection. Returns the code of an error when it could not be sent. */
  send (source: Endpoint, destination: Endpoint, segment: Segment): number | string {
    return this.#host.send({ protocol: 'tcp', source, destination, bytes: segment.data.length + optionsOf(segment), payload: segment })
  }

  find (local: Endpoint, remote: Endpoint): Entry | undefined { return this.#entries.get(keyOf(local, remote)) }

  /** A segment of a connection has come. Returns false when it is the first one of another connection, which may take its place now. */
  receive (entry: Entry, segment: Segment): boolean {
    const { connection } = entry
    if (connection.mayBeReplacedBy(segment)) {
      connection.leaveTimeWait()
      return false
    }
    connection.receive(segment)
    if (connection.isWaiting && !this.#waiting.has(entry)) this.#wait(entry)
    return true
  }

  #wait (entry: Entry): void {
    entry.release()
    this.#waiting.add(entry)
    if (this.#waiting.size <= MAX_TIME_WAIT) return
    const [oldest] = this.#waiting
    oldest.connection.leaveTimeWait()
  }

  #maxDataTo (host: string, source: string): number {
    const mtu = this.#host.mtuTo(host, source) ?? 0
    return Math.max(LEAST_MAX_DATA, Math.min(MAX_DATA, mtu - headersOf('tcp', host)))
  }

  #newSequence (): number {
    const { random, now } = this.#host.simulation
    this.#firstSequence ??= random.below(0x1_0000_0000)
    return advance(this.#firstSequence, Math.floor(now * SEQUENCES_PER_MS))
  }
}

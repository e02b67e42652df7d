/** The connections of a host, by their addresses. */
import { Connection } from './connection.ts'
import type { ConnectionEvents, ConnectionInit } from './connection-init.ts'
import { ConnectionStream } from './connection-stream.ts'
import { streamError, type StreamErrorCode } from './errors.ts'
import type { Segment } from './segment.ts'
import type { SimulatedLink, SimulatedTransportInit } from './transport.ts'
import { streamLink } from '../../../stream-link.ts'
import type { Clock, Endpoint } from '../../../../types.ts'

/** Connections of a host, with those that only keep their addresses; and of those the most. */
const MAX_CONNECTIONS = 65_536
const MAX_TIME_WAIT = 4096

/** What connections need of their network. */
export interface StreamNetwork {
  readonly clock: Clock
  readonly random: { below (count: number): number }
  /** A promise may have been settled, or code of others called. */
  woke (): void
}

/** What connections need of their host. */
export interface StreamHost {
  /** Whether an address is one of this host. */
  isOwn (address: string): boolean
  /** The address that packets to another one come from; undefined when there is no way to it. */
  sourceFor (destination: string): string | undefined
  /** Bytes of data in the largest segment to an address. */
  maxDataTo (destination: string): number
  /** Returns the code of an error when the segment could not be sent. */
  send (source: Endpoint, destination: Endpoint, segment: Segment): 'ENETUNREACH' | 'EMSGSIZE' | undefined
}

/** Called once each at most, one of `opened` and `failed` at first. */
export interface EntryEvents {
  opened (link: SimulatedLink): void
  /** There is no connection. */
  failed (code: StreamErrorCode): void
  /** The local port is not used any more. */
  released (): void
}

export interface EntryInit {
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly limits: Required<SimulatedTransportInit>
  readonly events: EntryEvents
}

/** A connection with its addresses. */
export class Entry {
  readonly key: string
  readonly connection: Connection
  readonly #init: EntryInit
  readonly #network: StreamNetwork
  #stream: ConnectionStream | undefined
  #isReleased = false

  constructor (init: EntryInit, network: StreamNetwork, own: Pick<ConnectionInit, 'sequence' | 'maxData' | 'send'> & Pick<ConnectionEvents, 'gone'>) {
    const { local, remote, limits } = init
    this.#init = init
    this.#network = network
    this.key = keyOf(local, remote)
    this.connection = new Connection({
      ...limits,
      ...own,
      clock: network.clock,
      events: {
        opened: () => { this.#opened() },
        readable: () => { if (this.#stream?.hasMore() === true) network.woke() },
        writable: () => {
          network.woke()
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
    this.#network.woke()
    this.#stream = new ConnectionStream(this.connection)
    events.opened(Object.assign(streamLink(this.#stream, limits), { local, remote }))
  }

  #failed (code: StreamErrorCode): void {
    this.#network.woke()
    if (this.#stream === undefined) this.#init.events.failed(code)
    else this.#stream.destroy(streamError(code, 'read'))
  }
}

const keyOf = (local: Endpoint, remote: Endpoint): string => `${local.host} ${local.port} ${remote.host} ${remote.port}`

/** Sequence numbers of new connections go on by this in a millisecond, so that those of a later one are greater (RFC 9293, section 3.4.1). */
const SEQUENCES_PER_MS = 250

export class ConnectionTable {
  readonly #network: StreamNetwork
  readonly #host: StreamHost
  readonly #entries = new Map<string, Entry>()
  /** Those that only keep their addresses, the oldest first. */
  readonly #waiting = new Set<Entry>()
  #firstSequence: number | undefined

  constructor (network: StreamNetwork, host: StreamHost) {
    this.#network = network
    this.#host = host
  }

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
    const entry: Entry = new Entry(init, this.#network, {
      sequence: this.#newSequence(),
      maxData: this.#host.maxDataTo(remote.host),
      send: (segment) => {
        const code = this.#host.send(local, remote, segment)
        if (code === 'EMSGSIZE') entry.connection.limitData(this.#host.maxDataTo(remote.host))
        else if (code !== undefined) entry.connection.unreachable(code)
      },
      gone: () => {
        this.#entries.delete(entry.key)
        this.#waiting.delete(entry)
      }
    })
    this.#entries.set(entry.key, entry)
    return entry
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

  #newSequence (): number {
    this.#firstSequence ??= this.#network.random.below(0x1_0000_0000)
    return (this.#firstSequence + Math.floor(this.#network.clock.now() * SEQUENCES_PER_MS)) % 0x1_0000_0000
  }
}

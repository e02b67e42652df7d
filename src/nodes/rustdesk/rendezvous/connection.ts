/** A connection of a client or a peer: what it is sent, and its end. */
import type { Way } from './stats.ts'
import type { RendezvousInit } from '../protocol/messages.ts'
import { AsyncQueue } from '../../../streams/async-queue.ts'
import type { Endpoint } from '../../../types.ts'

export interface ConnectionInit {
  /** Folded; port 0 behind a proxy that does not tell it. */
  remote: Endpoint
  way: Exclude<Way, 'udp'>
  /** Milliseconds of a monotonic clock. */
  now: number
  /** Called for the first message. */
  onFirst: () => void
}

export class Connection {
  readonly remote: Endpoint
  readonly way: Exclude<Way, 'udp'>
  /** What is sent; ended by `end`. A conversation has one answer. */
  readonly answers = new AsyncQueue<RendezvousInit>()
  /** When its last message arrived. */
  heardAt: number
  #onFirst: (() => void) | undefined
  /** It has ended a while ago, and the other side has not closed it yet. */
  isLingering = false
  /** Settles when nothing more comes; may reject. */
  reading: Promise<void> = Promise.resolve()
  /** Work on its last message that has not settled; the next one has to wait. */
  busy: Promise<void> | undefined

  constructor ({ remote, way, now, onFirst }: ConnectionInit) {
    this.remote = remote
    this.way = way
    this.heardAt = now
    this.#onFirst = onFirst
  }

  /** A message has arrived. */
  heard (now: number): void {
    this.heardAt = now
    this.#onFirst?.()
    this.#onFirst = undefined
  }

  get isWebSocket (): boolean { return this.way === 'websocket' }

  get isEnded (): boolean { return this.answers.closed }

  send (message: RendezvousInit): void { this.answers.push(message) }

  /** Nothing more is sent or served; what was sent still arrives. May be called more than once. */
  end (): void { this.answers.end() }
}

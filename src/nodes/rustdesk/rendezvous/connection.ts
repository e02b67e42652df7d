/** A connection of a client or a peer: what it is sent, and its end. */
import type { Peer } from './peer.ts'
import type { Way } from './stats.ts'
import type { RendezvousInit } from '../protocol/messages.ts'
import { clientKey } from '../../../net/client-address.ts'
import { AsyncQueue } from '../../../streams/async-queue.ts'
import type { KeyExchangeServer } from '../../../transforms/secretbox/index.ts'
import type { Endpoint } from '../../../types.ts'

/** Messages that wait to be sent. Most connections get one answer; a peer that registers by its connection gets what others want of it. */
const MOST_WAITING = 64

export interface ConnectionInit {
  /** Folded; port 0 behind a proxy that does not tell it. */
  remote: Endpoint
  /** Whom it counts for, see `clientKey`. Default: `remote`, which a header may have claimed. */
  source?: string | undefined
  way: Exclude<Way, 'udp'>
  /** Milliseconds of a monotonic clock. */
  now: number
  /** Called for the first message. */
  onFirst: () => void
  /** Of a connection that can be encrypted. */
  exchange?: KeyExchangeServer | undefined
}

export class Connection {
  readonly remote: Endpoint
  readonly source: string
  readonly way: Exclude<Way, 'udp'>
  /** What is sent; ended by `end`. */
  readonly answers = new AsyncQueue<RendezvousInit>()
  /** When its last message arrived, and when the last one was sent to a peer that waits for signs of life. */
  heardAt: number
  sentAt = -Infinity
  readonly #exchange: KeyExchangeServer | undefined
  #onFirst: (() => void) | undefined
  /** It has ended a while ago, and the other side has not closed it yet. */
  isLingering = false
  /** Milliseconds of silence that end it, where they are not the usual ones. */
  idleTimeout: number | undefined
  /** It is held open for a health check, and for nothing else. */
  isHeld = false
  /** The id of the peer that it has asked for last, as a client. */
  askedFor = ''
  /** The peer that has registered by it, to which it is the way unless that was heard elsewhere since. */
  peer: Peer | undefined
  /** Called once when it has closed. */
  onClosed: (() => void) | undefined
  /** Settles when nothing more comes; may reject. */
  reading: Promise<void> = Promise.resolve()
  /** Work on its last message that has not settled; the next one has to wait. */
  busy: Promise<void> | undefined

  constructor ({ remote, source = clientKey(remote.host), way, now, onFirst, exchange }: ConnectionInit) {
    this.remote = remote
    this.source = source
    this.way = way
    this.heardAt = now
    this.#onFirst = onFirst
    this.#exchange = exchange
  }

  /** A message has arrived. */
  heard (now: number): void {
    this.heardAt = now
    if (this.peer?.connection === this) this.peer.heardAt = now
    this.#onFirst?.()
    this.#onFirst = undefined
  }

  /** A message has come. */
  get hasSpoken (): boolean { return this.#onFirst === undefined }

  get isWebSocket (): boolean { return this.way === 'websocket' }

  /** Its messages are encrypted, with a key that the client has made for this server. */
  get isEncrypted (): boolean { return this.#exchange?.isSecure === true }

  get isEnded (): boolean { return this.answers.closed }

  /** A key can be offered: the client has not spoken. */
  get mayOfferKey (): boolean { return this.#exchange?.mayOffer === true && !this.isEnded }

  /** Offers a key, unless the client has spoken. */
  offerKey (): void {
    const keys = this.#exchange?.offer()
    if (keys !== undefined) this.send({ key_exchange: { keys: [...keys] } })
  }

  /** False: too much waits to be sent, or it has ended. */
  send (message: RendezvousInit): boolean {
    if (this.isEnded || this.answers.size >= MOST_WAITING) return false
    this.answers.push(message)
    return true
  }

  /** Nothing more is sent or served; what was sent still arrives. May be called more than once. */
  end (): void { this.answers.end() }
}

/** A path to a member with an existing client: heartbeats of the protocol, once a second; candy protocol, section 2.5. */
import { RANDOM_IV_LIMIT, type DatagramCipher } from '../../../../crypto/index.ts'
import { DATAGRAM_LAYOUT, MAX_SEALED, MIN_PLAINTEXT, newDatagram, writeHeartbeat } from '../../protocol/datagrams.ts'
import { isSame, type DirectPath, type IsUsable, type RemoteEndpoint, type Search } from './path.ts'
import type { Endpoint } from '../../../../types.ts'

/** Milliseconds between heartbeats: existing clients look once a second. */
const INTERVAL = 1000

/** Milliseconds by which a look may come early. */
const JITTER = 100

/** Members, or runs of one, that may seal for the same receiver. */
const SHARES = 64

/** Hosts that a member has named. */
const MAX_ANNOUNCED = 8

/** Milliseconds without an acknowledgement after which an existing client gives a path up. */
const TIMEOUT = 3000

export interface OriginalPathInit {
  /** The own virtual address. */
  own: number
  /** With the key of the member; that of all paths to it. */
  cipher: DatagramCipher
  transmit (datagram: Uint8Array, to: Endpoint): void
}

export class OriginalPath implements DirectPath {
  readonly kind = 'original'
  readonly fragments = true // nobody looks for the size of the path
  readonly isSettled = true
  readonly loss = { in: undefined, out: undefined }
  #roundTrip: number | undefined
  readonly #init: OriginalPathInit
  #public: RemoteEndpoint | undefined
  #local: RemoteEndpoint | undefined
  #endpoint: RemoteEndpoint | undefined
  /** Hosts that the member has named by the server. */
  readonly #announced = new Set<string>()
  /** Where heartbeats have come from. */
  readonly #heardFrom: RemoteEndpoint[] = []
  #beatAt = -Infinity
  #heardAt = -Infinity
  #acknowledgedAt = -Infinity

  constructor (init: OriginalPathInit) {
    this.#init = init
  }

  get endpoint (): RemoteEndpoint | undefined { return this.#endpoint }

  get roundTrip (): number | undefined { return this.#roundTrip }

  /** 0 when the key has sealed as many as it may: all members have it, so that each takes a part of them. */
  get size (): number { return this.#init.cipher.sealed < RANDOM_IV_LIMIT / SHARES ? MAX_SEALED : 0 }

  add (endpoint: RemoteEndpoint): void {
    if (this.#announced.size < MAX_ANNOUNCED) this.#announced.add(endpoint.host)
    this.#public = endpoint
  }

  addLocal (endpoint: RemoteEndpoint): void {
    if (this.#announced.size < MAX_ANNOUNCED) this.#announced.add(endpoint.host)
    this.#local = endpoint
  }

  keep (isUsable: IsUsable): void {
    const kept = (endpoint: RemoteEndpoint | undefined): RemoteEndpoint | undefined => endpoint !== undefined && isUsable(endpoint) ? endpoint : undefined
    this.#public = kept(this.#public)
    this.#local = kept(this.#local)
    this.#endpoint = kept(this.#endpoint)
  }

  beat (now: number, search: Search): void {
    if (now - this.#beatAt < INTERVAL - JITTER) return
    this.#beatAt = now
    const targets = search === 'used' && this.#endpoint !== undefined ? [this.#endpoint] : [this.#public, this.#local]
    for (const to of targets) {
      if (to === undefined) continue
      const datagram = newDatagram(MIN_PLAINTEXT.HEARTBEAT)
      writeHeartbeat(datagram, DATAGRAM_LAYOUT.text, { sender: this.#init.own, acknowledge: this.#heardFrom.length > 0 })
      this.#init.cipher.seal(datagram)
      this.#init.transmit(datagram, to)
    }
  }

  /**
   * A heartbeat has come. Every member can forge one, so that it moves a path that is alive only to a host that the member itself has
   * named by the server.
   *
   * @returns false when it was ignored
   */
  heard (from: RemoteEndpoint, acknowledge: boolean, now: number): boolean {
    const isUsed = isSame(this.#endpoint, from)
    if (!isUsed && this.health(now) === 'alive' && !this.#announced.has(from.host)) return false
    if (from.isLocal) this.#local = from
    else this.#public = from
    if (!isUsed && (this.#endpoint?.isLocal !== true || from.isLocal || now - this.#heardAt >= TIMEOUT)) this.#endpoint = from
    if (isSame(this.#endpoint, from)) this.#heardAt = now
    if (!this.hasHeard(from)) {
      if (this.#heardFrom.length === MAX_ANNOUNCED) this.#heardFrom.shift()
      this.#heardFrom.push(from)
    }
    if (acknowledge) this.#acknowledgedAt = now
    return true
  }

  /** Whether a heartbeat has come from there. */
  hasHeard (from: Endpoint): boolean {
    return this.#heardFrom.some((known) => isSame(known, from))
  }

  measured (roundTrip: number): void { this.#roundTrip = roundTrip }

  seal (datagram: Uint8Array): void { this.#init.cipher.seal(datagram) }

  used (): void {}

  doubted (): void {}

  health (now: number): 'alive' | 'dead' { return now - this.#acknowledgedAt < TIMEOUT ? 'alive' : 'dead' }

  close (): void {}
}

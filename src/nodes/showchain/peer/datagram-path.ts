/** A path by datagrams between this socket and that of another node (SHOW CHAIN protocol, sections 5.2, 5.3 and 7.1). */
import type { Batch, Clock, Datagram, Endpoint, PacketPort, Timer } from '../../../types.ts'
import type { Path } from './paths.ts'

/** Bytes that nearly every network carries with its headers: those of the smallest MTU of IPv6. */
const MAX_DATAGRAM = 1232

/** Milliseconds without a packet until a keep-alive is sent, and without one from there until the path has ended. */
const KEEP_ALIVE = 15_000
const SILENCE = 60_000

export interface DatagramPathInit {
  clock: Clock
  kind: 'direct' | 'nat'
  endpoint: Endpoint
  port: PacketPort<Datagram>
  /** Sends a 0x100 to the endpoint. */
  keepAlive (to: Endpoint): void
  /** It has ended by itself, or was closed. */
  onClosed (path: DatagramPath, reason: 'silent' | 'closed'): void
}

export class DatagramPath implements Path {
  readonly kind: 'direct' | 'nat'
  readonly endpoint: Endpoint
  readonly maxDatagram = MAX_DATAGRAM
  readonly isReliable = false
  readonly #init: DatagramPathInit
  #sentAt: number
  #heardAt: number
  #reachedAt = -Infinity
  #timer: Timer | undefined
  #isClosed = false

  constructor (init: DatagramPathInit) {
    this.#init = init
    this.kind = init.kind
    this.endpoint = init.endpoint
    this.#sentAt = this.#heardAt = init.clock.now()
    this.#schedule(KEEP_ALIVE)
  }

  get queued (): number { return this.#init.port.queued }

  get limit (): number { return this.#init.port.limit }

  get isReusable (): boolean { return this.#init.port.isReusable === true }

  get isClosed (): boolean { return this.#isClosed }

  /** Milliseconds of the clock. */
  get heardAt (): number { return this.#heardAt }

  get reachedAt (): number { return this.#reachedAt }

  send (packets: Batch): number {
    if (this.#isClosed) return 0
    const { host, port } = this.endpoint
    this.#sentAt = this.#init.clock.now()
    return this.#init.port.send(packets.map((data) => ({ data, host, port })))
  }

  sendOnce (packet: Uint8Array): boolean { return this.send([packet]) > 0 }

  shrank (): void {}

  drained (): Promise<void> { return this.#init.port.drained?.() ?? Promise.resolve() }

  /** Something has come from there. */
  heard (now: number): void { this.#heardAt = now }

  /** The other node has proven that it is there. */
  reached (now: number): void { this.#reachedAt = now }

  close (): void { this.#end('closed') }

  #end (reason: 'silent' | 'closed'): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#init.clock.clear(this.#timer)
    this.#init.onClosed(this, reason)
  }

  #schedule (ms: number): void { this.#timer = this.#init.clock.set(Math.max(1, ms), this.#run) }

  /** Sending and hearing only note the time; what is due is looked at here. */
  readonly #run = (): void => {
    const now = this.#init.clock.now()
    if (now - this.#heardAt >= SILENCE) {
      this.#end('silent')
      return
    }
    if (now - this.#sentAt >= KEEP_ALIVE) {
      this.#init.keepAlive(this.endpoint)
      this.#sentAt = now
    }
    this.#schedule(Math.min(this.#sentAt + KEEP_ALIVE, this.#heardAt + SILENCE) - now)
  }
}

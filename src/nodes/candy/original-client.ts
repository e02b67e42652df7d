/**
 * Clients that read and write without waiting, as the original does over plain TCP (candy protocol, section 1.5).
 *
 * A frame of which a part is still on its way is a broken connection to them. So they are written to in whole frames, and only
 * they, as that costs more.
 */
import type { WebSocketLink } from '../../transforms/websocket-frames/index.ts'
import { GREETING, OWN_VERSION } from './greeting.ts'

/** Milliseconds that a client has to say what it is. The original greets right after AUTH, and our own at once. */
const GREETING_TIME = 1000

export class OriginalClient {
  readonly #link: WebSocketLink
  /** What it has said it is. */
  #is: 'original' | 'other' | undefined
  #joinedAt: number | undefined
  #isServed = false

  constructor (link: WebSocketLink) { this.#link = link }

  /**
   * It has sent a ping.
   *
   * @param now milliseconds of a clock that only goes forward, as everywhere here
   */
  greeted (ping: Uint8Array): void {
    if (this.#is !== undefined) return
    const [name, , version = ''] = Buffer.from(ping.buffer, ping.byteOffset, ping.length).toString('latin1').split('::')
    if (name !== GREETING) return
    this.#is = version.startsWith(OWN_VERSION) ? 'other' : 'original'
    this.#serve()
  }

  /** It has an address. */
  joined (now: number): void {
    this.#joinedAt ??= now
    this.#serve()
  }

  /** Once a second. One that receives all the time may never greet. */
  tick (now: number): void {
    if (this.#is !== undefined || this.#joinedAt === undefined || now - this.#joinedAt < GREETING_TIME) return
    this.#is = 'original'
    this.#serve()
  }

  #serve (): void {
    if (this.#isServed || this.#is !== 'original' || this.#joinedAt === undefined) return
    this.#isServed = true
    this.#link.wholeFrames?.()
  }
}

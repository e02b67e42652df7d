/**
 * Clients that read and write without blocking, as the original does over plain TCP (candy protocol, section 1.5).
 *
 * A frame of which a part is still on its way is a broken connection to them, so they are written to in whole frames. What does not fit
 * into their own send buffer they leave out, also in the middle of a frame; so there is room for what they send, and when a frame was
 * cut all the same, the next one is looked for. Both are only for them, as it costs more or is less strict.
 */
import type { WebSocketLink } from '../../transforms/websocket-frames/index.ts'
import { plausible, trusted } from './believable.ts'
import { GREETING, OWN_VERSION } from './greeting.ts'
import type { Member } from './member.ts'

/** Milliseconds after which a client that has not said what it is passes for an original one. That greets right after AUTH, unless it has no time. */
const GREETING_TIME = 1000

export class OriginalClient {
  readonly #link: WebSocketLink
  readonly #member: Member
  /** What it has said it is, or passes for. */
  #is: 'original' | 'other' | undefined
  #joinedAt: number | undefined
  #hasWholeFrames = false
  #isRecovered = false

  constructor (link: WebSocketLink, member: Member) {
    this.#link = link
    this.#member = member
  }

  /** It has sent a ping. */
  greeted (ping: Uint8Array): void {
    if (this.#is !== undefined) return
    const [name, , version = ''] = Buffer.from(ping.buffer, ping.byteOffset, ping.length).toString('latin1').split('::')
    if (name !== GREETING) return
    this.#is = version.startsWith(OWN_VERSION) ? 'other' : 'original'
    this.#update()
  }

  /**
   * It has an address.
   *
   * @param now milliseconds of a clock that only goes forward
   */
  joined (now: number): void {
    this.#joinedAt ??= now
    this.#update()
  }

  /** Once a second. */
  tick (now: number): void {
    if (this.#is !== undefined || this.#joinedAt === undefined || now - this.#joinedAt < GREETING_TIME) return
    this.#is = 'original'
    this.#update()
  }

  /** Until it has said that it is no original client it is written to as if it was: one frame in two parts would be enough to lose it. */
  #update (): void {
    if (this.#joinedAt === undefined) return
    const hasWholeFrames = this.#is !== 'other'
    if (hasWholeFrames !== this.#hasWholeFrames) this.#link.wholeFrames?.(hasWholeFrames)
    this.#hasWholeFrames = hasWholeFrames
    if (this.#is !== 'original' || this.#isRecovered) return
    this.#isRecovered = true
    const member = this.#member
    this.#link.recoverFrames?.({ plausible, trusted: trusted(() => member.address), onResync () { member.traffic.resyncs++ } })
  }
}

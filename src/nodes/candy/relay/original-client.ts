/**
 * Clients that read and write without blocking, as the original does over plain TCP (candy protocol, section 1.5).
 *
 * A frame of which a part is still on its way is a broken connection to them, so they are written to in whole frames. What does not fit
 * into their own send buffer they leave out, also in the middle of a frame; so there is room for what they send, and when a frame was
 * cut all the same, the next one is looked for. Both are only for them, as it costs more or is less strict.
 */
import type { RecoverFramesInit, WebSocketLink } from '../../../transforms/websocket-frames/index.ts'
import { plausible, trusted } from './believable.ts'
import { OWN_VERSION, readGreeting } from '../protocol/greeting.ts'
import type { Member } from './member.ts'

/** Milliseconds after AUTH from which on a client passes for an original one unless it has said what it is. */
const GREETING_TIME = 1000

export class OriginalClient {
  readonly #link: WebSocketLink
  readonly #member: Member
  /** What it has said it is. */
  #said: 'original' | 'other' | undefined
  #joinedAt: number | undefined
  #isLate = false
  #hasWholeFrames = false
  #isRecovered = false

  constructor (link: WebSocketLink, member: Member) {
    this.#link = link
    this.#member = member
  }

  /** It has sent a ping. The first greeting counts, however late it is. */
  greeted (ping: Uint8Array): void {
    if (this.#said !== undefined) return
    const version = readGreeting(ping)?.version
    if (version === undefined || version === '') return
    this.#said = version.startsWith(OWN_VERSION) ? 'other' : 'original'
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
    if (this.#isLate || this.#joinedAt === undefined || now - this.#joinedAt < GREETING_TIME) return
    this.#isLate = true
    this.#update()
  }

  /** Until it has said that it is no original client it is written to as if it was: one frame in two parts would be enough to lose it. */
  #update (): void {
    if (this.#joinedAt === undefined) return
    const hasWholeFrames = this.#said !== 'other'
    if (hasWholeFrames !== this.#hasWholeFrames) this.#link.wholeFrames?.(hasWholeFrames)
    this.#hasWholeFrames = hasWholeFrames
    const isRecovered = this.#said === 'original' || (this.#said === undefined && this.#isLate)
    if (isRecovered !== this.#isRecovered) this.#link.recoverFrames?.(isRecovered ? this.#recovery() : undefined)
    this.#isRecovered = isRecovered
  }

  #recovery (): RecoverFramesInit {
    const member = this.#member
    return { plausible, trusted: trusted(() => member.address), onResync () { member.traffic.resyncs++ } }
  }
}

/**
 * Clients with non-blocking reads and writes, as the original over plain TCP (candy protocol, section 1.1).
 *
 * They treat a frame that has arrived only in part as a broken connection, so whole frames are written to them. Bytes that do not fit into
 * their own send buffer they drop, also within a frame: so the receive buffer is kept large, and after a frame that was cut the next one
 * is searched for. Both apply to them only, as they cost more or are less strict.
 */
import type { RecoverFramesInit, WebSocketLink } from '../../../transforms/websocket-frames/index.ts'
import { plausible, trusted } from './believable.ts'
import { OWN_VERSION, readGreeting } from '../protocol/greeting.ts'
import type { Member } from './member.ts'

/** Milliseconds after AUTH without a greeting until a client counts as an original one. */
const GREETING_TIME = 1000

export class OriginalClient {
  readonly #link: WebSocketLink
  readonly #member: Member
  /** The client according to its greeting. */
  #kind: 'original' | 'other' | undefined
  #joinedAt: number | undefined
  #isLate = false
  #hasWholeFrames = false
  #isRecovered = false

  constructor (link: WebSocketLink, member: Member) {
    this.#link = link
    this.#member = member
  }

  /** Handles a ping. The first greeting counts, however late. */
  greeted (ping: Uint8Array): void {
    if (this.#kind !== undefined) return
    const version = readGreeting(ping)?.version
    if (version === undefined || version === '') return
    this.#kind = version.startsWith(OWN_VERSION) ? 'other' : 'original'
    this.#update()
  }

  /**
   * The client has an address.
   *
   * @param now milliseconds of a monotonic clock
   */
  joined (now: number): void {
    this.#joinedAt ??= now
    this.#update()
  }

  /** Called once a second. */
  tick (now: number): void {
    if (this.#isLate || this.#joinedAt === undefined || now - this.#joinedAt < GREETING_TIME) return
    this.#isLate = true
    this.#update()
  }

  /** Until its greeting shows another client, whole frames are written: a single split frame would lose an original client. */
  #update (): void {
    if (this.#joinedAt === undefined) return
    const hasWholeFrames = this.#kind !== 'other'
    if (hasWholeFrames !== this.#hasWholeFrames) this.#link.wholeFrames?.(hasWholeFrames)
    this.#hasWholeFrames = hasWholeFrames
    const isRecovered = this.#kind === 'original' || (this.#kind === undefined && this.#isLate)
    if (isRecovered !== this.#isRecovered) this.#link.recoverFrames?.(isRecovered ? this.#recovery() : undefined)
    this.#isRecovered = isRecovered
  }

  #recovery (): RecoverFramesInit {
    const member = this.#member
    return { plausible, trusted: trusted(() => member.address), onResync () { member.traffic.resyncs++ } }
  }
}

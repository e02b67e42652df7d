/** Who may have a desktop open: bounds of each client and in all, and who makes room for another (natpass protocol, section 4.2). */
import { DesktopError } from './desktop-error.ts'
import { LinkClosedError } from '../../../../errors.ts'
import type { Clock } from '../../../../types.ts'

/** At one time, those that are being opened or ended included: of one client, and of all. */
const MAX_OF_CLIENT = 4
const MAX_DESKTOPS = 8

/** Milliseconds after which a viewer that nothing was heard of may lose its desktop to another. */
const ABANDONED = 5 * 60_000

export interface Slot {
  readonly client: string
  readonly rule: string
  /** Aborted when it has to make room. */
  readonly over: AbortController
  /** What has to end before this one may start. */
  readonly former: Promise<void> | undefined
  /** Settles when it is over, and its process gone. */
  ended: Promise<void>
  /** Since when nothing was heard of its viewer; undefined while it is known to be there. */
  silentSince: () => number | undefined
}

export class Slots {
  readonly #clock: Clock
  /** Those that make room have left it: who takes their place waits for them. */
  readonly #taken = new Set<Slot>()

  constructor (clock: Clock) { this.#clock = clock }

  /**
   * A slot for a rule of a client. One that it has for this rule ends: the original leaves it running.
   *
   * @throws {DesktopError} `ERR_DESKTOP_LIMIT`
   */
  take (client: string, rule: string): Slot {
    const former = this.#of(client).find((slot) => slot.rule === rule)
    const leaving = former ?? this.#inTheWay(client)
    if (leaving !== undefined) {
      this.#taken.delete(leaving)
      leaving.over.abort(former === undefined ? new DesktopError('ERR_DESKTOP_LIMIT', 'nothing was heard of its viewer, and others need the room') : new LinkClosedError('its client has opened it again'))
    }
    const slot: Slot = { client, rule, over: new AbortController(), former: leaving?.ended, ended: Promise.resolve(), silentSince: () => undefined }
    this.#taken.add(slot)
    return slot
  }

  free (slot: Slot): void { this.#taken.delete(slot) }

  #of (client: string): Slot[] { return [...this.#taken].filter((slot) => slot.client === client) }

  /** Who has to leave for another desktop of a client. @throws {DesktopError} when nobody may be sent away */
  #inTheWay (client: string): Slot | undefined {
    const own = this.#of(client)
    const isOwn = own.length >= MAX_OF_CLIENT
    if (!isOwn && this.#taken.size < MAX_DESKTOPS) return undefined
    const latest = this.#clock.now() - ABANDONED
    const [longest] = (isOwn ? own : [...this.#taken])
      .flatMap((slot) => ({ slot, since: slot.silentSince() ?? Infinity }))
      .filter(({ since }) => since <= latest)
      .sort((a, b) => a.since - b.since)
    if (longest === undefined) throw new DesktopError('ERR_DESKTOP_LIMIT', isOwn ? `${MAX_OF_CLIENT} desktops of this client are open here` : 'too many desktops are open here')
    return longest.slot
  }
}

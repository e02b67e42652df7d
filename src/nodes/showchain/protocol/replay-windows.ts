/** Which signed messages have come already (SHOW CHAIN protocol, section 2.5). */
import { ReplayWindow } from '../../../crypto/replay-window.ts'
import { OptionError } from '../../../errors.ts'
import { SourceCounts } from '../../../limits/source-counts.ts'
import { idKey } from './public-keys.ts'
import { Op } from './op.ts'
import { ShortWindow } from './short-window.ts'

/** Numbers of data below the highest one that are still taken, and that one. */
const DATA_WINDOW = 1024 + 1

const DEFAULT_MAX_WINDOWS = 32_768
const DEFAULT_MAX_PER_ID = 256

/** How long a message is fresh, in milliseconds, before and after its ts. */
export const DEFAULT_FRESHNESS = 30_000

/** Senders that are looked at with each message, whether they can be forgotten. */
const MOST_FORGOTTEN = 2

/** Whether a message is new. */
export type Novelty =
  | 'new'
  | 'repeated' // of data, inside the window: no replay
  | 'replay' // seen, or too old to tell
  | 'full' // there is no room for a further window

export interface ReplayWindowsInit {
  /** Windows of all, some 100 bytes each, or 500 of data, beside 300 for each id. Default: 32768. */
  maxWindows?: number
  /** Windows of one id. Default: 256. */
  maxPerId?: number
  /** Windows of all ids that came first from one owner; from one IPv6 site four times as many. Default: that of all. */
  maxPerOwner?: number
  /** Milliseconds. Default: 30 s. */
  freshness?: number
}

/** What a window is for. */
export interface WindowKey {
  /** Of the id of the signer, see `idKey`. */
  readonly sender: string
  readonly op: number
  /** Where the signature covers it. */
  readonly session?: Uint8Array | undefined
  /** Of limits: where it has come from, see `clientKey`. */
  readonly owner?: string
}

interface Window {
  readonly seqs: ReplayWindow | ShortWindow
  highest: number
  /** Milliseconds since 1970 until which a message that it has seen may be fresh. */
  until: number
}

interface Sender {
  readonly windows: Map<number | string, Window>
  /** Of all its windows: where the first message has come from. */
  readonly owner: string
  until: number
}

export class ReplayWindows {
  readonly #maxWindows: number
  readonly #maxPerId: number
  #maxPerOwner: number
  readonly #freshness: number
  /** The one that has sent least recently first. */
  readonly #senders = new Map<string, Sender>()
  readonly #owners = new SourceCounts()
  #size = 0

  /** @throws {OptionError} */
  constructor ({ maxWindows = DEFAULT_MAX_WINDOWS, maxPerId = DEFAULT_MAX_PER_ID, maxPerOwner = maxWindows, freshness = DEFAULT_FRESHNESS }: ReplayWindowsInit = {}) {
    for (const [name, value] of Object.entries({ maxWindows, maxPerId, maxPerOwner, freshness })) {
      if (!Number.isSafeInteger(value) || value < 1) throw new OptionError(`${name} is a whole number of at least 1, not ${String(value)}`)
    }
    this.#maxWindows = maxWindows
    this.#maxPerId = maxPerId
    this.#maxPerOwner = maxPerOwner
    this.#freshness = freshness
  }

  /** Number of windows now. */
  get size (): number { return this.#size }

  /** Another limit for further windows. */
  limitOwners (maxPerOwner: number): void { this.#maxPerOwner = maxPerOwner }

  /** Whether a ts is neither too old nor too far ahead. @param date milliseconds since 1970 */
  isFresh (ts: number, date: number): boolean { return Math.abs(date - ts) <= this.#freshness }

  /** What `accept` would say, to spare a verification. */
  check ({ sender, op, session, owner = '' }: WindowKey, seq: number, date: number): Novelty {
    const known = this.#senders.get(sender)
    const window = known?.windows.get(nameOf(op, session))
    if (window !== undefined) return noveltyOf(op, window, seq)
    return this.#hasRoom(known, owner, date) ? 'new' : 'full'
  }

  /**
   * Marks a message as seen, which is authentic and fresh.
   *
   * @param date milliseconds since 1970
   */
  accept ({ sender: key, op, session, owner = '' }: WindowKey, seq: number, ts: number, date: number): Novelty {
    this.#forget(MOST_FORGOTTEN, date)
    const known = this.#senders.get(key)
    const name = nameOf(op, session)
    let window = known?.windows.get(name)
    if (window === undefined) {
      if (!this.#hasRoom(known, owner, date)) return 'full'
      window = { seqs: op === Op.dataRequest ? new ReplayWindow({ size: DATA_WINDOW }) : new ShortWindow(), highest: -1, until: 0 }
    }
    const novelty = noveltyOf(op, window, seq)
    if (novelty === 'replay') return novelty
    window.seqs.accept(seq)
    window.highest = Math.max(window.highest, seq)
    window.until = Math.max(window.until, ts + this.#freshness)
    const sender = known ?? { windows: new Map<number | string, Window>(), owner, until: 0 }
    sender.until = Math.max(sender.until, window.until)
    if (!sender.windows.has(name)) {
      sender.windows.set(name, window)
      this.#count(sender.owner, 1)
    }
    this.#senders.delete(key)
    this.#senders.set(key, sender)
    return novelty
  }

  #hasRoom (sender: Sender | undefined, from: string, date: number): boolean {
    const owner = sender?.owner ?? from
    if (sender !== undefined && sender.windows.size >= this.#maxPerId) this.#thin(sender, date)
    if (this.#size >= this.#maxWindows || this.#isOwnerFull(owner)) this.#forget(Infinity, date)
    return this.#size < this.#maxWindows && !this.#isOwnerFull(owner) && (sender === undefined || sender.windows.size < this.#maxPerId)
  }

  #isOwnerFull (owner: string): boolean { return !this.#owners.hasRoom(owner, this.#maxPerOwner) }

  #count (owner: string, by: number): void {
    this.#size += by
    this.#owners.add(owner, by)
  }

  /** Forgets senders of whom no message can be fresh. */
  #forget (most: number, date: number): void {
    let looked = 0
    for (const [key, { windows, owner, until }] of this.#senders) {
      if (looked++ >= most || until >= date) return
      this.#senders.delete(key)
      this.#count(owner, -windows.size)
    }
  }

  #thin ({ windows, owner }: Sender, date: number): void {
    for (const [name, { until }] of windows) {
      if (until >= date) continue
      windows.delete(name)
      this.#count(owner, -1)
    }
  }
}

const nameOf = (op: number, session: Uint8Array | undefined): number | string => session === undefined ? op : `${op} ${idKey(session)}`

function noveltyOf (op: number, { seqs, highest }: Window, seq: number): Novelty {
  if (seqs.check(seq)) return 'new'
  return op === Op.dataRequest && seq <= highest && seq > highest - DATA_WINDOW ? 'repeated' : 'replay'
}

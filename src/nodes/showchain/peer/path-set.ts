/** The paths of one session: probes, which of them work, and the one to send by (SHOW CHAIN protocol, sections 5.4 and 7.4). */
import type { Clock, Timer } from '../../../types.ts'
import type { Path, PathKind } from './paths.ts'

/** Milliseconds between probes of a path that works, of one that is to answer, and of one that does not work. */
const IDLE_INTERVAL = 15_000
const WAITING_INTERVAL = 500
const DEAD_INTERVAL = 2000

/** Unanswered probes after which a path does not work. */
const MAX_UNANSWERED = 4

/** Milliseconds without an answer on any path until R gives up, and without any packet until T does: until then other paths are looked for. */
const REQUESTER_TIMEOUT = 45_000
export const TARGET_TIMEOUT = 60_000

/** The same for R when T was reached by a path again and again for so many milliseconds, and has answered no probe: it has no such session. */
const FORGOTTEN_TIMEOUT = 15_000
const FORGOTTEN_AFTER = 5000

/** Milliseconds until T finds it strange that nothing comes: R probes sooner, unless that does not arrive. */
const QUIET = 3000

/** A path of the same kind is taken when its round trip is shorter than so much of that of the chosen one. */
const SHORTER = 0.8

/** Paths of one pair. */
const MAX_PATHS = 16

const RANKS: Record<PathKind, number> = { direct: 0, nat: 1, proxy: 2 }

/** One of them, as it was measured. */
export interface PathState {
  readonly path: Path
  readonly works: boolean
  /** Smoothed, in milliseconds; undefined until a probe was answered. */
  readonly rtt: number | undefined
}

export interface PathSetInit {
  clock: Clock
  role: 'requester' | 'target'
  /** @param isChosen whether R sends by this path */
  sendProbe (path: Path, token: number, isChosen: boolean): void
  /** The path to send by is another one. */
  onMove (path: Path): void
  /** The path to send by that is known to work is another one; undefined: that which is in use may only be hoped for. */
  onWorking (path: Path | undefined): void
  /** Milliseconds for which the stream waits for an acknowledgement. */
  unansweredFor (now: number): number
  /** T: nothing has come for a while, although something should: what R sends may go to an endpoint that this node does not have any more. */
  onQuiet (): void
  /** Nothing has come back for too long. */
  onSilent (): void
}

class Known implements PathState {
  readonly path: Path
  works = false
  rtt: number | undefined
  /** Probes that were sent since the last answer, the first of them, and when the last one was. */
  unanswered = 0
  probedAt = -Infinity
  heardAt = -Infinity
  /** R: when T was first reached by it, since any path was last answered. */
  reachedAt = Infinity
  /** Tokens of the last probes, with the times at which they were sent. */
  readonly probes = new Map<number, number>()

  constructor (path: Path) { this.path = path }
}

export class PathSet {
  readonly #init: PathSetInit
  readonly #known: Known[] = []
  readonly #isRequester: boolean
  #chosen: Known | undefined
  /** The path that `onWorking` was told last. */
  #working: Path | undefined
  #token = 0
  /** R: the first probe that says that packets go by the chosen path. */
  #firstMarked = 0
  /** R: since when nothing has come back, Infinity while that is not waited for. T: when a packet was opened. */
  #silentSince: number
  /** When a packet of the stream has come; T: and no probe since. */
  #streamAt = -Infinity
  /** T: of what does not come the node was told. */
  #isQuiet = false
  #timer: Timer | undefined
  #isTimerSoon = false
  #isClosed = false

  constructor (init: PathSetInit) {
    this.#init = init
    this.#isRequester = init.role === 'requester'
    this.#silentSince = init.clock.now()
    this.#schedule()
  }

  /** The path to send by. */
  get chosen (): Path | undefined { return this.#chosen?.path }

  /** When the path to send by was heard of: R by an answer to a probe, T by any packet. */
  get heardAt (): number { return this.#chosen?.heardAt ?? -Infinity }

  get states (): readonly PathState[] { return [...this.#known] }

  /** @param works known from a handshake that has come by it */
  add (path: Path, works = false): void {
    if (this.#isClosed || this.#find(path) !== undefined || this.#known.length >= MAX_PATHS) return
    const known = new Known(path)
    known.works = works
    this.#known.push(known)
    if (this.#chosen === undefined || (works && !this.#chosen.works)) this.#moveTo(known)
    if (this.#isRequester) this.#probe(known, this.#init.clock.now())
    this.#told()
    this.#schedule()
  }

  remove (path: Path): void {
    const at = this.#known.findIndex((one) => one.path === path)
    if (at < 0) return
    const [known] = this.#known.splice(at, 1)
    if (known === this.#chosen) {
      this.#chosen = undefined
      this.#choose()
    }
    this.#told()
    if (this.#isRequester && this.#known.length === 0) this.#silentSince = Math.min(this.#silentSince, this.#init.clock.now())
    this.#schedule()
  }

  /** A packet was opened that is no answer to a probe. T sends by the path of the newest one by which R sends as well. @param what of the stream, or a probe, which says whether R sends by this path */
  heard (path: Path, what: 'stream' | 'chosen' | 'probe', isNewest: boolean, now: number): void {
    if (this.#isRequester) {
      this.#streamAt = now
      this.watch()
      return
    }
    this.#silentSince = now
    this.#streamAt = what === 'stream' ? now : -Infinity
    this.#isQuiet = false
    this.watch()
    const known = this.#find(path)
    if (known === undefined) return
    known.heardAt = now
    known.works = true
    if (isNewest && known !== this.#chosen && (what !== 'probe' || this.#chosen === undefined)) this.#moveTo(known)
    this.#told()
  }

  /** R: a probe was answered. */
  answered (path: Path, token: number, now: number): void {
    const known = this.#find(path)
    const sentAt = known?.probes.get(token)
    if (known === undefined || sentAt === undefined) return
    const isUntold = known === this.#chosen && token < this.#firstMarked
    const rtt = now - sentAt
    known.rtt = known.rtt === undefined ? rtt : known.rtt + (rtt - known.rtt) / 4
    known.unanswered = 0
    known.works = true
    known.heardAt = now
    known.probes.clear()
    if (this.#silentSince !== Infinity) for (const one of this.#known) one.reachedAt = Infinity
    this.#silentSince = Infinity
    this.#choose()
    if (isUntold && known === this.#chosen) this.#probe(known, now)
    this.#told()
    this.#schedule()
  }

  /** Something of the stream was sent, or has come: whether it is acknowledged, and more comes, is looked after from now on. */
  watch (): void {
    if (!this.#isTimerSoon) this.#schedule(true)
  }

  close (): void {
    this.#isClosed = true
    this.#init.clock.clear(this.#timer)
  }

  #find (path: Path): Known | undefined {
    for (const known of this.#known) if (known.path === path) return known
    return undefined
  }

  #probe (known: Known, now: number): void {
    if (known.unanswered === 0) known.probes.clear()
    else if (known.probes.size >= MAX_UNANSWERED) known.probes.delete(known.probes.keys().next().value as number)
    const token = ++this.#token
    known.probes.set(token, now)
    known.unanswered++
    known.probedAt = now
    if (this.#silentSince === Infinity) this.#silentSince = now
    else if (known.reachedAt === Infinity && known.path.reachedAt >= this.#silentSince) known.reachedAt = known.path.reachedAt
    this.#init.sendProbe(known.path, token, known === this.#chosen)
  }

  /** R: the best one that works; without one the chosen one stays. */
  #choose (): void {
    let best = this.#chosen
    for (const known of this.#known) {
      if (best === undefined || isBetter(known, best)) best = known
    }
    if (best !== undefined && best !== this.#chosen) this.#moveTo(best)
  }

  #moveTo (known: Known): void {
    this.#chosen = known
    this.#firstMarked = this.#token + 1
    this.#init.onMove(known.path)
    // T follows at once, also where nothing of the stream is to be sent
    if (this.#isRequester && known.works) this.#probe(known, this.#init.clock.now())
  }

  #told (): void {
    const working = this.#chosen?.works === true ? this.#chosen.path : undefined
    if (working === this.#working) return
    this.#working = working
    this.#init.onWorking(working)
  }

  /** R: packets of the stream have come, and no answer to a probe since: T may have more of them, and nobody to tell that they do not arrive. */
  get #hasStopped (): boolean { return this.#chosen !== undefined && this.#streamAt > this.#chosen.heardAt }

  #intervalOf (known: Known, isStreamWaiting: boolean): number {
    if (known.unanswered >= MAX_UNANSWERED) return known.works ? WAITING_INTERVAL : DEAD_INTERVAL
    return known.unanswered > 0 || (known === this.#chosen && isStreamWaiting) ? WAITING_INTERVAL : IDLE_INTERVAL
  }

  readonly #run = (): void => {
    const { clock, unansweredFor, onQuiet } = this.#init
    const now = clock.now()
    if (now >= this.#givesUpAt || (now - this.#silentSince >= FORGOTTEN_TIMEOUT && this.#isForgotten)) {
      this.close()
      this.#init.onSilent()
      return
    }
    if (this.#isRequester) {
      const unanswered = unansweredFor(now)
      const patience = 2 * (this.#chosen?.rtt ?? 0) + WAITING_INTERVAL
      const isStreamWaiting = unanswered > patience || (this.#hasStopped && now - this.#streamAt > patience)
      for (const known of [...this.#known]) {
        if (now < known.probedAt + this.#intervalOf(known, isStreamWaiting)) continue
        if (known.unanswered >= MAX_UNANSWERED) known.works = false
        this.#probe(known, now)
      }
      this.#choose()
      this.#told()
      this.#schedule(unanswered > 0 || this.#hasStopped)
    } else {
      const isWaiting = !this.#isQuiet && (this.#streamAt !== -Infinity || unansweredFor(now) > 0)
      if (isWaiting && now - this.#silentSince >= QUIET) {
        this.#isQuiet = true
        onQuiet()
      }
      this.#schedule(isWaiting && !this.#isQuiet)
    }
  }

  get #givesUpAt (): number { return this.#silentSince + (this.#isRequester ? REQUESTER_TIMEOUT : TARGET_TIMEOUT) }

  /** R: T is there, and does not answer as one that has this session: it may have restarted. */
  get #isForgotten (): boolean { return this.#known.some(({ path, reachedAt }) => path.reachedAt - reachedAt >= FORGOTTEN_AFTER) }

  /** @param isSoon the stream waits for an acknowledgement */
  #schedule (isSoon = false): void {
    const { clock } = this.#init
    if (this.#isClosed) return
    clock.clear(this.#timer)
    const now = clock.now()
    let due = this.#givesUpAt
    if (this.#isRequester) {
      if (isSoon) due = Math.min(due, now + WAITING_INTERVAL)
      for (const known of this.#known) due = Math.min(due, known.probedAt + this.#intervalOf(known, false))
    } else if (isSoon) {
      due = Math.min(due, Math.max(now, this.#silentSince) + QUIET)
    }
    this.#isTimerSoon = isSoon || due - now <= WAITING_INTERVAL
    this.#timer = clock.set(Math.min(TARGET_TIMEOUT, Math.max(1, due - now)), this.#run)
  }
}

function isBetter (a: Known, b: Known): boolean {
  if (a.works !== b.works) return a.works
  if (a.path.kind !== b.path.kind) return RANKS[a.path.kind] < RANKS[b.path.kind]
  return a.works && a.rtt !== undefined && b.rtt !== undefined && a.rtt < b.rtt * SHORTER
}

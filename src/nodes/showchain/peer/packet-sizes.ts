/**
 * The size of packets by each path of a session: what has been shown to arrive (SHOW CHAIN protocol, section 7.5). Only the path by which this
 * end sends is probed, and only while something is sent by it.
 */
import { PathMtu } from '../../../nat/path-mtu.ts'
import { LEAST_PACKET } from '../protocol/data-packets.ts'
import type { Clock, Timer } from '../../../types.ts'
import type { Path } from './paths.ts'

/** Milliseconds for an answer; between two looks at the size in use while packets flow; for which the stream waits until that is looked at. */
const TIMEOUT = 1000
const PROOF_INTERVAL = 5000
const STALLED = 1000

/** Probes of the size in use without an answer, beside short ones that were answered, until it counts as too large. */
const MAX_UNPROVEN = 3

/** Milliseconds between two rounds at most, while not even short probes are answered. */
const MAX_INTERVAL = 15_000

/** Long probes of one path whose answers count. */
const MAX_PENDING = 8

export interface PacketSizesInit {
  clock: Clock
  /** Sends a packet of so many bytes that asks for an answer. False: there is no room for it. */
  sendProbe (path: Path, token: number, size: number): boolean
  /** The size for the path in use is another one. */
  onSize (path: Path): void
  /** Milliseconds for which the stream waits for an acknowledgement. */
  unansweredFor (now: number): number
}

/** Two probes that were sent together, a long one, and a short one, without whose answer the loss of the other says nothing. */
interface Round {
  /** Of the short one; that of the long one is the number before it. */
  readonly token: number
  readonly size: number
  isAnswered: boolean
}

class PathSize {
  readonly path: Path
  readonly most: number
  /** Bytes that have arrived before the search began, or that every path takes. */
  least: number
  readonly mtu: PathMtu
  round: Round | undefined
  /** When the next round may begin, and rounds in a row that say nothing. */
  readyAt = 0
  vain = 0
  /** Size of long probes by their tokens, oldest first. */
  readonly pending = new Map<number, number>()
  /** When the size in use was shown to arrive, and probes of it since then. */
  provenAt = 0
  unproven = 0

  constructor (path: Path, most: number, least: number) {
    this.path = path
    this.most = most
    this.least = Math.min(least, most)
    this.mtu = new PathMtu({ most, base: Math.min(LEAST_PACKET, most), timeout: TIMEOUT })
  }

  get size (): number { return Math.max(this.least, this.mtu.size) }

  get isFixed (): boolean { return this.most <= LEAST_PACKET }
}

export class PacketSizes {
  readonly #init: PacketSizesInit
  readonly #known = new WeakMap<Path, PathSize>()
  #used: PathSize | undefined
  #token = 0
  /** Something was sent since the last look. */
  #isBusy = false
  #timer: Timer | undefined
  #isClosed = false

  constructor (init: PacketSizesInit) { this.#init = init }

  /** Bytes of the longest packet for a path, which is in use from now on. */
  use (path: Path): number {
    const { maxDatagram } = path
    let used = this.#used
    if (used?.path !== path || used.most !== maxDatagram) {
      const known = this.#known.get(path)
      used = this.#used = known?.most === maxDatagram ? known : new PathSize(path, maxDatagram, known?.size ?? LEAST_PACKET)
      this.#known.set(path, used)
      this.#init.clock.clear(this.#timer)
      this.#timer = undefined
    }
    return used.size
  }

  /** Packets of the stream are sent. */
  sent (): void {
    this.#isBusy = true
    if (this.#timer === undefined) this.#run()
  }

  answered (path: Path, token: number, now: number): void {
    const known = this.#known.get(path)
    if (known === undefined) return
    const { round, mtu } = known
    const size = known.pending.get(token)
    if (round !== undefined && (token === round.token || token === round.token - 1)) round.isAnswered = true
    if (size === undefined) return
    known.pending.delete(token)
    mtu.acknowledged(size, now)
    if (size < known.size) return
    known.provenAt = now
    known.unproven = known.vain = 0
    if (round === undefined || size < round.size) return
    known.round = undefined
    known.readyAt = now
    if (known === this.#used && !mtu.isSettled) this.#look()
  }

  close (): void {
    this.#isClosed = true
    this.#init.clock.clear(this.#timer)
  }

  #look (): void {
    this.#init.clock.clear(this.#timer)
    this.#run()
  }

  readonly #run = (): void => {
    const { clock, unansweredFor } = this.#init
    const now = clock.now()
    const unanswered = unansweredFor(now)
    const isBusy = this.#isBusy || unanswered > 0
    const used = this.#used
    this.#timer = undefined
    if (used === undefined || used.isFixed || this.#isClosed) return
    const { size } = used
    const probe = now < used.readyAt ? undefined : this.#next(used, isBusy ? unanswered : -1, now)
    if (probe !== undefined) this.#probe(used, probe, now)
    if (used.size !== size) this.#init.onSize(used.path)
    if (isBusy || !used.mtu.isSettled) this.#timer = clock.set(Math.max(1, (used.mtu.isSettled ? now + TIMEOUT : Math.max(used.readyAt, used.mtu.deadline)) - now), this.#run)
    this.#isBusy = false
  }

  /** The size to probe now, if any. @param unanswered milliseconds for which the stream waits; -1: nothing is sent */
  #next (used: PathSize, unanswered: number, now: number): number | undefined {
    const { round, mtu } = used
    used.round = undefined
    if (round?.isAnswered === false) {
      used.vain++
      return round.size
    }
    used.vain = 0
    const sought = mtu.poll(now)
    if (sought !== undefined || used.size <= LEAST_PACKET || unanswered < 0) return sought
    if (now - used.provenAt < (used.unproven > 0 || unanswered > STALLED ? TIMEOUT : PROOF_INTERVAL)) return undefined
    if (used.unproven++ < MAX_UNPROVEN) return used.size
    used.unproven = 0
    used.least = LEAST_PACKET
    mtu.blackHole(now)
    return mtu.poll(now)
  }

  #probe (used: PathSize, size: number, now: number): void {
    const { sendProbe } = this.#init
    const token = this.#token += 2
    used.readyAt = now + Math.min(MAX_INTERVAL, TIMEOUT * 2 ** used.vain)
    used.round = { token, size, isAnswered: false }
    used.pending.set(token - 1, size)
    if (used.pending.size > MAX_PENDING) used.pending.delete(used.pending.keys().next().value as number)
    if (sendProbe(used.path, token - 1, size)) sendProbe(used.path, token, 0)
  }
}

/** The receiving half of a connection: puts segments in order, and says how much room there is. */
import { ByteQueue } from './byte-queue.ts'
import { MAX_SELECTIVE, type SelectiveRange } from './segment.ts'
import { advance, distance } from './sequence.ts'

/** Pieces that are kept of what came too early; further ones are dropped, and sent again by the other side. */
const MAX_PIECES = 1024

interface Piece {
  readonly sequence: number
  readonly data: Uint8Array
}

export class Receiver {
  /** The next sequence number that is expected (RCV.NXT). */
  next = 0
  /** Bytes from `next` on that were promised to the other side (RCV.WND). Their end never moves back. */
  window: number
  /** The other side has finished, and everything that it sent is here. */
  hasEnded = false
  readonly #limit: number
  readonly #ready = new ByteQueue()
  /** What came too early: by sequence number, without overlaps, and all of it behind `next`. */
  #early: Piece[] = []
  /** The piece that came last. */
  #newest = 0
  /** Where the other side finishes, once that is known. */
  #end: number | undefined

  /** @param limit bytes that wait for the reader, those that came too early included */
  constructor (limit: number) {
    this.#limit = limit
    this.window = limit
  }

  /** Bytes that can be read. */
  get readable (): number { return this.#ready.length }

  /** Bytes that came too early. */
  get early (): number { return this.#early.reduce((sum, { data }) => sum + data.length, 0) }

  /**
   * Whether a segment may be processed (RFC 9293, section 3.10.7.4): some of it is in the window, or it is empty and right behind it, as
   * acknowledgements are whose sender has used the window up.
   */
  accepts (sequence: number, length: number): boolean {
    const start = distance(this.next, sequence)
    if (length === 0) return start >= 0 && start <= this.window
    return start + length > 0 && (start < this.window || start === 0)
  }

  /**
   * Takes what is new, and fits.
   *
   * @param isLast the other side finishes behind the data
   */
  add (sequence: number, data: Uint8Array, isLast: boolean): void {
    if (this.hasEnded) return
    const start = distance(this.next, sequence)
    const room = this.#end === undefined ? this.window : Math.min(this.window, distance(this.next, this.#end))
    if (isLast && this.#end === undefined && start + data.length >= 0 && start + data.length <= this.window) this.#endAt(advance(sequence, data.length))
    const from = Math.max(0, -start)
    const to = Math.min(data.length, room - start)
    if (from < to) {
      if (start <= 0) this.#append(data.subarray(from, to))
      else this.#keep(advance(sequence, from), data.subarray(from, to))
    }
    if (this.next === this.#end) {
      this.hasEnded = true
      this.next = advance(this.next, 1)
      this.#early = []
    }
  }

  /** Removes some of the bytes that can be read; undefined when there are none. */
  read (): Uint8Array | undefined { return this.#ready.take() }

  /**
   * The window for the next segment. It grows by steps, so that the other side does not send tiny segments (RFC 9293, section 3.8.6.2.2).
   *
   * @param maxData bytes of a full segment
   */
  advertise (maxData: number): number {
    const room = this.#room
    if (room - this.window >= Math.min(maxData, this.#limit / 2)) this.window = room
    return this.window
  }

  /** Whether the window has grown so much since the last `advertise` that the other side should be told, which may wait for it. */
  hasNews (maxData: number): boolean {
    return this.window < this.#limit / 2 && this.#room - this.window >= Math.min(2 * maxData, this.#limit / 2)
  }

  get hasEarly (): boolean { return this.#early.length > 0 }

  /** What came too early, as the other side is told of it; undefined when there is nothing. */
  get selective (): SelectiveRange[] | undefined {
    if (this.#early.length === 0) return undefined
    const ranges: Array<[number, number]> = []
    for (const { sequence, data } of this.#early) {
      const last = ranges.at(-1)
      if (last?.[1] === sequence) last[1] = advance(sequence, data.length)
      else ranges.push([sequence, advance(sequence, data.length)])
    }
    const newest = ranges.findIndex(([start, end]) => distance(start, this.#newest) >= 0 && distance(this.#newest, end) > 0)
    if (newest > 0) ranges.unshift(...ranges.splice(newest, 1))
    return ranges.slice(0, MAX_SELECTIVE)
  }

  get #room (): number { return this.hasEnded ? this.window : this.#limit - this.#ready.length }

  /** What is behind the end was not sent by a TCP that keeps the rules. */
  #endAt (end: number): void {
    if (this.#early.some(({ sequence, data }) => distance(end, sequence) + data.length > 0)) return
    this.#end = end
  }

  #append (data: Uint8Array): void {
    this.#ready.append(data)
    this.next = advance(this.next, data.length)
    this.window -= data.length
    let used = 0
    for (const piece of this.#early) {
      const known = distance(piece.sequence, this.next)
      if (known < 0) break
      used++
      if (known >= piece.data.length) continue
      const rest = piece.data.subarray(known)
      this.#ready.append(rest)
      this.next = advance(this.next, rest.length)
      this.window -= rest.length
    }
    if (used > 0) this.#early.splice(0, used)
  }

  /** Inserts those parts that are new. */
  #keep (sequence: number, data: Uint8Array): void {
    this.#newest = sequence
    let at = 0
    while (at < data.length) {
      const start = advance(sequence, at)
      let index = this.#early.length // most pieces come in order
      while (index > 0 && distance(start, this.#early[index - 1].sequence) > 0) index--
      const before = this.#early[index - 1]
      const covered = before === undefined ? 0 : before.data.length - distance(before.sequence, start)
      if (covered > 0) {
        at += covered
        continue
      }
      const after = this.#early[index]
      const end = after === undefined ? data.length : Math.min(data.length, at + distance(start, after.sequence))
      if (this.#early.length >= MAX_PIECES) return
      this.#early.splice(index, 0, { sequence: start, data: data.slice(at, end) })
      at = end
    }
  }
}

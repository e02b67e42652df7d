/** Bytes that wait for slow readers of one link, where its other end gives no credit: bounded for each of them and for all. */

/** Bytes of one reader, and of all. Beyond the second bound readers of more than the third are too slow. */
const MAX_WAITING = 16 << 20
const MAX_OF_LINK = 32 << 20
const FAIR_SHARE = 1 << 20

/** What waits for all readers of a link. */
export class Backlog {
  bytes = 0

  /** One more of them. */
  reader (): Reader { return new Reader(this) }
}

export class Reader {
  readonly #all: Backlog
  #bytes = 0
  #isGone = false

  constructor (all: Backlog) { this.#all = all }

  /** So much waits for it that it is too slow. */
  get isSlow (): boolean { return this.#bytes > MAX_WAITING || (this.#all.bytes > MAX_OF_LINK && this.#bytes > FAIR_SHARE) }

  /** Bytes are on their way to it. */
  add (bytes: number): void {
    if (this.#isGone) return
    this.#bytes += bytes
    this.#all.bytes += bytes
  }

  /** It has taken them. */
  taken (bytes: number): void { this.add(-bytes) }

  /** Nothing waits for it any more. */
  gone (): void {
    this.add(-this.#bytes)
    this.#isGone = true
  }
}

/** The bytes of datagrams that a socket has not sent yet, and those who wait until there are none. */
export class Unsent {
  bytes = 0
  #isOver = false
  #waiting: Array<() => void> = []
  readonly #onWake: () => void

  /** @param onWake called before those who wait go on */
  constructor (onWake: () => void = () => {}) { this.#onWake = onWake }

  add (bytes: number): void { this.bytes += bytes }

  remove (bytes: number): void {
    this.bytes -= bytes
    if (this.bytes === 0) this.#wake()
  }

  /** Settles when there are none, or the socket is closed. */
  drained (): Promise<void> {
    if (this.#isOver || this.bytes === 0) return Promise.resolve()
    return new Promise((resolve) => { this.#waiting.push(resolve) })
  }

  /** The socket is closed. */
  close (): void {
    this.#isOver = true
    this.#wake()
  }

  #wake (): void {
    if (this.#waiting.length === 0) return
    this.#onWake()
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

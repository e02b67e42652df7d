/** Warms the packet path up, unless the environment says that it is not worth it: `TUNPIPE_WARM_UP=off`, for programs that live for a moment. */
import { prepareCandy, warmUpCandy } from '../../nodes/candy/warm-up/warm-up.ts'

export class Warming {
  readonly #role: 'relay' | 'peer'
  readonly #isWanted = process.env.TUNPIPE_WARM_UP !== 'off'
  readonly #stopping = new AbortController()

  constructor (role: 'relay' | 'peer') {
    this.#role = role
  }

  /** Before the relay or the peer is made. Never rejects. */
  async prepare (): Promise<void> {
    if (this.#isWanted) await prepareCandy({ role: this.#role })
  }

  /** Once it is ready. @param packets how many packets of others there were so far */
  start (packets: () => number): void {
    if (this.#isWanted) void warmUpCandy({ role: this.#role, packets, signal: this.#stopping.signal })
  }

  stop (): void { this.#stopping.abort() }
}

/** Reads single frames of a link, before somebody else reads the rest. */
import { LinkClosedError } from '../../../errors.ts'
import { resumed } from '../../../streams/resumed.ts'
import type { Batch, Link } from '../../../types.ts'

export class FrameReader {
  readonly #link: Link
  readonly #iterator: AsyncIterator<Batch>
  #batch: Batch = []

  constructor (link: Link) {
    this.#link = link
    this.#iterator = link.source[Symbol.asyncIterator]()
  }

  /** @throws {LinkClosedError} at the end; else the error that broke the link */
  async next (): Promise<Uint8Array> {
    while (this.#batch.length === 0) {
      const { done, value } = await this.#iterator.next()
      if (done === true) throw new LinkClosedError('the connection has ended')
      this.#batch = value
    }
    return this.#batch.shift() as Uint8Array
  }

  /** The link for its next reader, with all that was not read. */
  rest (): Link { return resumed(this.#link, this.#iterator, this.#batch) }
}

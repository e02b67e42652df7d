/** The `sink`s of an interface: they end with it, even while their source is idle. */
import { AbortableSource } from '../streams/abortable-source.ts'
import type { Batch } from '../types.ts'

export class Sinks {
  readonly #sources = new Set<AbortableSource<Batch>>()
  #reason: Error | undefined

  /** Sends the batches of a source. Rejects with an error of the source, and after `end` with its reason. */
  async run (source: AsyncIterable<Batch>, send: (batch: Batch) => void): Promise<void> {
    const reading = new AbortableSource(source)
    if (this.#reason !== undefined) reading.abort()
    this.#sources.add(reading)
    try {
      for await (const batch of reading) send(batch)
    } finally {
      this.#sources.delete(reading)
    }
    if (this.#reason !== undefined) throw this.#reason
  }

  /** Ends all sinks, and later ones. May be called more than once. */
  end (reason: Error): void {
    this.#reason ??= reason
    for (const source of this.#sources) source.abort()
  }
}

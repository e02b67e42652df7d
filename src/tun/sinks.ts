/** What `sink` of an interface needs beside writing: the end of the interface ends it, even while its source idles. */
import { AbortableSource } from '../streams/abortable-source.ts'
import type { Batch } from '../types.ts'

export class Sinks {
  readonly #sources = new Set<AbortableSource<Batch>>()
  #reason: Error | undefined

  /** Sends whatever the source brings. Rejects with what the source throws, and after `end` with its reason. */
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

  /** Ends those that run and all later ones. Harmless when repeated. */
  end (reason: Error): void {
    this.#reason ??= reason
    for (const source of this.#sources) source.abort()
  }
}

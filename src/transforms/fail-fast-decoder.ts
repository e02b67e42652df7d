/** The base class of decoders, with their error handling. */
import type { Batch, Core } from '../types.ts'

/**
 * A decoder that processes a batch piece by piece and stops at the first error: the frames before it are returned, `failure` is set, and
 * each later call throws it. So the same bytes give the same frames and the same error, however they were cut into reads.
 */
export abstract class FailFastDecoder<T = Uint8Array> implements Core<Uint8Array, T> {
  #failure: Error | undefined

  /** The error in the input, if there was one. */
  get failure (): Error | undefined { return this.#failure }

  /** @throws the `failure` of an earlier call */
  push (batch: Batch): Batch<T> {
    if (this.#failure !== undefined) throw this.#failure
    const out: Batch<T> = []
    try {
      for (const piece of batch) this.decode(piece, out)
    } catch (err) {
      this.#failure = faultOf(err)
    }
    return out
  }

  /** Runs a step outside of `push`; rethrows its error, and keeps it when the input is at fault. */
  protected attempt<R> (step: () => R): R {
    if (this.#failure !== undefined) throw this.#failure
    try {
      return step()
    } catch (err) {
      this.#failure = faultOf(err)
      throw err
    }
  }

  /** @throws `failure`, if there is one */
  end (): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Appends to `out` the frames that this piece completes. Throws an error with a `code` when the input breaks the protocol. */
  protected abstract decode (piece: Uint8Array, out: Batch<T>): void
}

/** Errors in the input have a `code`; others are bugs, and thrown. */
function faultOf (err: unknown): Error {
  if ((err as { code?: string }).code === undefined) throw err
  return err as Error
}

/** What decoders have in common once their input breaks the protocol. */
import type { Batch, Core } from '../types.ts'

/**
 * A decoder that goes through a batch piece by piece and goes no further than the first fault: the frames before it are
 * returned, `failure` is set, and every later call throws it. So the same bytes give the same frames and the same error,
 * whatever reads they came in.
 */
export abstract class FailFastDecoder implements Core {
  #failure: Error | undefined

  /** What was wrong with the input, once something was. */
  get failure (): Error | undefined { return this.#failure }

  /** Throws `failure` when an earlier call has set it. */
  push (batch: Batch): Batch {
    if (this.#failure !== undefined) throw this.#failure
    const out: Batch = []
    try {
      for (const piece of batch) this.decode(piece, out)
    } catch (err) {
      this.#failure = faultOf(err)
    }
    return out
  }

  /** The same for a step that is none of `push`: throws what it throws, and remembers that when the input is at fault. */
  protected attempt<R> (step: () => R): R {
    if (this.#failure !== undefined) throw this.#failure
    try {
      return step()
    } catch (err) {
      this.#failure = faultOf(err)
      throw err
    }
  }

  /** Throws `failure` when there is one. */
  end (): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Appends to `out` what is complete with this piece. Throws an error with a `code` when the input breaks the protocol. */
  protected abstract decode (piece: Uint8Array, out: Batch): void
}

/** A fault of the input has a code; what has none is a bug, and thrown. */
function faultOf (err: unknown): Error {
  if ((err as { code?: string }).code === undefined) throw err
  return err as Error
}

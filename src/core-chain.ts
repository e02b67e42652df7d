/** Several cores of one direction as one core, so that a stack of layers costs what one layer does. */
import { release } from './buffers/buffer-pool.ts'
import type { Batch, Core } from './types.ts'

type AnyCore = Core<unknown, unknown>

export class CoreChain implements AnyCore {
  readonly memory: Core['memory']
  /** In the order in which a batch goes through them. */
  readonly #cores: readonly AnyCore[]

  constructor (cores: readonly AnyCore[]) {
    this.#cores = cores
    this.memory = memoryOf(cores)
  }

  /** That of the core which a batch reaches last, as it has passed on what the others have found. */
  get failure (): Error | undefined {
    const cores = this.#cores
    for (let i = cores.length - 1; i >= 0; i--) {
      const { failure } = cores[i]
      if (failure !== undefined) return failure
    }
    return undefined
  }

  push (batch: Batch<unknown>): Batch<unknown> {
    const cores = this.#cores
    let passed = batch
    for (let i = 0; i < cores.length; i++) {
      const given = passed
      try {
        passed = cores[i].push(given)
      } catch (err) {
        while (--i >= 0) cores[i].undo?.()
        throw err
      }
      if (i > 0 && cores[i].memory === 'copies') release(given as Batch)
      if (passed.length === 0) break
    }
    return passed
  }

  undo (): void { for (const core of this.#cores) core.undo?.() }

  end (): void { for (const core of this.#cores) core.end?.() }
}

/** What happens to the memory of a batch is known once a core has copied it, or when all pass it. */
function memoryOf (cores: readonly AnyCore[]): Core['memory'] {
  for (const { memory } of cores) if (memory !== 'passes') return memory
  return 'passes'
}

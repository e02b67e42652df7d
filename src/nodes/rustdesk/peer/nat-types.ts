/** The type of the NAT, tested when it is needed and may have changed. */
import { testNat } from './nat-type.ts'
import type { DialServerInit } from './server-connection.ts'
import { NatType } from '../protocol/enums.ts'
import type { Clock } from '../../../types.ts'

/** Milliseconds for which a result counts; what is not known, or doubtful, is asked for again sooner. */
const LASTS = 600_000
const UNKNOWN_LASTS = 30_000

const NAMES: Readonly<Record<number, string>> = { [NatType.asymmetric]: 'asymmetric', [NatType.symmetric]: 'symmetric' }

export const natName = (type: number = NatType.unknown): string => NAMES[type] ?? 'unknown'

export interface NatTypesInit {
  clock: Clock
  dial (): Promise<DialServerInit>
  /** There is a result, another one than before. */
  onTested (type: number): void
}

export class NatTypes {
  /** One of `NatType`. */
  type: number = NatType.unknown
  readonly #init: NatTypesInit
  #testedAt = -Infinity
  #isDoubtful = false
  #testing: Promise<number> | undefined

  constructor (init: NatTypesInit) { this.#init = init }

  /** The type as of now; `unknown` when the server cannot be asked. */
  test (): Promise<number> {
    const { clock } = this.#init
    if (clock.now() - this.#testedAt < (this.#isDoubtful || this.type === NatType.unknown ? UNKNOWN_LASTS : LASTS)) return Promise.resolve(this.type)
    this.#testing ??= this.#run().finally(() => { this.#testing = undefined })
    return this.#testing
  }

  /** The address of this machine, or of the server, may be another one: it is tested again soon. */
  doubt (): void { this.#isDoubtful = true }

  async #run (): Promise<number> {
    const { clock, dial, onTested } = this.#init
    this.#isDoubtful = false
    const found = await dial().then(testNat).catch(() => undefined)
    const isFirst = this.#testedAt === -Infinity
    this.#testedAt = clock.now()
    const type = found ?? NatType.unknown
    const isOther = type !== this.type
    this.type = type
    if (isFirst || isOther) onTested(type)
    return type
  }
}

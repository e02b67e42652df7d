/**
 * What a signature covers, as a table: for each type of message the values of it, in an order. Signed is a text, and for each value its
 * length in 2 bytes and the value, so that no two lists of values are the same bytes.
 *
 * ```ts
 * const covered = new CoveredValues<Message>('EXAMPLE/1', { [ORDER]: [bytesOf((m) => m.account), uintOf(8, (m) => m.amount)] }, (m) => m.type)
 * covered.of(message) // 'EXAMPLE/1' ‖ 0x0020 ‖ account ‖ 0x0008 ‖ amount
 * ```
 */
import { OptionError } from '../../errors.ts'

/** A value of a message. One that the message does not have is undefined, and left out. */
export interface CoveredValue<M> {
  /** Bytes of a number, big-endian: 1 to 8. Undefined for bytes. */
  readonly size?: number
  of (message: M): Uint8Array | number | undefined
}

/** Values by the type of message; messages of other types are not signed. */
export type CoveredTable<M> = Readonly<Record<number | string, ReadonlyArray<CoveredValue<M>>>>

/** A value of at most 65535 bytes. */
export const bytesOf = <M>(of: (message: M) => Uint8Array | undefined): CoveredValue<M> => ({ of })

/** A number of 0 to 2^53 - 1, which fits into that many bytes. */
export const uintOf = <M>(size: number, of: (message: M) => number | undefined): CoveredValue<M> => ({ size, of })

const LENGTH_BYTES = 2
const MAX_VALUE = 65535
const MAX_NUMBER = 8
const WORD = 2 ** 32

/** The bytes that are signed of each message, by a table. */
export class CoveredValues<M> {
  readonly #prefix: Buffer
  readonly #table: ReadonlyMap<number | string, ReadonlyArray<CoveredValue<M>>>
  readonly #typeOf: (message: M) => number | string
  /** The values of the message at hand. */
  readonly #found: Array<Uint8Array | number | undefined> = []

  /**
   * @param prefix ASCII, in front of all values: it names the protocol, so that no signature holds in another one
   * @throws {OptionError} when a number has other than 1 to 8 bytes
   */
  constructor (prefix: string, table: CoveredTable<M>, typeOf: (message: M) => number | string) {
    this.#prefix = Buffer.from(prefix, 'latin1')
    this.#typeOf = typeOf
    this.#table = new Map(Object.entries(table).map(([key, values]) => {
      for (const { size } of values) if (size !== undefined && !(Number.isInteger(size) && size >= 1 && size <= MAX_NUMBER)) throw new OptionError(`a number has 1 to ${MAX_NUMBER} bytes, not ${size}`)
      return [String(Number(key)) === key ? Number(key) : key, values]
    }))
  }

  /** Whether messages of this type are signed. */
  has (message: M): boolean { return this.#table.has(this.#typeOf(message)) }

  /**
   * The bytes that are signed, in memory of their own; undefined for a type that is not signed.
   *
   * @throws {RangeError} when a value has more than 65535 bytes, or a number no room in its own
   */
  of (message: M): Uint8Array | undefined {
    const values = this.#table.get(this.#typeOf(message))
    if (values === undefined) return undefined
    const found = this.#found
    let size = this.#prefix.length
    for (let i = 0; i < values.length; i++) {
      const value = found[i] = values[i].of(message)
      if (value !== undefined) size += LENGTH_BYTES + (typeof value === 'number' ? values[i].size ?? 0 : value.length)
    }
    const out = Buffer.allocUnsafe(size)
    out.set(this.#prefix, 0)
    let at = this.#prefix.length
    for (let i = 0; i < values.length; i++) {
      const value = found[i]
      if (value === undefined) continue
      at = typeof value === 'number' ? putNumber(out, at, value, values[i].size ?? 0) : putBytes(out, at, value)
      found[i] = undefined // keeps no memory of the message
    }
    return out
  }
}

function putBytes (out: Uint8Array, at: number, value: Uint8Array): number {
  if (value.length > MAX_VALUE) throw new RangeError(`a value of ${value.length} bytes`)
  putLength(out, at, value.length)
  out.set(value, at + LENGTH_BYTES)
  return at + LENGTH_BYTES + value.length
}

function putNumber (out: Uint8Array, at: number, value: number, size: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** (8 * size)) throw new RangeError(`${value} is no number of ${size} bytes`)
  putLength(out, at, size)
  let low = value % WORD
  let high = Math.floor(value / WORD)
  for (let i = at + LENGTH_BYTES + size - 1; i >= at + LENGTH_BYTES; i--) {
    out[i] = low & 0xff
    low = (low >>> 8 | high << 24) >>> 0
    high >>>= 8
  }
  return at + LENGTH_BYTES + size
}

function putLength (out: Uint8Array, at: number, length: number): void {
  out[at] = length >>> 8
  out[at + 1] = length & 0xff
}

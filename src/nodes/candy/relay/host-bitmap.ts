/**
 * The hosts of a network that are taken, one bit each, with a fast search for the next free one.
 *
 * Summary levels are stacked on the bits: a bit of a level is set when the 32 bits below it are all set. A free host is
 * found by climbing to a word with a zero bit and descending from it, at most 5 words each way for 2^24 hosts, however full the
 * network is. Memory is 1.03 bits a host: 2 MiB for a /8.
 */
const FULL = 0xffff_ffff

export class HostBitmap {
  /** From the hosts up to a single word. */
  readonly #levels: Uint32Array[] = []

  constructor (size: number) {
    let bits = size
    do {
      const level = new Uint32Array(Math.ceil(bits / 32))
      // unused bits of the last word are set, so that the search skips them
      if (bits % 32 !== 0) level[level.length - 1] = FULL << (bits % 32)
      this.#levels.push(level)
      bits = level.length
    } while (bits > 1)
  }

  has (host: number): boolean {
    return (this.#levels[0][host >>> 5] >>> (host & 31) & 1) === 1
  }

  /** Writes at most five words. */
  set (host: number, taken: boolean): void {
    let at = host
    for (const level of this.#levels) {
      const word = at >>> 5
      const before = level[word]
      // shifts are modulo 32
      level[word] = taken ? before | 1 << at : before & ~(1 << at)
      if ((before === FULL) === (level[word] === FULL)) return
      at = word
    }
  }

  /** The first free host at or after `from`; undefined when all are taken. */
  nextFree (from: number): number | undefined {
    let at = from
    for (const [height, level] of this.#levels.entries()) {
      const word = at >>> 5
      if (word >= level.length) return undefined
      const holes = ~level[word] & FULL << at
      if (holes !== 0) return this.#descend(height, word * 32 + lowestBit(holes))
      at = word + 1
    }
    return undefined
  }

  /** The first free host below a bit of a summary. */
  #descend (height: number, bit: number): number {
    let at = bit
    for (let below = height - 1; below >= 0; below--) at = at * 32 + lowestBit(~this.#levels[below][at])
    return at
  }
}

/** The index of the lowest bit that is set. At least one has to be. */
const lowestBit = (word: number): number => 31 - Math.clz32(word & -word)

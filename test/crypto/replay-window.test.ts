/** Each counter is accepted once, unless it is too old. */
import fc from 'fast-check'
import t from 'tap'
import { ReplayWindow } from '../../src/crypto/index.ts'
import { OptionError } from '../../src/errors.ts'
import { SEED } from '../helpers/bytes.ts'
import { sample } from '../helpers/sample.ts'

const LAST = Number.MAX_SAFE_INTEGER

/** All that was accepted, and the rule in one line. */
class Model {
  readonly #seen = new Set<number>()
  readonly #size: number
  #highest = -1

  constructor (size: number) { this.#size = size }

  check (counter: number): boolean { return counter > this.#highest - this.#size && !this.#seen.has(counter) }

  accept (counter: number): boolean {
    if (!this.check(counter)) return false
    this.#seen.add(counter)
    this.#highest = Math.max(this.#highest, counter)
    return true
  }
}

t.test('a counter once', async (t) => {
  const window = new ReplayWindow()
  for (const counter of [0, 1, 3, 2, 100_000, 99_999]) {
    t.equal(window.check(counter), true, `${counter} is new`)
    t.equal(window.accept(counter), true)
    t.equal(window.check(counter), false, `${counter} has been seen`)
    t.equal(window.accept(counter), false)
  }
})

t.test('to check marks nothing, and moves nothing', async (t) => {
  const window = new ReplayWindow({ size: 64 })
  window.accept(10)
  for (const counter of [LAST, 5, 11]) t.equal(window.check(counter) && window.check(counter), true)
  t.equal(window.accept(5), true)
  t.equal(window.accept(11), true)
})

t.test('the last counter of the window, and the one before it', async (t) => {
  for (const size of [1, 31, 32, 33, 1000, 8192]) {
    const window = new ReplayWindow({ size })
    window.accept(50_000)
    t.equal(window.accept(50_000 - size), false, `${size}: too old`)
    t.equal(window.accept(50_000 - size + 1), size > 1, `${size}: just in it`)
  }
})

t.test('the default window has at least 2048 counters', async (t) => {
  const window = new ReplayWindow()
  window.accept(10_000)
  t.equal(window.accept(10_000 - 2047), true)
})

t.test('up to the last counter', async (t) => {
  const window = new ReplayWindow({ size: 64 })
  for (const counter of [2 ** 32 - 1, 2 ** 32, LAST - 1, LAST, LAST - 63]) t.equal(window.accept(counter), true, `${counter}`)
  for (const counter of [LAST, LAST - 1, LAST - 63, LAST - 64, 2 ** 32]) t.equal(window.accept(counter), false, `${counter}`)
})

t.test('what is no counter is not accepted, and changes nothing', async (t) => {
  const window = new ReplayWindow()
  for (const counter of [-1, 0.5, NaN, Infinity, -Infinity, 2 ** 53, undefined, '1', 1n]) {
    t.equal(window.check(counter as number), false, String(counter))
    t.equal(window.accept(counter as number), false, String(counter))
  }
  t.equal(window.accept(0), true)
})

t.test('sizes that cannot work', async (t) => {
  for (const size of [0, -1, 0.5, NaN, 2 ** 20 + 1, '64']) t.throws(() => new ReplayWindow({ size: size as number }), OptionError, String(size))
})

/** Mostly near to the one before, also backwards and far; from near 0, 2^32 or 2^53 on. */
const sequences = fc.record({
  size: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constantFrom(32, 64, 2048)),
  first: fc.oneof(fc.nat(100), fc.integer({ min: 2 ** 32 - 100, max: 2 ** 32 }), fc.integer({ min: LAST - 2000, max: LAST })),
  steps: fc.array(fc.oneof(fc.integer({ min: -5, max: 8 }), fc.integer({ min: -400, max: 400 }), fc.integer({ min: -(2 ** 40), max: 2 ** 40 })), { maxLength: 200 })
})

t.test('as a set of all counters does', async (t) => {
  const numRuns = sample('sequences', { short: 1000, long: 100_000 })
  fc.assert(fc.property(sequences, ({ size, first, steps }) => {
    const [window, model] = [new ReplayWindow({ size }), new Model(size)]
    let counter = first
    for (const step of [0, ...steps]) {
      counter = Math.min(Math.max(counter + step, 0), LAST)
      if (window.check(counter) !== model.check(counter)) return false
      if (window.accept(counter) !== model.accept(counter)) return false
    }
    return true
  }), { numRuns, seed: SEED })
})

t.test('the bits of any window tell what was accepted, and nothing else', async () => {
  const step = fc.oneof(fc.integer({ min: -300, max: 300 }), fc.integer({ min: -3000, max: 3000 }))
  fc.assert(fc.property(fc.constantFrom(1, 64, 1024), fc.integer({ min: 0, max: LAST - 100_000 }), fc.array(step, { maxLength: 200 }), fc.integer({ min: -300, max: 300 }), (size, start, steps, back) => {
    const window = new ReplayWindow({ size })
    const accepted = new Set<number>()
    let [highest, last] = [-1, start]
    for (const by of steps) {
      const counter = Math.max(0, last + by)
      if (!window.accept(counter)) continue
      accepted.add(counter)
      last = counter
      highest = Math.max(highest, counter)
    }
    const at = Math.max(0, highest + back)
    const bits = new Uint8Array(34).fill(0xa5)
    window.copyBits(at, bits, 1, 32)
    if (bits[0] !== 0xa5 || bits[33] !== 0xa5) return false
    const first = (Math.floor(at / 8) - 31) * 8
    for (let i = 0; i < 256; i++) {
      const isSet = (bits[1 + (i >> 3)] & 1 << i % 8) !== 0
      if (isSet !== accepted.has(first + i) && (isSet || first + i > highest - size)) return false
    }
    return true
  }), { numRuns: sample('windows', { short: 300, long: 10_000 }), seed: SEED })
})

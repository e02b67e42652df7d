/** Values of files of the original. */
import fc from 'fast-check'
import t from 'tap'
import { booleanOf, countOf, durationOf, listenedAt, sizeOf } from '../../../../src/cli/natpass/original/values.ts'

t.test('durations', async (t) => {
  for (const [text, milliseconds] of [
    ['1s', 1000], ['1m30s', 90_000], ['1.5s', 1500], ['.5s', 500], ['1.s', 1000], ['2h', 7_200_000], ['100ms', 100], ['1us', 1], ['1µs', 1], ['1μs', 1], ['999999ns', 1], ['1h0m0.001s', 3_600_001],
    ['0', 0], ['0s', 0], ['-0', 0], ['+1s', 1000], ['-1s', -1000], ['-1.5h', -5_400_000],
    ['1000000000', 1000], ['5000', 1], ['-1', 0], ['1000', 1],
    ['596h', 2_145_600_000]
  ] as const) t.equal(durationOf(text), milliseconds, text)
  for (const text of ['', 's', '1', '1 s', '1x', '1s ', '1d', '1sm', '--1s', '1m-30s', '1e3s', '1,5s', 'infinity', '597h', '9'.repeat(65), '1h'.repeat(33), '.s']) {
    t.equal(durationOf(text), text === '1' ? 1 : undefined, text)
  }
})

t.test('sizes', async (t) => {
  for (const [text, bytes] of [
    ['0', 0], ['52428800', 52_428_800], ['50M', 50e6], ['50MB', 50e6], ['50m', 50e6], ['50MiB', 50 * 2 ** 20], ['50Mi', 50 * 2 ** 20], ['50 MiB', 50 * 2 ** 20], ['1k', 1000], ['1KiB', 1024], ['1.5G', 1.5e9], ['2GiB', 2 ** 31], ['1T', 1e12], ['1P', 1e15], ['7B', 7], ['0.5k', 500]
  ] as const) t.equal(sizeOf(text), bytes, text)
  for (const text of ['', 'M', '-1', '1i', '1iB', '1X', '1 ', '1  M', '9P2', '10000P', '1e3', '1,5M', '9'.repeat(65)]) t.equal(sizeOf(text), undefined, text)
})

t.test('booleans, counts, and where a server listens', async (t) => {
  for (const text of ['true', 'True', 'yes', 'on', 'Y']) t.equal(booleanOf(text), true, text)
  for (const text of ['false', 'FALSE', 'no', 'off', 'n']) t.equal(booleanOf(text), false, text)
  for (const text of ['', '1', '0', 'tru', 'enabled']) t.equal(booleanOf(text), undefined, text)
  t.same(['7', '007', '999999999', '1000000000', '-1', '1.5', ''].map(countOf), [7, 7, 999_999_999, undefined, undefined, undefined, undefined])
  for (const [text, at] of [['6154', '0.0.0.0:6154'], [':6154', '0.0.0.0:6154'], ['0', '0.0.0.0:0'], ['06154', '0.0.0.0:6154'], ['65536', '65536'], ['0.0.0.0:6154', '0.0.0.0:6154'], ['[::]:6154', '[::]:6154'], ['x', 'x'], ['::6154', '::6154']]) t.equal(listenedAt(text), at, text)
})

t.test('any text has a value or none, soon', async (t) => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[+-]?[\d.]*[a-zµ]*[\d.]*[a-z]*$/))
  fc.assert(fc.property(text, (text) => {
    const [duration, size] = [durationOf(text), sizeOf(text)]
    if (duration !== undefined && (!Number.isInteger(duration) || Object.is(duration, -0))) throw new Error(`${duration}`)
    if (size !== undefined && (!Number.isSafeInteger(size) || size < 0)) throw new Error(`${size}`)
    booleanOf(text)
    listenedAt(text)
  }))
  for (const long of ['1'.repeat(60_000), '1s'.repeat(30_000), '1.'.repeat(30_000), ' '.repeat(60_000)]) t.same([durationOf(long), sizeOf(long), countOf(long), listenedAt(long)], [undefined, undefined, undefined, long])
})

/** IVs are never the same twice, and are written where they belong. */
import t from 'tap'
import { toHex } from '../helpers/bytes.ts'
import { CANDY, sealings } from '../helpers/crypto/sealings.ts'
import { counterIvs, RANDOM_IV_LIMIT, randomIvs, type IvSource } from '../../src/crypto/index.ts'
import { OptionError } from '../../src/errors.ts'

function next (source: IvSource): string {
  const bytes = new Uint8Array(12)
  source.write(bytes, 0)
  return toHex(bytes)
}

t.test('a counter: sender, then the number of the datagram, both big-endian', async (t) => {
  const source = counterIvs({ sender: 0xfedcba98 })
  t.same([next(source), next(source), next(source)], ['fedcba980000000000000000', 'fedcba980000000000000001', 'fedcba980000000000000002'])
  t.equal(next(counterIvs({ sender: 0, first: 1 })), '000000000000000000000001')
})

t.test('a counter carries from 32 bits into the next', async (t) => {
  const source = counterIvs({ sender: 1, first: 0xffff_fffe })
  t.same([next(source), next(source), next(source)], ['0000000100000000fffffffe', '0000000100000000ffffffff', '000000010000000100000000'])
})

t.test('a counter never begins again', async (t) => {
  const source = counterIvs({ sender: 1, first: Number.MAX_SAFE_INTEGER - 1 })
  t.same([next(source), next(source)], ['00000001001ffffffffffffe', '00000001001fffffffffffff'])
  for (let i = 0; i < 3; i++) t.throws(() => next(source), { name: 'SealingError', code: 'ERR_SEALING_IVS' })
})

t.test('options that cannot work', async (t) => {
  for (const sender of [-1, 2 ** 32, 0.5, NaN, '1', undefined]) t.throws(() => counterIvs({ sender: sender as number }), OptionError, `${sender}`)
  for (const first of [-1, 2 ** 53, 0.5, NaN, '1']) t.throws(() => counterIvs({ sender: 1, first: first as number }), OptionError, `${first}`)
})

t.test('random ones are all different, also beyond a block and between sources', async (t) => {
  const sources = [randomIvs(), randomIvs()]
  const seen = new Set<string>()
  for (let i = 0; i < 5000; i++) for (const source of sources) seen.add(next(source))
  t.equal(seen.size, 10_000)
})

t.test('random ones use all their bits', async (t) => {
  const source = randomIvs()
  const [any, every] = [new Uint8Array(12), new Uint8Array(12).fill(0xff)]
  for (let i = 0; i < 5000; i++) {
    const iv = new Uint8Array(12)
    source.write(iv, 0)
    for (const [at, byte] of iv.entries()) {
      any[at] |= byte
      every[at] &= byte
    }
  }
  t.equal(toHex(any), 'ff'.repeat(12))
  t.equal(toHex(every), '00'.repeat(12))
})

t.test('nothing beside an IV is written', async (t) => {
  for (const source of [randomIvs(), counterIvs({ sender: 1 })]) {
    const bytes = new Uint8Array(32).fill(0xa5)
    source.write(bytes, 10)
    t.equal(toHex(bytes.subarray(0, 10)) + toHex(bytes.subarray(22)), 'a5'.repeat(20))
  }
})

t.test('the limit of random ones is that of NIST', async (t) => {
  t.equal(RANDOM_IV_LIMIT, 4_294_967_296)
})

for (const { name, sealing, skip } of sealings) {
  t.test(`${name}: a cipher with a source seals each datagram with an IV of its own`, { skip }, async (t) => {
    const key = Buffer.alloc(32, 1)
    const cipher = sealing.cipher({ key, layout: CANDY, ivs: counterIvs({ sender: 7, first: Number.MAX_SAFE_INTEGER - 1 }) })
    const block = Buffer.alloc(3 * 50)
    cipher.seal(block, 0, 50)
    cipher.seal(block, 50, 100)
    t.equal(toHex(block.subarray(0, 12)), '00000007001ffffffffffffe')
    t.equal(toHex(block.subarray(50, 62)), '00000007001fffffffffffff')
    t.ok(cipher.open(block, 0, 50) && cipher.open(block, 50, 100))
    t.throws(() => { cipher.seal(block, 100, 150) }, { code: 'ERR_SEALING_IVS' })
    t.ok(block.subarray(100).equals(Buffer.alloc(50)), 'the one that could not be sealed stays as it was')
    t.equal(cipher.sealed, 2)
    cipher.close()
  })
}

/** Addresses are those that the C library sees. */
import t from 'tap'
import { loadLibc } from '../../../src/net/native/libc.ts'
import { MemoryAddresses } from '../../../src/net/native/memory-addresses.ts'

t.test('the address of any view is where its bytes are', async (t) => {
  const koffi = (await import('koffi')).default
  const addresses = new MemoryAddresses(await loadLibc())
  const large = Buffer.alloc(100_000)
  const views = [large, large.subarray(70_000), new Uint8Array(9), Buffer.from('pooled'), large.subarray(5, 6), new Uint8Array(new SharedArrayBuffer(64), 8)]
  for (const [i, view] of views.entries()) {
    view[0] = i + 1
    t.equal(koffi.decode(BigInt(addresses.of(view)), 'uint8_t'), i + 1)
  }
  t.equal(addresses.of(large.subarray(10)) - addresses.of(large), 10)
})

t.test('each memory is asked for once', async (t) => {
  let asked = 0
  const addresses = new MemoryAddresses({ address: (view) => { asked++; return 1000 * asked + view.byteOffset } })
  const [a, b] = [new Uint8Array(100), new Uint8Array(100)]
  t.equal(addresses.of(a.subarray(10)), 1010)
  t.equal(addresses.of(b.subarray(20)), 2020)
  t.equal(addresses.of(a.subarray(30)), 1030)
  t.equal(addresses.of(b), 2000)
  t.equal(asked, 2)
  const many = Array.from({ length: 9 }, () => new Uint8Array(100))
  for (const round of [1, 2]) for (const [i, view] of many.entries()) t.equal(addresses.of(view.subarray(round)), 1000 * (i + 3) + round)
  t.equal(addresses.of(a), 1000)
  t.equal(asked, 11)
  t.equal(addresses.of(new Uint8Array(0)), 0)
})

import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { HostBitmap } from '../../../src/nodes/candy/relay/host-bitmap.ts'

t.test('fills up in order, whatever the size', async (t) => {
  for (const size of [4, 8, 31, 32, 33, 64, 1024, 1025, 4096]) {
    const hosts = new HostBitmap(size)
    for (let expected = 0; expected < size; expected++) {
      deepEqual(hosts.nextFree(0), expected)
      hosts.set(expected, true)
    }
    t.equal(hosts.nextFree(0), undefined, `${size} are taken`)
    hosts.set(size - 1, false)
    t.equal(hosts.nextFree(0), size - 1, 'the last one is free again')
    t.equal(hosts.nextFree(size), undefined, 'nothing behind it')
  }
})

t.test('finds the one hole of a /8', async (t) => {
  const size = 2 ** 24
  const hosts = new HostBitmap(size)
  for (let host = 0; host < size; host++) hosts.set(host, true)
  for (const hole of [0, 1, 31, 32, 1023, 1024, 2 ** 20 - 1, 12_345_678, size - 1]) {
    hosts.set(hole, false)
    t.equal(hosts.nextFree(0), hole)
    t.equal(hosts.nextFree(hole), hole)
    t.equal(hosts.nextFree(hole + 1), undefined)
    hosts.set(hole, true)
  }
})

t.test('property: it agrees with a plain array', async () => {
  const change = fc.tuple(fc.nat(1199), fc.boolean(), fc.nat(1200))
  fc.assert(fc.property(fc.constantFrom(4, 70, 1200), fc.boolean(), fc.array(change, { maxLength: 200 }), (size, full, changes) => {
    const hosts = new HostBitmap(size)
    const plain = new Array<boolean>(size).fill(full)
    if (full) plain.forEach((_, host) => { hosts.set(host, true) })
    for (const [host, taken, from] of changes) {
      hosts.set(host % size, taken)
      plain[host % size] = taken
      deepEqual(hosts.has(host % size), taken)
      const expected = plain.indexOf(false, from)
      deepEqual(hosts.nextFree(from), expected < 0 ? undefined : expected)
    }
  }))
})

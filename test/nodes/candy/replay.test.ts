import t from 'tap'
import { randomBytes } from 'node:crypto'
import { ReplayGuard } from '../../../src/nodes/candy/relay/replay.ts'

const MINUTE = 60_000

t.test('a proof belongs to its first source for as long as it can be valid', async (t) => {
  const guard = new ReplayGuard()
  for (const first of [0, 5 * MINUTE, 9 * MINUTE, 23 * MINUTE]) { // wherever in a window it begins
    const hash = randomBytes(32)
    t.equal(guard.isReplayed(hash, 'a', first), false)
    for (const minutes of [0, 3, 6, 9.99]) {
      t.equal(guard.isReplayed(hash, 'a', first + minutes * MINUTE), false, 'the source itself')
      t.equal(guard.isReplayed(hash, 'b', first + minutes * MINUTE), true, `another one after ${minutes} minutes`)
    }
  }
})

t.test('it is forgotten afterwards', async (t) => {
  const guard = new ReplayGuard()
  for (let i = 0; i < 100; i++) guard.isReplayed(randomBytes(32), 'a', i)
  t.equal(guard.size, 100)
  guard.isReplayed(randomBytes(32), 'a', 10 * MINUTE)
  guard.isReplayed(randomBytes(32), 'a', 20 * MINUTE)
  t.equal(guard.size, 2)
  guard.isReplayed(randomBytes(32), 'a', 60 * MINUTE)
  t.equal(guard.size, 1, 'also when nothing has happened for long')
})

t.test('memory is bounded', async (t) => {
  const guard = new ReplayGuard(10)
  const hashes = Array.from({ length: 11 }, () => randomBytes(32))
  for (const hash of hashes) guard.isReplayed(hash, 'a', 0)
  t.equal(guard.size, 10)
  t.equal(guard.isReplayed(hashes[10], 'b', 0), true)
  t.equal(guard.isReplayed(hashes[1], 'b', 0), true)
  t.equal(guard.isReplayed(hashes[0], 'b', 0), false, 'the oldest is forgotten')
})

t.test('what it is given may change afterwards', async (t) => {
  const guard = new ReplayGuard()
  const hash = randomBytes(32)
  const copy = Buffer.from(hash)
  guard.isReplayed(hash, 'a', 0)
  hash.fill(0)
  t.equal(guard.isReplayed(copy, 'b', 0), true)
})

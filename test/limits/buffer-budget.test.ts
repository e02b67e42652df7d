/** What many bridges hold together: counted, bounded, and taken from those that hold most and stand still. */
import t, { type Test } from 'tap'
import fc from 'fast-check'
import { bridge } from '../../src/streams/bridge.ts'
import { BufferBudget, type BridgeAccount } from '../../src/limits/buffer-budget.ts'
import { memoryPair, tcp } from '../../src/transports/index.ts'
import { systemClock } from '../../src/streams/clock.ts'
import { ManualClock } from '../helpers/clock.ts'
import { bytes, open, standstill, turn } from '../helpers/ends.ts'
import type { Batch, Link } from '../../src/types.ts'

const MIB = 1024 * 1024

/** A budget with a clock that stands still. */
function still (limit: number, stalledAfter = 1000): { budget: BufferBudget, clock: { now: number }, ended: string[], open: (owner: string, name: string) => BridgeAccount } {
  const clock = { now: 0 }
  const budget = new BufferBudget({ limit, stalledAfter, clock: { ...systemClock, now: () => clock.now } })
  const ended: string[] = []
  return { budget, clock, ended, open: (owner, name) => budget.open(owner, () => { ended.push(name) }) }
}

t.test('one bridge alone reads as far ahead as it may, many read less, and too many read nothing ahead', async (t) => {
  const { budget, open } = still(256 * MIB)
  const all: BridgeAccount[] = []
  const ahead = (): number => Math.min(256 * 1024, all[0].forward.limit)
  for (const [count, expected] of [[1, 256 * 1024], [64, 256 * 1024], [512, 32 * 1024], [1024, 16 * 1024], [1025, 0]]) {
    while (all.length < count) {
      const account = open('home', '')
      account.forward.writing(1)
      all.push(account)
    }
    t.equal(ahead(), expected, `${count}`)
  }
  const other = open('office', '')
  other.backward.writing(1)
  t.ok(other.backward.limit >= 256 * 1024, 'what one owner has shrinks for itself')
  for (const account of all.slice(1)) account.close()
  t.equal(ahead(), 256 * 1024)
  t.equal(budget.held, 2)
})

t.test('what the system may take of a write becomes less with what may be read ahead, down to a least', async (t) => {
  for (const [count, expected] of [[1, MIB], [64, 256 * 1024], [512, 32 * 1024], [1100, 32 * 1024]]) {
    const { open } = still(256 * MIB)
    const all = Array.from({ length: count }, () => open('home', ''))
    for (const account of all) account.forward.writing(1)
    t.equal(all[0].unsent, expected, `${count}`)
  }
})

t.test('beyond the limit the one that has stood still longest is ended, and none that goes on', async (t) => {
  const { budget, clock, ended, open } = still(100)
  const [first, second, third] = ['first', 'second', 'third'].map((name) => open('home', name))
  for (const account of [first, second, third]) {
    account.forward.writing(40)
    clock.now += 100
  }
  budget.relieve()
  t.same(ended, [], 'nobody stands still yet')
  clock.now = 900
  first.forward.writing(0)
  first.forward.writing(40)
  clock.now = 1150
  budget.relieve()
  t.same(ended, ['second'], 'the first one has gone on since')
  t.equal(budget.held, 80)
  clock.now = 10_000
  budget.relieve()
  t.same(ended, ['second'], 'within the limit nobody is')
  budget.limit = 70
  budget.relieve()
  t.same(ended, ['second', 'third'])
  second.forward.writing(1000)
  t.equal(budget.held, 40, 'what a closed one tells does not count')
})

t.test('a receiver that takes some of a write now and then does not stand still, however long the write lasts', async (t) => {
  const { budget, clock, ended, open } = still(100)
  const taken = { dead: 0, slow: 0 }
  const [dead, slow] = (['dead', 'slow'] as const).map((name) => {
    const account = open('home', name)
    account.forward.target = { delivery: () => ({ acknowledged: taken[name], isUnanswered: false }) }
    return account
  })
  for (const account of [slow, dead]) { // the slow one has begun first
    account.forward.writing(100)
    clock.now += 10
  }
  for (let step = 0; step < 5; step++) {
    taken.slow += 1
    budget.relieve()
    clock.now += 300
  }
  t.same(ended, ['dead'])
  dead.close()
  slow.backward.writing(100)
  for (let step = 0; step < 10; step++) {
    taken.slow += 1
    budget.relieve()
    clock.now += 300
  }
  t.same(ended, ['dead', 'slow'], 'the other direction does')
})

t.test('a write that is older than the time, and goes on, is not taken for one that stands still at the first look', async (t) => {
  const { budget, clock, ended, open } = still(100)
  let acknowledged = 0
  const account = open('home', 'slow')
  account.forward.target = { delivery: () => ({ acknowledged, isUnanswered: false }) }
  account.forward.writing(80)
  clock.now = 5000
  open('home', 'other').forward.writing(80)
  for (let look = 0; look < 5; look++) {
    budget.relieve()
    acknowledged++
    clock.now += 300
  }
  t.same(ended, ['other'])
})

t.test('of those that stand still as long, as far as is known, the newest are ended first', async (t) => {
  const { budget, clock, ended, open } = still(250)
  for (const name of ['first', 'second', 'third']) {
    const account = open('home', name)
    account.forward.target = { delivery: () => ({ acknowledged: 0, isUnanswered: false }) }
    account.forward.writing(100)
    clock.now += 100
  }
  budget.relieve()
  clock.now += 1000
  budget.relieve()
  t.same(ended, ['third'])
})

t.test('every owner beyond its share is cut down to it at one look, and no further than needed', async (t) => {
  const { budget, clock, ended, open } = still(1000)
  for (const [owner, count] of [['home', 12], ['office', 8]] as const) for (let i = 0; i < count; i++) open(owner, owner).forward.writing(100)
  open('patient', 'patient').forward.writing(10)
  clock.now = 5000
  budget.relieve()
  t.same([budget.heldBy('home'), budget.heldBy('office'), budget.heldBy('patient')], [300, 600, 10], 'a third is 333')
  t.same(ended.length, 11)
})

t.test('a direction that goes on does not hide one that stands still', async (t) => {
  const { budget, clock, ended, open } = still(100)
  const account = open('home', 'one')
  account.backward.writing(150)
  clock.now = 5000
  account.forward.writing(10)
  budget.relieve()
  t.same(ended, ['one'])
})

t.test('those of the owner who holds most are ended, however long others stand still', async (t) => {
  const { budget, clock, ended, open } = still(1000)
  open('office', 'patient').forward.writing(400)
  clock.now = 5000
  for (let i = 0; i < 4; i++) open('home', `home ${i}`).backward.writing(300)
  clock.now = 10_000
  budget.relieve()
  t.same(ended, ['home 3', 'home 2'])
  t.same([budget.heldBy('home'), budget.heldBy('office')], [600, 400])
})

t.test('when all of an owner go on, its read-ahead is nothing, and nobody with less than a share pays for it', async (t) => {
  const { budget, clock, ended, open } = still(64 * MIB)
  const patient = open('office', 'patient')
  patient.forward.writing(MIB)
  clock.now = 10_000
  const busy = open('home', 'busy')
  busy.forward.writing(80 * MIB)
  budget.relieve()
  t.same(ended, [])
  t.equal(busy.forward.limit, 0)
  t.ok(patient.forward.limit > 0)
})

t.test('it looks by itself', async (t) => {
  const ended: string[] = []
  const clock = new ManualClock()
  const budget = new BufferBudget({ limit: 10, stalledAfter: 10_000, clock })
  const accounts = ['one', 'two'].map((name) => budget.open(name, () => { ended.push(name) }))
  accounts[0].forward.waiting(3)
  accounts[1].forward.writing(8)
  t.same(clock.holding, [], 'which keeps no process alive')
  clock.advance(9999)
  t.same(ended, [])
  clock.advance(1)
  t.same(ended, ['two'], 'as soon as it has stood still for long enough')
  t.equal(budget.held, 3)
  clock.advance(1000)
  t.same(clock.waiting, [], 'and no longer than there is too much')
})

t.test('a limit that cannot be', async (t) => {
  for (const limit of [0, -1, 1.5, NaN]) t.throws(() => new BufferBudget({ limit, stalledAfter: 1000 }), { code: 'ERR_OPTION' })
})

t.test('property: what is held is the sum of what was told last, by owner and in all', async (t) => {
  const step = fc.record({ bridge: fc.nat(5), way: fc.constantFrom('forward' as const, 'backward' as const), tell: fc.constantFrom('waiting' as const, 'writing' as const, 'close' as const), bytes: fc.nat(1000) })
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
    const { budget, open } = still(1e9)
    const owners = ['a', 'a', 'a', 'b', 'b', 'c']
    const accounts = owners.map((owner) => open(owner, ''))
    const told = owners.map(() => new Map<string, number>())
    const closed = new Set<number>()
    for (const { bridge, way, tell, bytes } of steps) {
      if (tell === 'close') {
        accounts[bridge].close()
        closed.add(bridge)
      } else {
        accounts[bridge][way][tell](bytes)
        told[bridge].set(way + tell, bytes)
      }
      const sums = told.map((all, i) => closed.has(i) ? 0 : [...all.values()].reduce((sum, bytes) => sum + bytes, 0))
      const of = (owner: string): number => sums.reduce((sum, bytes, i) => sum + (owners[i] === owner ? bytes : 0), 0)
      t.equal(budget.held, of('a') + of('b') + of('c'))
      for (const owner of ['a', 'b', 'c']) if (budget.heldBy(owner) !== of(owner)) t.fail(`${owner} holds ${budget.heldBy(owner)}, not ${of(owner)}`)
      if (budget.busyOwners !== ['a', 'b', 'c'].filter((owner) => of(owner) > 0).length) t.fail(`${budget.busyOwners} owners are busy`)
    }
    for (const account of accounts) account.close()
    t.same([budget.held, budget.busyOwners], [0, 0])
  }), { numRuns: 100 })
})

interface Bridged {
  ends: [Link, Link]
  over: Promise<unknown>
}

async function bridged (t: Test, kind: 'memory' | 'tcp', budget: BufferBudget): Promise<Bridged> {
  const pair = async (): Promise<[Link, Link]> => {
    if (kind === 'memory') return memoryPair()
    const { client, server } = await open(t, tcp)
    return [client, server]
  }
  const [[user, a], [service, b]] = [await pair(), await pair()]
  return { ends: [user, service], over: bridge(a, b, { account: budget.open(kind, () => {}) }).catch(() => {}) }
}

t.test('property: whatever bridges carry, and however they end, nothing is held in the end', async (t) => {
  const use = fc.record({ kind: fc.constantFrom('memory' as const, 'tcp' as const), writes: fc.array(fc.tuple(fc.nat(1), fc.nat(300_000)), { maxLength: 8 }), reads: fc.tuple(fc.boolean(), fc.boolean()), abort: fc.option(fc.nat(1)) })
  await fc.assert(fc.asyncProperty(fc.array(use, { minLength: 1, maxLength: 3 }), fc.constantFrom(1000, MIB, 256 * MIB), async (uses, limit) => {
    const budget = new BufferBudget({ limit, stalledAfter: 60_000 })
    const all = await Promise.all(uses.map(async ({ kind, writes, reads, abort }) => {
      const { ends, over } = await bridged(t, kind, budget)
      for (const [who, size] of writes) ends[who].port.send([bytes(size)])
      async function * nothing (): AsyncGenerator<Batch> {}
      const drained = ends.map(async ({ source }, i) => { if (reads[i] || abort === null) for await (const batch of source) void batch })
      for (let turns = 0; turns < 20; turns++) await turn()
      if (abort === null) for (const end of ends) void end.sink(nothing()).catch(() => {})
      else ends[abort].abort(new Error('enough'))
      if (abort !== null) ends[1 - abort].abort(new Error('enough'))
      await Promise.allSettled([...drained, over])
    }))
    t.equal(all.length, uses.length)
    t.same([budget.held, budget.busyOwners], [0, 0])
  }), { numRuns: 40 })
})

for (const kind of ['memory', 'tcp'] as const) {
  t.test(`${kind}: a bridge whose receiver does not read holds little when little may wait, and goes on when it reads`, async (t) => {
    const held: number[] = []
    for (const limit of [MIB / 64, 256 * MIB]) {
      const budget = new BufferBudget({ limit, stalledAfter: 600_000 })
      const { ends: [user, service], over } = await bridged(t, kind, budget)
      let pulled = 0
      async function * flood (): AsyncGenerator<Batch> { for (; pulled < 400; pulled++) yield [bytes(65_536, pulled)] }
      const writing = service.sink(flood())
      await standstill(() => pulled)
      held.push(budget.held)
      let at = 0
      let wrong = 0
      void user.sink((async function * (): AsyncGenerator<Batch> {})())
      const atService = (async () => { for await (const batch of service.source) void batch })()
      for await (const batch of user.source) {
        for (const part of batch) {
          for (let i = 0; i < part.length; i += 4096) if (part[i] !== ((at + i) >> 16 & 0xff)) wrong++
          at += part.length
        }
      }
      t.same([at, wrong], [400 * 65_536, 0])
      await Promise.all([writing, atService, over])
      t.equal(budget.held, 0)
    }
    t.ok(held[0] > 0 && held[0] <= 80 * 1024, `${held[0]} bytes with a small budget`)
    t.ok(held[1] > 2 * held[0], `${held[1]} bytes with a large one`)
  })
}

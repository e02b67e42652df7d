/** Who gets the next data connection, against a plain list. */
import fc from 'fast-check'
import t from 'tap'
import { Requests, type Request } from '../../../src/nodes/gotunnel/relay/requests.ts'

t.test('first in, first out', async (t) => {
  const requests = new Requests<string>(10)
  for (const [i, user] of ['a', 'b', 'c'].entries()) t.match(requests.add(user, i), { user, since: i, isCancelled: false })
  t.same([requests.waiting, requests.size], [3, 3])
  t.same(['a', 'b', 'c'].map(() => requests.claim()?.user), ['a', 'b', 'c'])
  t.equal(requests.claim(), undefined)
  t.same([requests.waiting, requests.size], [0, 0])
})

t.test('an id finds its request in any order, once', async (t) => {
  const requests = new Requests<string>(10)
  const [a, b, c] = ['a', 'b', 'c'].map((user) => requests.add(user, 0) as Request<string>)
  t.equal(requests.claim(b.id), b)
  t.equal(requests.claim(b.id), undefined, 'nobody gets it again')
  t.equal(requests.claim(c.id), c)
  for (const id of ['', 'x', '__proto__', `${a.id} `, a.id.toUpperCase() === a.id ? 'y' : a.id.toUpperCase()]) t.equal(requests.claim(id), undefined, id)
  t.equal(requests.claim(), a)
})

t.test('ids are 128 bits that nobody can guess', async (t) => {
  const requests = new Requests<number>(10_000)
  const ids = Array.from({ length: 10_000 }, (_, i) => (requests.add(i, 0) as Request<number>).id)
  t.equal(new Set(ids).size, ids.length)
  t.ok(ids.every((id) => /^[\w-]{22}$/.test(id)))
  const ones = Array<number>(128).fill(0)
  for (const id of ids) {
    const bytes = Buffer.from(id, 'base64url')
    for (let bit = 0; bit < 128; bit++) ones[bit] += bytes[bit >> 3] >> (bit & 7) & 1
  }
  t.ok(ones.every((count) => count > 4600 && count < 5400), 'each bit is one half of the time') // eight standard deviations
  const renewed = requests.renew().map(({ id }) => id)
  t.equal(new Set([...ids, ...renewed]).size, 20_000)
})

t.test('T12: a user that is gone keeps its place in the line, so that its data connection goes to nobody else', async (t) => {
  const requests = new Requests<string>(10)
  const [a, b] = ['a', 'b'].map((user) => requests.add(user, 0) as Request<string>)
  requests.cancel(a)
  t.same([requests.waiting, requests.size, a.isCancelled], [1, 2, true])
  requests.cancel(a)
  t.equal(requests.waiting, 1, 'once')
  t.match(requests.claim(), { user: 'a', isCancelled: true })
  t.equal(requests.claim(), b)
  requests.cancel(b)
  t.same([requests.waiting, requests.size, b.isCancelled], [0, 0, false], 'whoever was served waits no more')
})

t.test('T13: those whose time is over leave the line, and a late data connection finds nobody', async (t) => {
  const requests = new Requests<string>(10)
  const [a, b, c] = [0, 10, 20].map((now) => requests.add(`at ${now}`, now) as Request<string>)
  requests.cancel(a)
  t.same(requests.expire(-1), [])
  t.same(requests.expire(10), [b], 'without the one that is void')
  t.same([requests.waiting, requests.size], [1, 1])
  for (const { id } of [a, b]) t.equal(requests.claim(id), undefined)
  t.same(requests.expire(1000), [c])
  t.equal(requests.claim(), undefined)
})

t.test('asked again, under other ids', async (t) => {
  const requests = new Requests<string>(10)
  const all = ['a', 'b', 'c'].map((user, i) => requests.add(user, i) as Request<string>)
  const ids = all.map(({ id }) => id)
  requests.cancel(all[1])
  t.same(requests.renew(), [all[0], all[2]], 'those that wait, in their order')
  t.same([requests.waiting, requests.size], [2, 2])
  for (const id of ids) t.equal(requests.claim(id), undefined, 'the old ones are worth nothing')
  t.equal(requests.claim(all[2].id), all[2])
  t.same(requests.expire(0), [all[0]], 'they have waited since they came')
  t.same(new Requests(1).renew(), [])
})

t.test('no more wait than may, and the void ones have a bound as well', async (t) => {
  const requests = new Requests<number>(3)
  for (let i = 0; i < 3; i++) requests.add(i, i)
  t.equal(requests.add(3, 3), undefined)
  t.same([requests.waiting, requests.size], [3, 3])
  t.match(requests.claim(), { user: 0 })
  t.match(requests.add(4, 4), { user: 4 }, 'there is room again')
  for (let i = 5; i < 1000; i++) {
    const [oldest] = requests.renew()
    requests.cancel(oldest)
    t.ok(requests.add(i, i) !== undefined && requests.size <= 6 && requests.waiting === 3)
  }
  const crowd = new Requests<number>(3)
  const first = crowd.add(0, 0) as Request<number>
  for (let i = 1; i < 100; i++) crowd.cancel(crowd.add(i, i) as Request<number>)
  t.equal(crowd.size, 6)
  t.equal(crowd.claim(), first, 'who still waits is never forgotten for one of them')
  t.equal(new Requests<number>(0).add(0, 0), undefined)
})

type Operation =
  | ['add', wait: number]
  | ['claim']
  | ['claimId' | 'giveUp', which: number]
  | ['expire', ago: number]
  | ['renew']

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant('add' as const), fc.nat(10)) },
  { weight: 2, arbitrary: fc.constant<Operation>(['claim']) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('claimId' as const), fc.nat(1000)) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('giveUp' as const), fc.nat(1000)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('expire' as const), fc.nat(40)) },
  { weight: 1, arbitrary: fc.constant<Operation>(['renew']) }
)

/** A request as the model knows it. */
interface Entry {
  request: Request<number>
  isCancelled: boolean
}

t.test('property: it does what a plain list does', async (t) => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 5 }), fc.array(operation, { maxLength: 80 }), (limit, operations) => {
    const requests = new Requests<number>(limit)
    let line: Entry[] = []
    const ever: Array<Request<number>> = []
    const ids: string[] = [] // all that there ever were
    const handedOut = new Set<number>()
    let now = 0
    const waiting = (): Entry[] => line.filter(({ isCancelled }) => !isCancelled)
    const equal = (a: unknown, b: unknown, what: string): void => { if (a !== b) throw new Error(`${what}: ${String(a)}, not ${String(b)}`) }
    const take = (claimed: Request<number> | undefined, expected: Entry | undefined): void => {
      equal(claimed, expected?.request, 'claimed')
      if (claimed === undefined || expected === undefined) return
      equal(claimed.isCancelled, expected.isCancelled, 'void')
      if (handedOut.has(claimed.user)) throw new Error('handed out twice')
      handedOut.add(claimed.user)
      line = line.filter((entry) => entry !== expected)
    }
    for (const [name, number] of operations) {
      if (name === 'add') {
        now += number
        const request = requests.add(ever.length, now)
        equal(request !== undefined, waiting().length < limit, 'added')
        if (request === undefined) continue
        if (line.length >= 2 * limit) line.splice(line.findIndex(({ isCancelled }) => isCancelled), 1)
        equal(request.since, now, 'since')
        equal(ids.includes(request.id), false, 'an id that there was')
        line.push({ request, isCancelled: false })
        ever.push(request)
        ids.push(request.id)
      } else if (name === 'claim') {
        take(requests.claim(), line[0])
      } else if (name === 'claimId') {
        const id = ids[number % ids.length] ?? 'none'
        take(requests.claim(id), line.find(({ request }) => request.id === id))
      } else if (name === 'giveUp' && ever.length > 0) {
        const request = ever[number % ever.length]
        requests.cancel(request)
        for (const entry of line) if (entry.request === request) entry.isCancelled = true
      } else if (name === 'expire') {
        const before = now - number
        const expected = line.filter(({ request, isCancelled }) => request.since <= before && !isCancelled)
        const expired = requests.expire(before)
        equal(expired.length, expected.length, 'expired')
        for (const [i, { request }] of expected.entries()) {
          equal(expired[i], request, 'expired, in order')
          if (handedOut.has(request.user)) throw new Error('expired and handed out')
          handedOut.add(request.user)
        }
        line = line.filter(({ request }) => request.since > before)
      } else if (name === 'renew') {
        line = waiting()
        const renewed = requests.renew()
        equal(renewed.length, line.length, 'renewed')
        for (const [i, { request }] of line.entries()) {
          equal(renewed[i], request, 'renewed, in order')
          equal(ids.includes(request.id), false, 'the old id')
          ids.push(request.id)
        }
      }
      equal(requests.waiting, waiting().length, 'waiting')
      equal(requests.size, line.length, 'size')
      if (requests.size > 2 * limit) throw new Error('the line grows')
    }
  }), { numRuns: 1000 })
  t.pass()
})

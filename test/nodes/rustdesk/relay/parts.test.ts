/** The parts of a relay by themselves: its tables, lists, limits, and the commands of its console (RustDesk protocol, section 5). */
import fc from 'fast-check'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ManualClock } from '../../../helpers/clock.ts'
import { failureOf } from '../../../helpers/ends.ts'
import { AddressList } from '../../../../src/nodes/rustdesk/relay/address-list.ts'
import { Bandwidth, MEGABIT, PairBandwidth } from '../../../../src/nodes/rustdesk/relay/bandwidth.ts'
import { runCommand, type ConsoleTarget } from '../../../../src/nodes/rustdesk/relay/console.ts'
import type { RelayPeer } from '../../../../src/nodes/rustdesk/relay/ends.ts'
import { EarlySource } from '../../../../src/nodes/rustdesk/relay/early-source.ts'
import type { Pair } from '../../../../src/nodes/rustdesk/relay/pair.ts'
import { PendingTable } from '../../../../src/nodes/rustdesk/relay/pending.ts'
import { readRelay } from '../../../../src/nodes/rustdesk/relay/settings.ts'
import { Usage } from '../../../../src/nodes/rustdesk/relay/usage.ts'
import { Waiting } from '../../../../src/nodes/rustdesk/relay/waiting.ts'
import type { ConnectionSlot } from '../../../../src/limits/connection-limiter.ts'
import { AsyncQueue } from '../../../../src/streams/async-queue.ts'

t.test('the table of those who wait: whatever is done, its bounds hold and an entry is removed by its owner alone', async (t) => {
  const action = fc.record({ what: fc.constantFrom('add', 'take', 'remove'), uuid: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), source: fc.constantFrom('x', 'y') })
  fc.assert(fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
    const table = new PendingTable<number>({ maxPending: 4, maxPendingPerSource: 3 })
    const model = new Map<string, { source: string, peer: number }>()
    const entries: Array<NonNullable<ReturnType<typeof table.add>>> = []
    for (const [peer, { what, uuid, source }] of actions.entries()) {
      const isFull = [...model.values()].filter((one) => one.source === source).length >= 3
      if (what === 'add') {
        const entry = table.add(uuid, source, peer)
        if (isFull || model.has(uuid)) { if (entry !== undefined) return false } else {
          if (entry === undefined) return false
          entries.push(entry)
          model.set(uuid, { source, peer })
        }
        const { surplus } = table
        if ((surplus !== undefined) !== (model.size > 4)) return false
        if (surplus !== undefined) {
          const [[oldest, { peer }]] = model
          if (peer !== surplus) return false
          table.take(oldest)
          model.delete(oldest)
        }
      } else if (what === 'take') {
        if (table.take(uuid) !== model.get(uuid)?.peer) return false
        model.delete(uuid)
      } else {
        const entry = entries[peer % Math.max(1, entries.length)]
        if (entry === undefined) continue
        table.remove(entry)
        if (model.get(entry.uuid)?.peer === entry.peer) model.delete(entry.uuid)
      }
      if (table.size !== model.size) return false
    }
    return true
  }))
})

t.test('early bytes: kept up to a bound, in order, also one that is being read', async (t) => {
  const from = new AsyncQueue()
  const early = new EarlySource(from, [Buffer.from('a')])
  const sizes: number[] = []
  const watching = early.watch(772, (size) => { sizes.push(size) })
  for (const text of ['b', 'cd', 'e']) {
    from.push(Buffer.from(text))
    await new Promise(setImmediate)
  }
  t.equal(await watching, false, 'not at its end, but full')
  t.same([sizes, early.size], [[2 + 2 * 256, 4 + 3 * 256], 4 + 3 * 256], 'each with what its object takes')
  early.take()
  let heard = ''
  from.end()
  for await (const batch of early) heard += Buffer.concat(batch).toString()
  t.equal(heard, 'abcde')

  const other = new AsyncQueue()
  const taken = new EarlySource(other)
  const ended = taken.watch(1000)
  taken.take()
  const next = taken.next()
  other.push(Buffer.from('x'))
  t.match(await next, { done: false, value: [Buffer.from('x')] })
  t.equal(await ended, false)

  for (const end of [(queue: AsyncQueue) => { queue.end() }, (queue: AsyncQueue) => { queue.fail(new Error('broken')) }]) {
    const queue = new AsyncQueue()
    const left = new EarlySource(queue).watch(1000)
    end(queue)
    t.equal(await left, true)
  }
})

t.test('when all together have sent too much, the next one that sends more than clients do is ended', async (t) => {
  const total = { held: 0 }
  const clock = new ManualClock()
  const wait = (): { queue: AsyncQueue, waiting: Waiting, outcome: ReturnType<Waiting['until']> } => {
    const queue = new AsyncQueue()
    const waiting = new Waiting({ early: new EarlySource(queue, [new Uint8Array(10)]) } as unknown as RelayPeer, {} as ConnectionSlot, total)
    return { queue, waiting, outcome: waiting.until(clock, 1000) }
  }
  const [modest, greedy] = [wait(), wait()]
  t.equal(total.held, 2 * (10 + 256))
  total.held += 32 * 1024 * 1024
  modest.queue.push(new Uint8Array(500))
  greedy.queue.push(new Uint8Array(2000))
  t.equal(await greedy.outcome, 'pending')
  modest.queue.end()
  t.equal(await modest.outcome, 'left')
  t.equal(total.held, 32 * 1024 * 1024)
})

t.test('a list of addresses follows its file, and keeps what was changed by hand', async (t) => {
  const path = join(t.testdir({ 'list.txt': '192.0.2.1 a comment\r\n\n::ffff:192.0.2.2\n2001:DB8::1\n' }), 'list.txt')
  const list = new AddressList(path)
  await list.refresh()
  t.same([...list], ['192.0.2.1', '192.0.2.2', '2001:db8::1'])
  t.ok(list.has('::ffff:192.0.2.1'))
  t.ok(list.has('192.0.2.2'))
  list.add('::ffff:198.51.100.7')
  list.remove('192.0.2.2')
  const { version } = list
  await list.refresh()
  t.equal(list.version, version, 'the file has not changed')
  await writeFile(path, '192.0.2.2\n192.0.2.3\n192.0.2.30\n')
  await list.refresh()
  t.same([...list], ['198.51.100.7', '192.0.2.3', '192.0.2.30'])
  await rm(path)
  await list.refresh()
  t.same([...list], ['198.51.100.7'])
  list.clear()
  t.equal(list.size, 0)
  for (const host of ['', 'x'.repeat(65)]) list.add(host)
  t.equal(list.size, 0)
  await new AddressList().refresh()
  t.match(await failureOf(new AddressList(`${path}\0`).refresh()), { code: 'ERR_INVALID_ARG_VALUE' })
})

const speeds = (init = {}) => readRelay(init).speeds

t.test('37: a pair has its bandwidth to 5 percent over 5 s, all pairs have the total, a slowed one has less', async (t) => {
  const flood = async (pairs: number, init: object, prepare: (pair: PairBandwidth) => void = () => {}): Promise<number> => {
    const clock = new ManualClock()
    const all = new Bandwidth(speeds(init), clock)
    let bytes = 0
    for (let i = 0; i < pairs; i++) {
      const pair = new PairBandwidth(all)
      prepare(pair)
      void (async () => {
        for (;;) {
          await pair.wait(65_536)
          bytes += 65_536
          await null
        }
      })()
    }
    await clock.pass(5000)
    return bytes * 8 / MEGABIT / 5
  }
  const about = (found: number, expected: number): void => { t.ok(Math.abs(found / expected - 1) < 0.05, `${found} Mb/s of ${expected}`) }
  about(await flood(1, {}), 128)
  about(await flood(3, { singleBandwidth: 64, totalBandwidth: 128 }), 128)
  about(await flood(1, {}, (pair) => { pair.isListed = true }), 32)
  about(await flood(1, {}, (pair) => { pair.check(1_800_001, 2 ** 36) }), 32)
  about(await flood(1, {}, (pair) => { pair.check(1_800_000, 2 ** 36) }), 128)
})

t.test('a pair is slowed for good once it has used more than its share for long enough', async (t) => {
  const pair = new PairBandwidth(new Bandwidth(speeds({ singleBandwidth: 1, downgradeThreshold: 0.5, downgradeStartCheck: 10_000 }), new ManualClock()))
  const share = Math.trunc(MEGABIT * 0.5 / 1000) / 8 // bytes a millisecond
  pair.check(10_000, 1e9)
  t.equal(pair.isDowngraded, false, 'not yet')
  pair.check(10_001, 10_001 * share)
  t.equal(pair.isDowngraded, false, 'not more')
  pair.check(10_001, 10_001 * share + 1)
  t.equal(pair.isDowngraded, true)
  pair.check(20_000, 0)
  t.equal(pair.isDowngraded, true)
})

t.test('commands of the console', async (t) => {
  const target = { blacklist: new AddressList(), blocklist: new AddressList(), bandwidth: new Bandwidth(speeds(), new ManualClock()), pairs: [] as Pair[] } satisfies ConsoleTarget
  const run = (line: string): string => runCommand(target, line)
  for (const [add, remove, list] of [['ba', 'br', 'b'], ['Ba', 'Br', 'B'], ['blacklist-add', 'blacklist-remove', 'blacklist'], ['blocklist-add', 'blocklist-remove', 'blocklist']]) {
    t.equal(run(`${add} 192.0.2.1|192.0.2.2|::ffff:192.0.2.3\n`), '')
    t.equal(run(list), '192.0.2.1\n192.0.2.2\n192.0.2.3\n')
    t.equal(run(`${list} ::ffff:192.0.2.2`), 'true\n')
    run(`${remove} 192.0.2.2`)
    t.equal(run(`${list} 192.0.2.2`), 'false\n')
    run(`${remove} all`)
    t.equal(run(list), '')
  }
  for (const [name, alias, shown, set, then] of [
    ['downgrade-threshold', 'dt', '0.66', '0.5', '0.5'], ['downgrade-start-check', 't', '1800s', '60', '60s'], ['limit-speed', 'ls', '32Mb/s', '0.5', '0.5Mb/s'],
    ['total-bandwidth', 'tb', '1024Mb/s', '2048', '2048Mb/s'], ['single-bandwidth', 'sb', '128Mb/s', '16', '16Mb/s']
  ]) {
    for (const word of [name, alias]) t.equal(run(word), `${shown}\n`)
    for (const bad of ['0', '-1', 'x', 'NaN', '1e400', '9'.repeat(30)]) t.equal(run(`${name} ${bad}`), '')
    t.equal(run(alias), `${shown}\n`)
    t.equal(run(`${alias} ${set}`), '')
    t.equal(run(name), `${then}\n`)
  }
  t.equal(target.bandwidth.total.rate, 2048 * MEGABIT / 8, 'at once')
  t.match(run('h'), /^blacklist-add\(ba\) <ip>\n[^]*single-bandwidth\(sb\) \[value\(Mb\/s\)\]\nusage\(u\)\n$/)
  for (const line of ['', 'x', 'constructor', '__proto__ x']) t.equal(run(line), '')

  const pair = (host: string, bytes: number, seconds: number): Pair => {
    const usage = new Usage(0)
    usage.bytes = bytes / 2
    usage.sample(seconds * 500)
    usage.bytes = bytes
    usage.sample(seconds * 1000)
    return { second: { remote: { host, port: 5 } }, usage } as Pair
  }
  target.pairs.push(pair('192.0.2.1', 1_000_000, 10), pair('192.0.2.2', 4_000_000, 20), pair('192.0.2.3', 0, 0))
  t.equal(run('u'), '192.0.2.2:5: 20s 3.81MB 1600kb/s 1600kb/s 1600kb/s\n192.0.2.1:5: 10s 0.95MB 800kb/s 800kb/s 800kb/s\n')
})

t.test('options', async (t) => {
  t.match(readRelay({ singleBandwidth: '0.5', limitSpeed: 1 }), { speeds: { single: MEGABIT / 2, total: 1024 * MEGABIT, limited: MEGABIT }, key: '', maxPendingPerSource: 64 })
  for (const init of [{ singleBandwidth: 0 }, { totalBandwidth: '-1' }, { limitSpeed: 'x' }, { downgradeThreshold: '' }, { maxPending: 0 }]) t.throws(() => readRelay(init), { code: 'ERR_OPTION' })
})

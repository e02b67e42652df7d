/** When a mapping is asked for, asked for again and removed, and what its status says meanwhile. */
import t, { type Test } from 'tap'
import type { PortMappingStatus } from '../../src/nat/index.ts'
import { MappingKeeper } from '../../src/nat/port-mapping/mapping-keeper.ts'
import { failed, readAnswer, type HeldMapping, type MappingAnswer } from '../../src/nat/port-mapping/messages.ts'
import { VirtualClock } from '../../src/streams/virtual-clock.ts'

const MINUTE = 60_000
const EXTERNAL = { host: '203.0.113.7', port: 6000 }
const HELD: HeldMapping = { by: 'nat-pmp', port: 6000, gateway: '192.168.1.1' }
const MAPPED = { state: 'mapped', external: EXTERNAL, by: 'nat-pmp' }

const mapped = (lease = 3600): MappingAnswer => ({ kind: 'mapped', external: EXTERNAL, held: HELD, lease })
const none: MappingAnswer = { kind: 'none', reason: 'no gateway has answered', isGone: false }

interface Kept {
  clock: VirtualClock
  keeper: MappingKeeper
  /** Each request with its time. */
  asked: string[]
  changes: PortMappingStatus[]
}

/** One that has begun. The last answer is given to all further requests; one that is missing comes when its signal is aborted. */
async function kept (t: Test, ...answers: Array<MappingAnswer | undefined>): Promise<Kept> {
  const [clock, asked, changes] = [new VirtualClock(), [] as string[], [] as PortMappingStatus[]]
  const keeper = new MappingKeeper({
    clock,
    timeout: 15_000,
    onChange: (status) => { changes.push(status) },
    async ask (kind, held, signal) {
      asked.push(`${clock.now() / MINUTE} ${kind}${held === undefined ? '' : ` ${held.port}`}`)
      const answer = kind === 'unmap' ? { kind: 'unmapped' } as const : answers.length > 1 ? answers.shift() : answers[0]
      return answer ?? await new Promise((resolve) => { signal.addEventListener('abort', () => { resolve(failed(signal.reason.message)) }) })
    }
  })
  t.teardown(() => keeper.close())
  t.equal(keeper.start(), true)
  t.equal(keeper.start(), false, 'once')
  await clock.pass(0)
  return { clock, keeper, asked, changes }
}

t.test('nothing is asked before the start, nor after the end', async (t) => {
  let asked = 0
  const keeper = new MappingKeeper({ clock: new VirtualClock(), timeout: 1, onChange: undefined, ask: async () => { asked++; return none } })
  await keeper.close()
  t.equal(keeper.start(), false)
  t.same([asked, keeper.status], [0, { state: 'off' }])
})

t.test('a mapping is renewed every 10 minutes, with no change, and removed at the end', async (t) => {
  const { clock, keeper, asked, changes } = await kept(t, mapped())
  t.same(keeper.status, MAPPED)
  await clock.pass(25 * MINUTE)
  t.same(asked, ['0 map', '10 map 6000', '20 map 6000'])
  await keeper.close()
  t.equal(asked.at(-1), '25 unmap 6000')
  t.same(changes.map(({ state }) => state), ['looking', 'mapped', 'off'])
  await clock.pass(60 * MINUTE)
  t.equal(asked.length, 4, 'no timer is left')
})

t.test('one with a short lease is renewed in the middle of it, and not more than twice a minute', async (t) => {
  const { asked, clock } = await kept(t, mapped(240), mapped(1))
  await clock.pass(3 * MINUTE - 1)
  t.same(asked, ['0 map', '2 map 6000', '2.5 map'])
})

t.test('after a failure again after a minute, without a gateway after 10', async (t) => {
  const { clock, keeper, asked, changes } = await kept(t, failed('x'), failed('y'), none, mapped())
  t.same(keeper.status, { state: 'failed', reason: 'x' })
  await clock.pass(2 * MINUTE)
  t.same(keeper.status, { state: 'none', reason: 'no gateway has answered' })
  await clock.pass(10 * MINUTE)
  t.same(asked, ['0 map', '1 map', '2 map', '12 map'])
  t.same(changes.map(({ state }) => state), ['looking', 'failed', 'none', 'mapped'])
})

t.test('a mapping is in the status until its lease has ended', async (t) => {
  for (const [name, answer] of [['failed', failed('busy')], ['none', none]] as const) {
    await t.test(`a renewal: ${name}`, async (t) => {
      const { clock, keeper, asked, changes } = await kept(t, mapped(), answer, mapped(), answer)
      await clock.pass(10 * MINUTE)
      t.same(keeper.status, { ...MAPPED, reason: name === 'failed' ? 'busy' : 'no gateway has answered' })
      await clock.pass(MINUTE)
      t.same(keeper.status, MAPPED, 'renewed a minute later')
      await clock.pass(60 * MINUTE - 1)
      t.match(keeper.status, MAPPED)
      t.equal(asked.at(-1), '70 map 6000')
      await clock.pass(1)
      t.match(keeper.status, { state: name, external: undefined })
      t.same(changes.map(({ state }) => state).slice(0, 3), ['looking', 'mapped', 'failed'])
      await keeper.close()
      t.notMatch(asked.at(-1), 'unmap')
    })
  }
})

t.test('a mapping that the gateway has no more leaves the status at once', async (t) => {
  const { clock, keeper } = await kept(t, mapped(), { kind: 'none', reason: 'double NAT', isGone: true })
  await clock.pass(10 * MINUTE)
  t.same(keeper.status, { state: 'none', reason: 'double NAT' })
})

t.test('an attempt without an answer ends by the clock', async (t) => {
  const { clock, keeper, asked } = await kept(t, undefined)
  await clock.pass(15_000)
  t.same(keeper.status, { state: 'failed', reason: 'no result within 15000 ms' })
  await clock.pass(MINUTE)
  t.equal(asked.length, 2)
})

t.test('the end while it is asked: first, and again', async (t) => {
  const first = await kept(t, undefined)
  await first.keeper.close()
  t.same(first.asked, ['0 map'])
  const again = await kept(t, mapped(), undefined)
  await again.clock.pass(10 * MINUTE)
  await again.keeper.close()
  t.same(again.asked, ['0 map', '10 map 6000', '10 unmap 6000'])
})

t.test('reasons are made safe to show', async (t) => {
  const { keeper } = await kept(t, failed('\u001b[31mred\n'))
  t.notMatch(keeper.status.reason, /[\n\u001b]/) // eslint-disable-line no-control-regex
})

t.test('answers of a thread are checked', async (t) => {
  for (const good of [mapped(), none, { kind: 'unmapped' }]) t.same(readAnswer(good, 3600), good)
  const { external, held } = mapped() as Extract<MappingAnswer, { kind: 'mapped' }>
  const bad = [
    undefined, null, 5, 'mapped', [], {}, { kind: 'x' }, { kind: 'none' }, { kind: 'failed', reason: 5 }, { kind: 'mapped' },
    mapped(0), mapped(3601), mapped(1.5), { ...mapped(), external: null }, { ...mapped(), held: null }, { ...mapped(), external: { ...external, host: 'x' } },
    { ...mapped(), external: { ...external, port: 0 } }, { ...mapped(), external: { ...external, port: 65_536 } }, { ...mapped(), held: { ...held, by: 'x' } },
    { ...mapped(), held: { ...held, port: '1' } }, { ...mapped(), held: { ...held, gateway: 'x'.repeat(1025) } }
  ]
  for (const value of bad) t.same(readAnswer(value, 3600), failed('the thread has given no answer'), JSON.stringify(value)?.slice(0, 60))
  t.match(readAnswer({ kind: 'none', reason: 'x'.repeat(5000) }, 1), { kind: 'none', reason: /^x{300}$/, isGone: false })
})

/** When an interface is put back, and how often; the kernel itself is in test/e2e/interface-guard.test.ts. */
import { endianness } from 'node:os'
import t from 'tap'
import type { TunLoss } from '../../src/tun/device.ts'
import { Guard } from '../../src/tun/guard.ts'
import { concernOf } from '../../src/tun/link-monitor.ts'
import { hex } from '../helpers/bytes.ts'
import { ManualClock } from '../helpers/clock.ts'

const NOTHING: TunLoss = { address: false, down: false, routes: [] }
const ADDRESS: TunLoss = { address: true, down: false, routes: [] }

interface World {
  guard: Guard
  told: string[]
  /** What is lost now. */
  loss: TunLoss | Error
  /** Whether `restore` helps. */
  helps: boolean
  /** Lets milliseconds pass. */
  pass (milliseconds: number): void
}

/** A guard with a clock of its own. */
function world (): World {
  const clock = new ManualClock()
  const told: string[] = []
  const all: World = {
    told,
    loss: NOTHING,
    helps: true,
    guard: new Guard({
      clock,
      loss () {
        if (all.loss instanceof Error) throw all.loss
        return all.loss
      },
      restore () {
        told.push(`restore at ${clock.now()}`)
        if (all.helps) all.loss = NOTHING
      },
      watcher: {
        onLoss: ({ address }) => { told.push(address ? 'lost' : 'whole') },
        onRestored: () => { told.push('restored') },
        onFailure: ({ message }) => { told.push(message) }
      }
    }),
    pass (milliseconds) { clock.advance(milliseconds) }
  }
  return all
}

t.test('what was taken is put back a moment after the notice, once for several notices', async (t) => {
  const all = world()
  all.guard.noticed()
  all.pass(1000)
  t.same(all.told, [], 'nothing is lost: our own change')
  all.loss = ADDRESS
  for (let i = 0; i < 10; i++) all.guard.noticed()
  all.pass(1000)
  t.same(all.told, ['lost', 'restore at 1200', 'restored', 'whole'])
})

t.test('whoever takes it again and again: five times at once, then once in ten seconds', async (t) => {
  const all = world()
  for (let i = 0; i < 600; i++) {
    all.loss = ADDRESS
    all.guard.noticed()
    all.pass(100)
  }
  const times = all.told.filter((text) => text.startsWith('restore at')).map((text) => Number(text.split(' ')[2]))
  t.equal(times.length, 5 + 5, 'in a minute')
  t.ok(times[4] < 2000 && times.slice(5).every((time, i) => time - times[i + 4] >= 10_000), String(times))
})

t.test('what cannot be put back, or be told, is tried again every ten seconds', async (t) => {
  const all = world()
  all.loss = ADDRESS
  all.helps = false
  all.guard.noticed()
  all.pass(10_300)
  t.same(all.told, ['lost', 'restore at 200', 'restore at 10200'])
  all.loss = new Error('no permission')
  all.pass(20_000)
  t.same(all.told.slice(3), ['no permission', 'no permission'])
  all.guard.close()
  all.guard.noticed()
  all.pass(100_000)
  t.equal(all.told.length, 5, 'nothing after close')
})

if (endianness() === 'LE') {
  t.test('which notices are about an interface', async (t) => {
    const link = '20000000 10000000 00000000 00000000 00000000 07000000 00000000 00000000'
    const address = '18000000 15000000 00000000 00000000 02180000 07000000'
    const route = '24000000 19000000 00000000 00000000 02100000 feca0001 00000000 08000400 07000000'
    const address14 = address.replace('15000000', '14000000')
    const route18 = route.replace('19000000', '18000000')
    const concern = (text: string, device: number): string => Object.entries(concernOf(hex(text), device)).filter(([, is]) => is).map(([who]) => who).join()
    for (const text of [link, address, route]) t.same([7, 8].map((device) => concern(text, device)), ['own', ''], text)
    for (const text of [address14, route18]) t.same([7, 8].map((device) => concern(text, device)), ['own', 'others'], 'another one has got an address or a route')
    t.equal(concern('1c000000 18000000 00000000 00000000 02100000 feca0001 00000000', 7), 'others', 'a route by several next hops')
    t.equal(concern(address + link.replace('07000000', '09000000'), 9), 'own', 'the second of two')
    t.equal(concern(address14 + address14.replace('07000000', '09000000'), 9), 'own,others')
    t.equal(concern('10000000 03000000 00000000 00000000', 7), '')
    for (const type of ['19', '14', '10']) t.equal(concern(`10000000 ${type}000000 00000000 00000000`, 7), 'own,others', 'one that is too short may be about anything')
  })
}

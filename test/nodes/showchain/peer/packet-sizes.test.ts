/** The size of packets follows what the path takes, from the start and when it shrinks, and no byte is lost for it. */
import t, { type Test } from 'tap'
import { Pairs, transfer } from '../../../helpers/showchain/pairs.ts'
import { StreamsLab } from '../../../helpers/showchain/streams-lab.ts'
import type { Hop } from '../../../helpers/showchain/paths.ts'
import type { Link } from '../../../../src/types.ts'

const MIB = 1 << 20
const within = { within: 300_000 }

/** Bytes of a packet of data; what IP and UDP add to it; what a 0x123 with an HMAC adds at most. */
const MOST = 1232
const LEAST = 492
const HEADERS = 28
const MESSAGE = 180

/** What passes over hops: the longest packet, and how many. */
function watch (hops: Hop[]): { longest: number, long: number } {
  const seen = { longest: 0, long: 0 }
  for (const hop of hops) {
    hop.alter = (packet) => {
      seen.longest = Math.max(seen.longest, packet.length)
      if (packet.length > MOST - 40) seen.long++
      return packet
    }
  }
  return seen
}

interface Ways {
  pairs: Pairs
  /** Of all hops. */
  hops: Hop[]
}

const WAYS = {
  direct (conditions: { most?: number, loss?: number } = {}): Ways {
    const pairs = new Pairs()
    return { pairs, hops: pairs.addPath('direct', conditions).map(({ hop }) => hop) }
  },
  proxy (conditions: { most?: number, loss?: number } = {}): Ways {
    const pairs = new Pairs()
    const { up, down } = pairs.addProxy(conditions)
    return { pairs, hops: [...up, ...down] }
  }
} as const

async function both (t: Test, { pairs }: Ways, size: number, onProgress?: (bytes: number) => void): Promise<void> {
  const [here, there] = await pairs.open()
  const [up, down] = await pairs.clock.until(Promise.all([transfer(here, there, size, onProgress), transfer(there, here, size)]), within)
  t.equal(up.received, up.sent, 'from R')
  t.equal(down.received, down.sent, 'from T')
}

for (const [name, way] of Object.entries(WAYS)) {
  t.test(`${name}: a network that takes 1232 bytes: they are used soon`, async (t) => {
    const ways = way()
    const seen = watch(ways.hops)
    await both(t, ways, MIB)
    t.ok(seen.longest > MOST - 4 && seen.longest <= MOST, `${seen.longest}`)
    const messages = name === 'direct' ? 2 * MIB / MOST : 4 * MIB / (MOST - MESSAGE)
    t.ok(seen.long > messages * 0.8, `${seen.long} of ${Math.round(messages)} are long`)
  })

  t.test(`${name}: a network that takes less, from the start`, async (t) => {
    for (const most of [900, 1172, 1230]) {
      const ways = way({ most })
      const seen = watch(ways.hops)
      await both(t, ways, MIB >> 1)
      t.ok(ways.pairs.clock.now() < 20_000, `${ways.pairs.clock.now()} ms: nothing stalls`)
      await ways.pairs.clock.pass(40_000)
      await both(t, ways, MIB >> 2)
      t.ok(seen.longest > most - 40 && seen.longest <= most, `${seen.longest} of ${most}`)
    }
  })

  t.test(`${name}: it shrinks in the middle of a transfer, at 5 % loss, and again`, async (t) => {
    for (const loss of [0, 0.05]) {
      const ways = way({ loss })
      let seen = { longest: 0, long: 0 }
      const cuts = [[MIB >> 2, 1000], [MIB >> 1, 700]]
      await both(t, ways, MIB, (bytes) => {
        if (cuts.length === 0 || bytes < cuts[0][0]) return
        const [[, most]] = cuts.splice(0, 1)
        for (const hop of ways.hops) hop.most = most
        seen = watch(ways.hops)
      })
      t.same(cuts, [])
      t.ok(ways.pairs.clock.now() < 60_000, `${ways.pairs.clock.now()} ms`)
      await ways.pairs.clock.pass(60_000)
      await both(t, ways, MIB >> 2)
      t.ok(seen.longest <= 700 && seen.longest > 600, `${seen.longest}`)
      t.same(ways.pairs.ended, [])
    }
  })

  t.test(`${name}: only one direction takes less`, async (t) => {
    for (const end of [0, 1]) {
      const ways = way()
      ways.hops.forEach((hop, i) => { if (i % 2 === end) hop.most = 800 })
      await both(t, ways, MIB)
    }
  })

  t.test(`${name}: a path that takes nothing for a while is not taken for a narrow one`, async (t) => {
    const ways = way()
    const [here, there] = await ways.pairs.open()
    let seen = { longest: 0, long: 0 }
    let isOver = false
    const { sent, received } = await ways.pairs.clock.until(transfer(here, there, 2 * MIB, (bytes) => {
      if (bytes < MIB >> 1 || isOver) return
      isOver = true
      for (const hop of ways.hops) hop.isCut = true
      ways.pairs.clock.set(9000, () => {
        for (const hop of ways.hops) hop.isCut = false
        seen = watch(ways.hops)
      })
    }), within)
    t.equal(received, sent)
    t.ok(seen.long > (name === 'direct' ? 1 : 2) * MIB / MOST, 'long packets follow')
  })
}

t.test('sessions at rest probe nothing', async (t) => {
  const { pairs, hops } = WAYS.direct()
  await both(t, { pairs, hops }, 100_000)
  await pairs.clock.pass(5000)
  const [before, at] = [hops.reduce((sum, { carried }) => sum + carried, 0), pairs.clock.now()]
  await pairs.clock.pass(600_000)
  const packets = hops.reduce((sum, { carried }) => sum + carried, 0) - before
  t.ok(packets <= 2 * (pairs.clock.now() - at) / 15_000 + 4, `${packets} packets in 10 minutes`)
})

for (const isDirect of [true, false]) {
  t.test(`nodes in a simulated network ${isDirect ? 'with a direct path' : 'by a relay'}: less than 1260 bytes, and then less still`, async (t) => {
    const lab = new StreamsLab({ isDirect })
    t.teardown(() => lab.close())
    await lab.proxy('c')
    const [here, there] = await lab.connect()
    if (isDirect) await lab.clock.until(() => lab.requester?.path?.kind !== 'proxy', within)
    const narrow = (mtu: number): void => {
      for (const host of isDirect ? lab.hosts : [...lab.hosts, ...lab.proxies.map(({ host }) => host)]) host.setConditions({ down: { mtu } })
    }
    narrow(1180)
    let isNarrow = false
    const move = (from: Link, to: Link): Promise<void> => lab.clock.until(transfer(from, to, MIB, (bytes) => {
      if (bytes < MIB >> 2 || isNarrow) return
      isNarrow = true
      narrow(isDirect ? LEAST + HEADERS : LEAST + MESSAGE + HEADERS)
    }), within).then(({ sent, received }) => { t.equal(received, sent) })
    await move(here, there)
    await move(there, here)
    t.ok(isNarrow)
    t.ok(lab.network.counts.tooLarge > 3)
    t.equal(lab.requester?.path?.kind === 'proxy', !isDirect)
    t.same(lab.ended, [])
  })
}

/** Streams over networks that lose, double and reorder, that move, and that end. */
import t, { type Test } from 'tap'
import { random } from '../../helpers/bytes.ts'
import { batches, bytes, drain, failureOf, hear, idle, texts } from '../../helpers/ends.ts'
import { sample } from '../../helpers/sample.ts'
import { simulatedPairs, streamPair, type SimulatedInit } from '../../helpers/transforms/reliable.ts'
import { LinkResetError } from '../../../src/errors.ts'
import { bridge } from '../../../src/streams/bridge.ts'
import { consume } from '../../../src/streams/consume.ts'
import { compactMux, linkMux } from '../../../src/transforms/link-mux/index.ts'
import type { ReliableInit, ReliableLink } from '../../../src/transforms/reliable/index.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import type { Batch, Clock, Link, PacketPort, Take } from '../../../src/types.ts'

const byteAt = (offset: number): number => (offset * 7 + (offset >>> 8) * 13 + (offset >>> 16)) & 0xff

async function * content (size: number, seed = 1): AsyncGenerator<Batch> {
  const below = random(seed)
  for (let at = 0; at < size;) {
    const piece = new Uint8Array(Math.min(size - at, 1 + below(below(4) === 0 ? 60_000 : 3000)))
    for (let i = 0; i < piece.length; i++) piece[i] = byteAt(at + i)
    at += piece.length
    yield [piece]
  }
}

/** Counts the bytes that come, and throws at the first wrong one. */
async function verified (source: AsyncIterable<Batch>, onBytes: (total: number) => void = () => {}): Promise<number> {
  let at = 0
  for await (const batch of source) {
    for (const piece of batch) for (let i = 0; i < piece.length; i++, at++) if (piece[i] !== byteAt(at)) throw new Error(`a wrong byte at ${at}`)
    onBytes(at)
  }
  return at
}

async function simulated (conditions: SimulatedInit, init: ReliableInit = {}): Promise<Omit<ReturnType<typeof simulatedPairs>, 'pair'> & { lower: [Link, Link], a: ReliableLink, b: ReliableLink }> {
  const { network, pair, cut } = simulatedPairs(conditions)
  const lower = await pair()
  const [a, b] = streamPair(lower, { clock: network.clock, random: () => 0.5, ...init })
  return { network, cut, lower, a, b }
}

/** All of it goes both ways, with the ends. */
async function exchange (t: Test, conditions: SimulatedInit, size: number): Promise<void> {
  const { network, a, b } = await simulated(conditions)
  const both = Promise.all([a.sink(content(size, 1)), b.sink(content(size >> 2, 2)), verified(b.source), verified(a.source)])
  const [, , there, back] = await network.clock.until(both, { within: 600_000 })
  t.same([there, back], [size, size >> 2], `seed ${conditions.seed}, ${Math.round(network.clock.now())} ms`)
  await network.clock.pass(20_000)
  t.equal(await failureOf(a.sink(idle().source)).then(({ code }) => code), 'ERR_LINK_CLOSED')
}

t.test('nothing is lost or doubled', async (t) => {
  const size = sample('bytes', { short: 300_000, long: 10 << 20 })
  const seeds = sample('seeds', { short: 3, long: 20 })
  for (let seed = 1; seed <= seeds; seed++) {
    await exchange(t, { seed, delay: 15, jitter: 10, loss: 0.2, reorder: 0.1, duplicate: 0.1 }, size)
    await exchange(t, { seed, delay: 25, rate: 20_000_000, queue: seed % 2 === 0 ? 8000 : 500_000, loss: 0.05, reorder: 0.02 }, size)
  }
})

t.test('the rate at a fifth of loss, and with short and long queues', async (t) => {
  for (const [conditions, least] of [
    [{ loss: 0.2, rate: 20_000_000 }, 9], [{ rate: 20_000_000, queue: 12_000 }, 12], [{ rate: 20_000_000, queue: 1_000_000 }, 14]
  ] as Array<[SimulatedInit, number]>) {
    const { network, a, b } = await simulated({ seed: 3, delay: 20, ...conditions })
    const started = network.clock.now()
    const size = 3 << 20
    await network.clock.until(Promise.all([a.sink(content(size)), verified(b.source)]), { within: 60_000 })
    const rate = size * 8 / (network.clock.now() - started) / 1000
    t.ok(rate > least, `${JSON.stringify(conditions)}: ${rate.toFixed(1)} Mbit/s`)
  }
})

t.test('two streams share a link', async (t) => {
  const { network, pair } = simulatedPairs({ seed: 1, delay: 20, rate: 10_000_000 })
  const got = [0, 0]
  for (const i of [0, 1]) {
    const [a, b] = streamPair(await pair(), { clock: network.clock, random: () => i / 2 })
    void drain(a.source)
    a.sink((async function * () { for (;;) yield [bytes(16_384)] })()).catch(() => {})
    b.flow((batch) => { for (const { length } of batch) got[i] += length }).catch(() => {})
    t.teardown(() => { a.abort(new Error('over')) })
    await network.clock.pass(2000)
  }
  const before = [...got]
  await network.clock.pass(8000)
  const rates = got.map((bytes, i) => (bytes - before[i]) * 8 / 8_000_000)
  const sum = rates[0] + rates[1]
  const jain = sum ** 2 / (2 * (rates[0] ** 2 + rates[1] ** 2))
  t.ok(jain > 0.8, `Jain index ${jain.toFixed(3)} of ${rates.map((rate) => rate.toFixed(1)).join(' and ')} Mbit/s`)
  t.ok(sum > 8)
})

t.test('half-close, either side first', async (t) => {
  const { network, a, b } = await simulated({ seed: 5, delay: 10, loss: 0.2 })
  const { clock } = network
  await clock.until(a.sink(batches(texts('request'))))
  t.equal(Buffer.concat(await clock.until(hear(b.source))).toString(), 'request')
  await clock.pass(60_000)
  const [answer] = await clock.until(Promise.all([hear(a.source), b.sink(batches(texts('an', 'swer')))]))
  t.equal(Buffer.concat(answer).toString(), 'answer')
})

t.test('a reader that stops holds its writer back, in bounded memory', async (t) => {
  const { network, a, b } = await simulated({ seed: 2, delay: 5, mtu: 9000, rate: 100_000_000 }, { maxDatagram: 8000, receiveBuffer: 1 << 20, sendBuffer: 1 << 20 })
  let pulled = 0
  const writing = a.sink((async function * () { for (; pulled < 200; pulled++) yield [bytes(65_536, pulled)] })())
  const reader = b.source[Symbol.asyncIterator]()
  let read = 0
  for (; read < 3 << 20;) for (const { length } of (await network.clock.until(reader.next())).value as Batch) read += length
  await network.clock.pass(20_000)
  const stopped = pulled
  await network.clock.pass(100_000)
  t.equal(pulled, stopped, `stopped after ${pulled} of 200`)
  t.ok(a.memory + b.memory <= (2 << 20) + (3 << 16), `${a.memory} and ${b.memory} bytes`)
  t.ok(stopped * 65_536 - read < (2 << 20) + (4 << 16))
  const rest = (async () => {
    for (;;) {
      const { done, value } = await reader.next()
      if (done === true) return
      for (const { length } of value as Batch) read += length
    }
  })()
  await network.clock.until(Promise.all([writing, rest]))
  t.equal(read, 200 * 65_536)
})

/** A way that loses nothing, takes so many bytes and delivers them slowly. */
function slowWay (clock: Clock, limit: number): { port: PacketPort, deliver: (take: Take) => void } {
  let take: Take = () => {}
  let waiting: Array<() => void> = []
  const port = {
    limit,
    queued: 0,
    send (batch: Batch) {
      if (port.queued >= limit) return 0
      const size = batch.reduce((sum, { length }) => sum + length, 0)
      port.queued += size
      clock.set(port.queued / 2000, () => {
        port.queued -= size
        void take(batch)
        if (port.queued < limit) for (const resolve of waiting.splice(0)) resolve()
      })
      return batch.length
    },
    drained: () => port.queued < limit ? Promise.resolve() : new Promise<void>((resolve) => { waiting.push(resolve) })
  }
  return { port, deliver (reader) { take = reader; waiting = [] } }
}

t.test('a path that moves: by datagrams, by a connection, by datagrams', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const { network, pair } = simulatedPairs({ seed, delay: 10, loss: 0.1, reorder: 0.05 })
    const { clock } = network
    const datagrams = await pair()
    const ways = [slowWay(clock, 100_000), slowWay(clock, 100_000)]
    let isReliable = false
    const lower = ([0, 1] as const).map((side): Link => ({
      source: batches(),
      sink: () => Promise.reject(new Error('none')),
      get port () { return isReliable ? ways[side].port : datagrams[side].port },
      async flow (take) {
        ways[1 - side].deliver(take)
        await consume(datagrams[side], take)
      },
      abort (err) { datagrams[side].abort(err) }
    }))
    const [a, b] = streamPair(lower as [Link, Link], { clock, random: () => 0.5 })
    const size = 3 << 20
    const moves = [size / 4, size / 2, size * 3 / 4]
    const done = Promise.all([a.sink(content(size, seed)), b.sink(content(size >> 3, seed)), verified(a.source), verified(b.source, (total) => {
      if (total < moves[0]) return
      moves.shift()
      isReliable = !isReliable
      for (const link of [a, b]) link.usePath({ maxDatagram: isReliable ? 1400 : 1200, isReliable })
    })])
    const [, , back, there] = await clock.until(done, { within: 300_000 })
    t.same([there, back, moves.length], [size, size >> 3, 0], `seed ${seed}`)
    t.equal(a.dropped + b.dropped, 0)
  }
})

t.test('a path that takes other sizes: what was cut for a larger one arrives in smaller pieces', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const { network, pair } = simulatedPairs({ seed, delay: 10, rate: 4_000_000, loss: seed === 1 ? 0 : 0.05, reorder: 0.02 })
    const { clock } = network
    const datagrams = await pair()
    let most = 1200
    let longest = 0
    const lower = datagrams.map((link): Link => ({
      ...link,
      flow: (take) => consume(link, take),
      get port (): PacketPort {
        const { port } = link
        return {
          send (batch) {
            for (const { length } of batch) if (length <= most) longest = Math.max(longest, length)
            port.send(batch.filter(({ length }) => length <= most))
            return batch.length
          },
          get queued () { return port.queued },
          get limit () { return port.limit }
        }
      }
    }))
    const [a, b] = streamPair(lower as [Link, Link], { clock, random: () => 0.5 })
    const size = 1 << 20
    const changes = [{ at: size / 4, to: 500 }, { at: size / 2, to: 300 }, { at: size * 3 / 4, to: 1300 }]
    const done = Promise.all([a.sink(content(size, seed)), b.sink(content(size >> 3, seed)), verified(a.source), verified(b.source, (total) => {
      if (changes.length === 0 || total < changes[0].at) return
      const [{ to }] = changes.splice(0, 1)
      const isMore = to > most
      most = to
      longest = 0
      clock.set(isMore ? 1 : 2000, () => { for (const link of [a, b]) link.resize(to) })
    })])
    const [, , back, there] = await clock.until(done, { within: 60_000 })
    t.same([there, back, changes.length], [size, size >> 3, 0], `seed ${seed}`)
    t.equal(longest, 1300)
    t.ok(clock.now() > 4000 && clock.now() < 20_000, `${Math.round(clock.now())} ms: it goes on at once`)
  }
})

t.test('a path that is dead', async (t) => {
  const { network, cut, a, b } = await simulated({ seed: 1, delay: 10, rate: 10_000_000 }, { deadAfter: 5000 })
  const { clock } = network
  const writing = failureOf(a.sink((async function * () { for (;;) yield [bytes(10_000)] })()))
  const reading = failureOf(hear(a.source))
  b.flow(() => {}).catch(() => {})
  await clock.pass(1000)
  t.ok(a.unansweredFor(clock.now()) < 100)
  cut()
  await clock.pass(3000)
  t.ok(a.unansweredFor(clock.now()) > 2900)
  t.ok(a.delivery().isUnanswered)
  const before = clock.now()
  t.match(await clock.until(writing), { name: 'ReliableError', code: 'ERR_RELIABLE_TIMEOUT' })
  t.match(await reading, { code: 'ERR_RELIABLE_TIMEOUT' })
  t.ok(clock.now() - before < 2100)
  t.equal(a.port.send(texts('late')), 0)
})

t.test('a side that only reads, with a keep-alive', async (t) => {
  const { network, cut, a, b } = await simulated({ seed: 1, delay: 10 }, { deadAfter: 5000, keepAlive: 10_000 })
  const { clock } = network
  const reading = failureOf(hear(a.source))
  await clock.pass(120_000)
  const sent = network.counts.sent
  t.ok(sent > 20 && sent < 100, `${sent} packets in 2 minutes`)
  cut()
  t.match(await clock.until(reading), { code: 'ERR_RELIABLE_TIMEOUT' })
  b.abort(new Error('over'))
})

t.test('an idle stream has no timers', async (t) => {
  const { network, a, b } = await simulated({ seed: 1, delay: 10 })
  const timers: number[] = []
  const { clock } = network
  const set = clock.set.bind(clock)
  clock.set = (ms, fn) => { timers.push(ms); return set(ms, fn) }
  a.port.send([bytes(500_000)])
  void drain(b.source)
  await clock.pass(30_000)
  const before = timers.length
  const sent = network.counts.sent
  await clock.pass(600_000)
  t.equal(timers.length, before)
  t.equal(network.counts.sent, sent)
  t.ok(before > 0)
  t.ok(a.memory <= 256 << 10, 'and gives memory back')
})

t.test('a reset with a code, also where most is lost', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const { network, lower, a, b } = await simulated({ seed, delay: 10, loss: 0.5 })
    const reading = failureOf(hear(b.source))
    const writing = failureOf(b.sink(idle().source))
    a.abort(new LinkResetError('out of quota', 70))
    t.match(await network.clock.until(reading), { code: 'ERR_LINK_RESET', reason: 70 })
    t.match(await writing, { code: 'ERR_LINK_RESET', reason: 70 })
    await network.clock.pass(20_000)
    t.match(await failureOf(hear(lower[0].source)).catch((err) => err), Error, 'the links below have ended')
  }
})

t.test('room in front and behind, in memory that is written over', async (t) => {
  const { network, pair } = simulatedPairs({ seed: 4, delay: 5, loss: 0.1 })
  let sent = 0
  const scrambled = (link: Link): Link => ({
    ...link,
    port: {
      send (batch) {
        for (const one of batch) {
          if (one.byteOffset < 40 || one.buffer.byteLength - one.byteOffset - one.length < 16) t.fail(`${one.byteOffset} bytes in front`)
          sent++
        }
        const taken = link.port.send(batch.map((one) => one.slice()))
        for (const one of batch) new Uint8Array(one.buffer, one.byteOffset - 40, one.length + 56).fill(0xff) // as a cipher does
        return taken
      },
      get queued () { return link.port.queued },
      limit: link.port.limit
    }
  })
  const [a, b] = streamPair((await pair()).map(scrambled) as [Link, Link], { clock: network.clock, headroom: 40, tailroom: 16 })
  const [, total] = await network.clock.until(Promise.all([a.sink(content(500_000)), verified(b.source)]))
  t.equal(total, 500_000)
  t.ok(sent > 400)
})

t.test('under link-mux and bridge', async (t) => {
  const { network, a, b } = await simulated({ seed: 6, delay: 10, loss: 0.1 })
  const { clock } = network
  const client = linkMux({ codec: compactMux({ role: 'client' }), clock })(a)
  linkMux({
    codec: compactMux({ role: 'server' }),
    clock,
    async onOpen (opening) {
      const link = opening.accept(Buffer.from('ok'))
      const [near, far] = memoryPair()
      far.sink(far.source).catch(() => {})
      await bridge(link, near)
    }
  })(b)
  const links = await clock.until(Promise.all([1, 2, 3].map((i) => client.open(Buffer.from(String(i))))))
  const all = Promise.all(links.flatMap((link) => [link.sink(content(200_000)), verified(link.source)]))
  t.same((await clock.until(all)).filter((one) => one !== undefined), [200_000, 200_000, 200_000])
  client.close()
  t.equal(await clock.until(client.ended), undefined)
})

/** Two connections made one: over links in memory, TCP and TLS. */
import t, { type Test } from 'tap'
import { bridge, type BridgeInit } from '../../src/streams/bridge.ts'
import { Shaper } from '../../src/limits/shaper.ts'
import { memoryPair, tcp, tls } from '../../src/transports/index.ts'
import { random } from '../helpers/bytes.ts'
import { batches, bytes, drain, endsWith, failureOf, first, hear, hearText, idle, nothing, open, standstill, talk, texts, turn, until } from '../helpers/ends.ts'
import { recordingLink } from '../helpers/links.ts'
import { rawTcp } from '../helpers/raw-sockets.ts'
import { ca, cert, key } from '../helpers/certificates.ts'
import type { Batch, Link } from '../../src/types.ts'

/** A link to each side, and what the bridge between the two comes to. */
interface Bridged {
  user: Link
  service: Link
  /** The ends that are bridged. */
  a: Link
  b: Link
  /** Resolves with what broke it, if anything did. */
  over: Promise<Error | undefined>
}

type Pair = (t: Test) => Promise<[outer: Link, inner: Link]>

const pairs: Record<string, Pair> = {
  memory: async (t) => {
    const [outer, inner] = memoryPair()
    return [endsWith(t, outer), endsWith(t, inner)]
  },
  tcp: async (t) => {
    const { client, server } = await open(t, tcp)
    return [client, server]
  },
  tls: async (t) => {
    const { client, server } = await open(t, tls({ cert, key }, { ca }))
    return [client, server]
  }
}

async function bridged (t: Test, pair: Pair, init?: BridgeInit): Promise<Bridged> {
  const [user, a] = await pair(t)
  const [service, b] = await pair(t)
  return { user, service, a, b, over: bridge(a, b, init).then(() => undefined, (err: Error) => err) }
}

/** A source of batches of 64 KiB that tells how far it was asked. */
function counted (count: number): { source: AsyncGenerator<Batch>, pulled: () => number } {
  let pulled = 0
  async function * source (): AsyncGenerator<Batch> {
    for (; pulled < count; pulled++) yield [bytes(65_536, pulled)]
  }
  return { source: source(), pulled: () => pulled }
}

for (const [name, pair] of Object.entries(pairs)) {
  t.test(`${name}: everything both ways, in order, and then the end`, async (t) => {
    const { user, service, over } = await bridged(t, pair)
    const below = random(1)
    const [up, down] = [1, 2].map(() => Array.from({ length: 100 }, () => Array.from({ length: 1 + below(5) }, () => bytes(below(20_000), below(256)))))
    const [atService, atUser] = await Promise.all([hear(service.source), hear(user.source), user.sink(batches(...up)), service.sink(batches(...down))])
    t.ok(Buffer.concat(atService).equals(Buffer.concat(up.flat())))
    t.ok(Buffer.concat(atUser).equals(Buffer.concat(down.flat())))
    t.equal(await over, undefined)
  })

  t.test(`${name}, T19: one direction ends, the other goes on`, async (t) => {
    for (const isUserFirst of [true, false]) {
      const { user, service, over } = await bridged(t, pair)
      const [asks, answers] = isUserFirst ? [user, service] : [service, user]
      const request = hearText(answers.source)
      await asks.sink(batches(texts('the whole request')))
      t.equal(await request, 'the whole request', 'its end arrives')
      let isOver = false
      void over.then(() => { isOver = true })
      const answer = hearText(asks.source)
      answers.port.send(texts('some '))
      for (let turns = 0; turns < 10; turns++) await turn()
      t.notOk(isOver)
      await answers.sink(batches(texts('answer')))
      t.equal(await answer, 'some answer')
      t.equal(await over, undefined)
    }
  })

  t.test(`${name}: a side that does not read holds up only the one that writes to it`, async (t) => {
    const count = 640 // 40 MiB: more than the kernel takes
    for (const isUserWriting of [true, false]) {
      let carried = 0
      const meter = (bytes: number): void => { carried += bytes }
      const { user, service, over } = await bridged(t, pair, isUserWriting ? { forward: meter } : { backward: meter })
      const [writes, stalls] = isUserWriting ? [user, service] : [service, user]
      const { source, pulled } = counted(count)
      const writing = writes.sink(source)
      await standstill(pulled)
      t.ok(pulled() < count, `stopped after ${pulled()} of ${count} batches`)
      if (name === 'memory') t.ok(carried <= 512 * 1024, `${carried} bytes are held`)
      else t.ok(carried < count * 65_536 / 2, `${carried} bytes were carried`)
      stalls.port.send(texts('go on'))
      t.equal((await first(writes.source)).toString(), 'go on', 'the other direction')
      const [heard] = await Promise.all([hear(stalls.source), writing, stalls.sink(nothing()), drain(writes.source)])
      const all = Buffer.concat(heard)
      let wrong = 0
      for (let at = 0; at < all.length; at += 4096) if (all[at] !== (Math.floor(at / 65_536) & 0xff)) wrong++
      t.same([all.length, wrong], [count * 65_536, 0], 'then everything arrives')
      t.equal(carried, count * 65_536)
      t.equal(await over, undefined)
    }
  })

  t.test(`${name}: one side breaks, the other is told, and so is whoever waits`, async (t) => {
    for (const isUserGone of [true, false]) {
      for (const isBusy of [true, false]) {
        const { user, service, over } = await bridged(t, pair)
        await talk(user, service)
        const [gone, stays] = isUserGone ? [user, service] : [service, user]
        let isOver = false
        void over.then(() => { isOver = true })
        const { source, pulled } = counted(640)
        const writing = isBusy ? failureOf(stays.sink(source)) : undefined
        if (isBusy) await standstill(pulled)
        gone.abort(new Error('gone'))
        // TCP cannot tell that from the end of one direction, until there is something for the other one.
        await until(() => {
          if (!isBusy) stays.port.send(texts('anybody?'))
          return isOver
        })
        t.ok(await over, 'it rejects')
        await writing
        await until(() => stays.port.send(texts('anybody?')) === 0)
        t.pass('the other side has ended')
      }
    }
  })
}

t.test('a reset', async (t) => {
  const { incoming, port } = await open(t, tcp)
  const { reset, socket } = await rawTcp(port)
  const a = endsWith(t, (await incoming.next()).value as Link)
  const [service, b] = memoryPair()
  const running = failureOf(bridge(a, b))
  socket.write('hello')
  t.equal((await first(service.source)).toString(), 'hello')
  reset()
  t.match(await running, { code: 'ECONNRESET' })
  t.match(await drain(service.source), { code: 'ERR_LINK_CLOSED' })
})

t.test('a link that is gone before', async (t) => {
  for (const isFirst of [true, false]) {
    const [gone, other] = isFirst ? memoryPair() : memoryPair().reverse()
    const [service, b] = memoryPair()
    const boom = new Error('boom')
    gone.abort(boom)
    t.equal(await failureOf(isFirst ? bridge(gone, b) : bridge(b, gone)), boom)
    t.match(await drain(service.source), { code: 'ERR_LINK_CLOSED' })
    t.ok(await drain(other.source))
  }
})

t.test('both links are aborted once, with what broke', async (t) => {
  const boom = new Error('boom')
  for (const breaks of ['source', 'sink'] as const) {
    for (const isFirst of [true, false]) {
      const { source } = idle()
      const broken = { ...recordingLink(), source: breaks === 'source' ? (async function * (): AsyncGenerator<Batch> { throw boom })() : source }
      if (breaks === 'sink') broken.sink = async () => { throw boom }
      const other = { ...recordingLink(), source: idle().source }
      t.equal(await failureOf(isFirst ? bridge(broken, other) : bridge(other, broken)), boom)
      for (const { aborted } of [broken, other]) t.match(aborted, [{ code: 'ERR_LINK_CLOSED', cause: boom }])
    }
  }
  const quiet = [recordingLink([texts('one')]), recordingLink([texts('two')])]
  await bridge(quiet[0], quiet[1])
  t.same(quiet.map(({ aborted, sent }) => [aborted, sent.flat().map((part) => Buffer.from(part).toString())]), [[[], ['two']], [[], ['one']]], 'none when nothing has broken')
})

t.test('each direction is counted for itself', async (t) => {
  const count = { forward: 0, backward: 0 }
  const { user, service, over } = await bridged(t, pairs.tcp, {
    forward: (bytes) => { count.forward += bytes },
    backward: (bytes) => { count.backward += bytes }
  })
  await Promise.all([hear(user.source), hear(service.source), user.sink(batches(texts('four', ' and more'), [bytes(100_000)])), service.sink(batches(texts('5')))])
  t.equal(await over, undefined)
  t.same(count, { forward: 100_013, backward: 1 })
})

t.test('a direction that is held up holds up its writer, and ends with the bridge', async (t) => {
  const holding: Array<() => void> = []
  let carried = 0
  const { user, service, over } = await bridged(t, pairs.memory, {
    forward: (bytes) => {
      carried += bytes
      return new Promise<void>((resolve) => { holding.push(resolve) })
    }
  })
  const { source, pulled } = counted(100)
  const writing = failureOf(user.sink(source))
  await standstill(pulled)
  t.ok(pulled() < 20, `stopped after ${pulled()}`)
  t.equal(holding.length, 1)
  service.port.send(texts('hello'))
  t.equal((await first(user.source)).toString(), 'hello', 'the other way is free')
  const before = carried
  holding[0]()
  t.equal((await first(service.source)).length > 0, true)
  await until(() => holding.length === 2)
  t.ok(carried > before)
  service.abort(new Error('gone'))
  t.ok(await over, 'nobody waits for what is held up')
  t.ok(await writing)
})

t.test('what a meter throws breaks the bridge', async (t) => {
  const boom = new Error('boom')
  for (const pass of [() => { throw boom }, () => Promise.reject(boom)]) {
    const { user, service, over } = await bridged(t, pairs.memory, { backward: pass })
    service.port.send(texts('hello'))
    t.equal(await over, boom)
    t.match(await drain(user.source), { code: 'ERR_LINK_CLOSED' })
    t.match(await drain(service.source), { code: 'ERR_LINK_CLOSED' })
  }
})

t.test('bridges that share a pace keep to it together', async (t) => {
  const shaper = new Shaper(100_000)
  let now = 0
  const held: Array<{ until: number, resolve: () => void }> = []
  const forward = (bytes: number): Promise<void> | undefined => {
    const wait = shaper.delay(bytes, now)
    return wait === 0 ? undefined : new Promise<void>((resolve) => { held.push({ until: now + wait, resolve }) })
  }
  let heard = 0
  const all = await Promise.all([1, 2, 3].map(() => bridged(t, pairs.memory, { forward })))
  let isOver = false
  for (const { user, service } of all) {
    void user.sink(batches(...Array.from({ length: 20 }, () => [bytes(10_000)])))
    void service.sink(nothing())
    void (async () => { for await (const batch of service.source) for (const part of batch) heard += part.length })()
    void drain(user.source)
  }
  void Promise.all(all.map(({ over }) => over)).then(() => { isOver = true })
  for (;;) {
    await standstill(() => heard + held.length)
    t.ok(heard <= 100 * (250 + now), `${heard} bytes after ${now} ms`)
    if (isOver) break
    held.sort((x, y) => x.until - y.until)
    const next = held.shift()
    if (next === undefined) throw new Error('nobody waits, and it is not over')
    now = next.until
    next.resolve()
  }
  t.equal(heard, 600_000)
  t.equal(now, 6000 - 250)
})

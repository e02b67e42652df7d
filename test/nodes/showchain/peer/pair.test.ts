import t from 'tap'
import { CloseReason } from '../../../../src/nodes/showchain/protocol/data-packets.ts'
import { sample } from '../../../helpers/sample.ts'
import { identity } from '../../../helpers/showchain/keys.ts'
import { bytesOf, Pairs, transfer } from '../../../helpers/showchain/pairs.ts'
import type { Link } from '../../../../src/types.ts'

const MIB = 1 << 20

const within = { within: 600_000 }

/** The code with which reading a link fails. */
async function failureOf (link: Link): Promise<string> {
  try {
    for await (const batch of link.source) t.comment(`${batch.length} elements`)
    return 'ended in order'
  } catch (err) {
    return String((err as { code?: string }).code)
  }
}

t.test('a link over a direct path, both ways, and its end', async (t) => {
  const pairs = new Pairs()
  pairs.addPath('direct')
  const [here, there] = await pairs.open()
  const [up, down] = await pairs.clock.until(Promise.all([transfer(here, there, 300_000), transfer(there, here, 200_000)]))
  t.equal(up.received, up.sent)
  t.equal(down.received, down.sent)
  t.equal(pairs.requester.path?.kind, 'direct')
  t.same(pairs.sessions, [[true, undefined]])
  pairs.requester.close()
  await pairs.clock.pass(1000)
  t.match(pairs.sessions[1], [false, { code: 'ERR_PAIR_CLOSED', reason: CloseReason.STOPPED }])
  t.same(pairs.ended, [undefined])
  await t.rejects(pairs.requester.open(), { code: 'ERR_LINK_CLOSED' })
})

for (const [name, add] of [
  ['direct', (pairs: Pairs, conditions: object) => { pairs.addPath('direct', conditions) }],
  ['by a proxy', (pairs: Pairs, conditions: object) => { pairs.addProxy(conditions) }],
  ['by a proxy, signed as on the page', (pairs: Pairs, conditions: object) => { pairs.addProxy(conditions, { hmac: false }) }]
] as const) {
  t.test(`20 % loss, reorder and duplicates on every hop: ${name} (row 10)`, async (t) => {
    const size = sample(`KiB ${name}`, name === 'direct' ? { short: 1024, long: 10 * 1024 } : { short: 256, long: 1024 }) << 10
    const pairs = new Pairs()
    add(pairs, { delay: 15, jitter: 10, loss: 0.2, duplicate: 0.1 })
    const [here, there] = await pairs.open()
    const up = await pairs.clock.until(transfer(here, there, size), within)
    t.equal(up.received, up.sent)
    const down = await pairs.clock.until(transfer(there, here, size >> 2), within)
    t.equal(down.received, down.sent)
    t.comment(`${Math.round(pairs.clock.now() / 1000)} s`)
  })
}

t.test('the path moves from a proxy to a direct one and back while data flows, no byte lost or doubled (row 13)', async (t) => {
  for (const isUp of [true, false]) {
    const pairs = new Pairs()
    pairs.addProxy({ delay: 20, jitter: 5, loss: 0.05, duplicate: 0.05 })
    const [here, there] = await pairs.open()
    const kinds: string[] = []
    let direct: ReturnType<Pairs['addPath']> | undefined
    const onProgress = (bytes: number): void => {
      const kind = [pairs.requester, pairs.target][isUp ? 0 : 1].path?.kind ?? 'none'
      if (kinds[kinds.length - 1] !== kind) kinds.push(kind)
      if (bytes > 300_000 && direct === undefined) direct = pairs.addPath('direct', { delay: 5, jitter: 5, loss: 0.05, duplicate: 0.05 })
      if (bytes > MIB && direct !== undefined) for (const { hop } of direct) hop.isCut = true
    }
    const [from, to] = isUp ? [here, there] : [there, here]
    const { sent, received } = await pairs.clock.until(transfer(from, to, 2 * MIB, onProgress), within)
    t.equal(received, sent)
    t.same(kinds, ['proxy', 'direct', 'proxy'], isUp ? 'R sends' : 'T sends')
    for (const end of ['requester', 'target']) t.same(pairs.chosen.filter(([at]) => at === end).map(([, path]) => path?.kind), ['proxy', 'direct', 'proxy'], `what the ${end} was told`)
  }
})

t.test('the proxy dies in the middle of a transfer, a second one is known (row 9)', async (t) => {
  for (const isUp of [true, false]) {
    const pairs = new Pairs()
    const first = pairs.addProxy({ delay: 10 })
    const second = pairs.addProxy({ delay: 30 })
    const [here, there] = await pairs.open()
    let carried = 0
    const [from, to] = isUp ? [here, there] : [there, here]
    const { sent, received } = await pairs.clock.until(transfer(from, to, MIB, (bytes) => {
      if (bytes > 300_000 && !first.isCut) {
        first.isCut = true
        carried = second.up[isUp ? 0 : 1].carried
      }
    }), within)
    t.equal(received, sent)
    t.ok(second.up[isUp ? 0 : 1].carried - carried > 500, 'by the other one')
  }
})

t.test('the only path dies, and another one is found in time; else the connection fails', async (t) => {
  const pairs = new Pairs()
  const [path, other] = pairs.addPath('direct')
  const [here, there] = await pairs.open()
  let isFound = false
  const { sent, received } = await pairs.clock.until(transfer(here, there, MIB, (bytes) => {
    if (bytes < 300_000 || path.hop.isCut) return
    path.hop.isCut = other.hop.isCut = true
    pairs.clock.at(pairs.clock.now() + 10_000, () => {
      isFound = true
      pairs.addProxy()
    })
  }), within)
  t.ok(isFound)
  t.equal(received, sent)
  t.ok(pairs.chosen.some(([end, chosen]) => end === 'requester' && chosen === undefined), 'that no path works was told')

  const [link] = await pairs.open()
  const failure = failureOf(link)
  for (const one of pairs.requester.paths) pairs.requester.removePath(one.path)
  t.equal(await pairs.clock.until(failure), 'ERR_PAIR_UNREACHABLE')
  t.match(pairs.ended, [{ code: 'ERR_PAIR_UNREACHABLE' }])
})

for (const [name, alter] of [
  ['data, with a new data_hash', 'rehashed'],
  ['data', 'data'],
  ['data_hash', 'hash']
] as const) {
  t.test(`a proxy alters ${name}: the stream fails with a named error (row 14)`, async (t) => {
    for (const isUp of [true, false]) {
      const pairs = new Pairs()
      const proxy = pairs.addProxy()
      const [here, there] = await pairs.open()
      const failures = Promise.all([failureOf(here), failureOf(there)])
      mischief(proxy, alter)
      const [from] = isUp ? [here] : [there]
      from.sink(bytesOf(1000)).catch(() => {})
      t.same(await pairs.clock.until(failures), ['ERR_PATH_ALTERED', 'ERR_PATH_ALTERED'], isUp ? 'from R' : 'from T')
    }
  })

  t.test(`a proxy alters ${name}, and there is a second one: that is used, and the stream is intact (row 14)`, async (t) => {
    for (const isUp of [true, false]) {
      const pairs = new Pairs()
      const first = pairs.addProxy({ delay: 10 })
      const second = pairs.addProxy({ delay: 40 })
      const [here, there] = await pairs.open()
      const [from, to] = isUp ? [here, there] : [there, here]
      const { sent, received } = await pairs.clock.until(transfer(from, to, MIB, (bytes) => { if (bytes > 300_000) mischief(first, alter) }), within)
      t.equal(received, sent)
      t.equal(pairs.requester.path, second.ends[0])
      t.notOk(pairs.requester.paths.some(({ path }) => path === first.ends[0]), 'not in use any more')
      t.notOk(pairs.target.paths.some(({ path }) => path === first.ends[1]))
    }
  })
}

/** The proxy changes the data of each message that is no handshake, one of its hashes, or both. */
function mischief (proxy: ReturnType<Pairs['addProxy']>, what: 'data' | 'hash' | 'rehashed'): void {
  proxy.alter = (message) => {
    const data = Uint8Array.from(message.data as Uint8Array)
    const dataHash = Uint8Array.from(message.dataHash as Uint8Array)
    if (data.length < 100) return message // those that only ask whether the path works
    if (what === 'hash') dataHash[3] ^= 1
    else data[data.length - 1] ^= 1
    return { ...message, data, dataHash: what === 'rehashed' ? proxy.hash(data) : dataHash }
  }
}

t.test('a proxy acknowledges for good what it does not pass on, and lets probes through: the path is given up with a named error', async (t) => {
  for (const isUp of [true, false]) {
    for (const others of [0, 1]) {
      const pairs = new Pairs()
      const proxy = pairs.addProxy({ delay: 10 })
      const second = others === 0 ? undefined : pairs.addProxy({ delay: 100 })
      const [here, there] = await pairs.open()
      proxy.steal = ({ id, data }) => isUp === (Buffer.compare(id as Uint8Array, identity('a').id) === 0) && (data as Uint8Array).length > 200
      const [from, to] = isUp ? [here, there] : [there, here]
      if (second === undefined) {
        const failures = Promise.all([failureOf(from), failureOf(to)])
        from.sink(bytesOf(1000)).catch(() => {})
        t.same(await pairs.clock.until(failures, { within: 40_000 }), ['ERR_PATH_STALLED', 'ERR_PATH_ALTERED'], isUp ? 'R sends' : 'T sends')
        continue
      }
      const { sent, received } = await pairs.clock.until(transfer(from, to, MIB >> 4), { within: 90_000 })
      t.equal(received, sent, `by the other one, ${isUp ? 'R' : 'T'} sends`)
      t.same(pairs.altered.map(([end]) => end).sort(), ['requester', 'target'], 'both are told')
    }
  }
})

t.test('a path that is full holds the stream until it has room, not for some time; so does the one to which it moves', async (t) => {
  const pairs = new Pairs()
  const [first] = pairs.addPath('direct')
  const [second] = pairs.addPath('direct', { delay: 20 })
  const [here, there] = await pairs.open()
  await pairs.clock.pass(1000)
  t.equal(pairs.requester.path, first)
  first.fill()
  second.fill()
  const done = transfer(here, there, 1000)
  await pairs.clock.pass(100)
  const turn = async (): Promise<void> => { for (let i = 0; i < 20; i++) await Promise.resolve() }
  pairs.requester.removePath(first)
  await turn()
  t.equal(pairs.requester.path, second)
  const [{ carried }, now] = [second.hop, pairs.clock.now()]
  second.drain()
  await turn()
  t.equal(pairs.clock.now(), now)
  t.ok(second.hop.carried > carried, 'sent at once')
  const { sent, received } = await pairs.clock.until(done, within)
  t.equal(received, sent)
})

t.test('who does not read is not taken for a proxy that does not pass on', async (t) => {
  const pairs = new Pairs()
  pairs.addProxy({ delay: 10 })
  const [here, there] = await pairs.open()
  const sent = here.sink(bytesOf(4 * MIB))
  await pairs.clock.pass(120_000)
  let bytes = 0
  const read = (async () => { for await (const batch of there.source) for (const piece of batch) bytes += piece.length })()
  await pairs.clock.until(Promise.all([sent, read]), within)
  t.equal(bytes, 4 * MIB)
  t.same([pairs.altered, pairs.ended], [[], []])
})

t.test('a proxy acknowledges what it has not passed on: that is sent again', async (t) => {
  for (const isUp of [true, false]) {
    const pairs = new Pairs()
    const proxy = pairs.addProxy()
    const [here, there] = await pairs.open()
    await pairs.clock.pass(1000)
    let stolen = 0
    proxy.steal = (message) => (message.data as Uint8Array).length > 500 && stolen < 5 && stolen++ < 5
    const [from, to] = isUp ? [here, there] : [there, here]
    const { sent, received } = await pairs.clock.until(transfer(from, to, 100_000), within)
    t.equal(received, sent)
    t.equal(stolen, 5)
  }
})

t.test('packets that were altered on a direct path are dropped and counted', async (t) => {
  const pairs = new Pairs()
  const [path] = pairs.addPath('direct')
  const [here, there] = await pairs.open()
  let count = 0
  path.hop.alter = (packet) => {
    if (count++ % 10 === 0) packet[packet.length - 1] ^= 1
    return packet
  }
  const { sent, received } = await pairs.clock.until(transfer(here, there, 300_000), within)
  t.equal(received, sent)
  t.ok(pairs.target.drops.sealed > 20)
  t.ok(count > 0)
})

t.test('packets of others: doubled, of no session, of no kind', async (t) => {
  const pairs = new Pairs()
  const [path] = pairs.addPath('direct')
  await pairs.open()
  const seen: Uint8Array[] = []
  path.hop.alter = (packet) => {
    seen.push(packet.slice())
    return packet
  }
  await pairs.clock.pass(16_000)
  const [there] = pairs.target.paths.map((state) => state.path)
  const now = pairs.clock.now()
  const before = { ...pairs.target.drops }
  pairs.target.receive([seen[0].slice(), seen[0].slice()], there, now)
  const other = seen[0].slice()
  other[1] ^= 1
  pairs.target.receive([other, new Uint8Array(0), Uint8Array.of(0xc1), Uint8Array.of(0x33, 1, 2), Uint8Array.of(0xc0, 1)], there, now)
  pairs.target.receive([seen[0].slice(0, 20)], there, now)
  const { replayed, index, malformed, short, sealed } = pairs.target.drops
  t.same([replayed - before.replayed, index - before.index, malformed - before.malformed, short - before.short, sealed], [2, 1, 4, 1, 0])
})

t.test('R restarts: its new session takes the place of the old one with its first sealed packet', async (t) => {
  const pairs = new Pairs()
  const [path] = pairs.addPath('direct')
  const [, there] = await pairs.open()
  const failure = failureOf(there)
  await pairs.clock.pass(100)
  const restarted = pairs.newRequester()
  restarted.addPath(path)
  const [here, newThere] = await pairs.open()
  t.equal(await failure, 'ERR_PAIR_CLOSED')
  t.match(pairs.sessions, [[true, undefined], [false, { code: 'ERR_PAIR_CLOSED', reason: CloseReason.REPLACED }], [true, undefined]])
  const { sent, received } = await pairs.clock.until(transfer(here, newThere, 100_000))
  t.equal(received, sent)
})

t.test('an offer that is not followed by a sealed packet replaces nothing', async (t) => {
  const pairs = new Pairs()
  const [path] = pairs.addPath('direct')
  const [here, there] = await pairs.open()
  await pairs.clock.pass(100)
  const old = pairs.requester
  path.receiver = { receive: () => {} } // the answer does not arrive
  pairs.newRequester().addPath(path)
  await pairs.clock.pass(50)
  pairs.requester.close()
  path.receiver = old
  const { sent, received } = await pairs.clock.until(transfer(here, there, 100_000))
  t.equal(received, sent)
  t.same(pairs.sessions, [[true, undefined]])
  await pairs.clock.pass(40_000)
  t.equal(pairs.target.isOpen, true)
})

t.test('T closes with a reason; T is gone', async (t) => {
  const pairs = new Pairs()
  pairs.addPath('direct')
  const [here] = await pairs.open()
  const failure = failureOf(here)
  pairs.target.close(CloseReason.NOT_ALLOWED)
  t.equal(await pairs.clock.until(failure), 'ERR_PAIR_CLOSED')
  t.match(pairs.ended, [{ code: 'ERR_PAIR_CLOSED', reason: CloseReason.NOT_ALLOWED }])

  const gone = new Pairs()
  const [path] = gone.addPath('direct')
  path.hop.isCut = true
  await t.rejects(gone.clock.until(gone.requester.open()), { code: 'ERR_HANDSHAKE' })
})

t.test('R is gone: T ends its session', async (t) => {
  const pairs = new Pairs()
  const ends = pairs.addPath('direct')
  const [, there] = await pairs.open()
  const failure = failureOf(there)
  await pairs.clock.pass(1000)
  for (const { hop } of ends) hop.isCut = true
  await pairs.clock.pass(59_000)
  t.equal(pairs.target.isOpen, true)
  await pairs.clock.pass(17_000)
  t.equal(pairs.target.isOpen, false)
  t.equal(await failure, 'ERR_PAIR_UNREACHABLE')
})

t.test('an idle pair is kept, with few packets', async (t) => {
  const pairs = new Pairs()
  const [path] = pairs.addPath('direct')
  await pairs.open()
  await pairs.clock.pass(1000)
  const before = path.hop.carried
  await pairs.clock.pass(600_000)
  t.equal(pairs.target.isOpen, true)
  t.same(pairs.ended, [])
  t.ok(path.hop.carried - before <= 2 * 600 / 15, `${path.hop.carried - before} packets in 10 minutes`)
})

t.test('64 links at most', async (t) => {
  const pairs = new Pairs()
  pairs.addPath('direct')
  const links: Link[] = []
  for (let i = 0; i < 64; i++) links.push((await pairs.open())[0])
  await t.rejects(pairs.clock.until(pairs.requester.open()), { code: 'ERR_LINK_LIMIT' })
  links[0].abort(new Error('enough'))
  await pairs.clock.pass(100)
  await pairs.open()
  t.equal(pairs.accepted.length, 65)
})

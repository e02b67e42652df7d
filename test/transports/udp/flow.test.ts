/** Reading a socket by a function: what it may rely on, and how it ends. */
import t, { type Test } from 'tap'
import { failureOf, turn, until } from '../../helpers/ends.ts'
import { bound, heard, ifNative, textOf, to } from '../../helpers/transports/udp-sockets.ts'
import type { UdpSocket } from '../../../src/transports/udp/socket.ts'
import type { Batch, Datagram, Take } from '../../../src/types.ts'

const pair = async (t: Test): Promise<[sender: UdpSocket, reader: Required<UdpSocket>]> => [await bound(t), await bound(t) as Required<UdpSocket>]

const turns = async (count: number): Promise<void> => { for (let i = 0; i < count; i++) await turn() }

/** A reader that notes what it gets, and is busy from the first batch on until it is released. */
function busyReader (note: (batch: Batch<Datagram>) => void = () => {}): { take: Take<Datagram>, calls: () => number, release: () => void } {
  let calls = 0
  let release = (): void => {}
  const released = new Promise<void>((resolve) => { release = resolve })
  return {
    calls: () => calls,
    release: () => { release() },
    take: async (batch) => {
      calls++
      await released
      note(batch)
    }
  }
}

t.test('a batch stays as it is while its reader is busy, whatever other sockets read; nothing more is read meanwhile', ifNative, async (t) => {
  const [sender, reader] = await pair(t)
  const others = await Promise.all(Array.from({ length: 3 }, () => bound(t)))
  const got: string[] = []
  const { take, calls, release } = busyReader((batch) => { got.push(...batch.map(textOf)) })
  const leave = new AbortController()
  const reading = reader.flow(take, leave.signal)
  const busyToo = busyReader()
  void (others[0] as Required<UdpSocket>).flow(busyToo.take)
  const texts = Array.from({ length: 20 }, (_, i) => `first ${i}`.padEnd(500))
  sender.port.send([...texts.map((text) => to(reader.local, text)), to(others[0].local, 'busy too')])
  await until(() => calls() > 0 && busyToo.calls() > 0)
  for (let round = 0; round < 5; round++) {
    sender.port.send([to(reader.local, 'later'), ...others.slice(1).flatMap((other) => Array.from({ length: 30 }, (_, i) => to(other.local, `${round} ${i}`.padEnd(500, '#'))))])
    for (const other of others.slice(1)) await heard(other, 30)
  }
  const before = process.cpuUsage()
  await new Promise((resolve) => { setTimeout(resolve, 100) })
  const { user, system } = process.cpuUsage(before)
  t.ok(user + system < 90_000, `it does not spin: ${user + system} µs of 100 ms`)
  t.equal(calls(), 1)
  t.same(got, [])
  release()
  await until(() => got.length === texts.length + 5)
  t.same(got, [...texts, ...Array(5).fill('later')])
  leave.abort()
  await reading
})

t.test('what has come before comes first, in batches and in order; a busy reader of it holds up the rest as well', ifNative, async (t) => {
  const [sender, reader] = await pair(t)
  for (let i = 0; i < 10; i++) sender.port.send([to(reader.local, `early ${i}`)])
  await turns(20) // it has been read from the system
  sender.port.send([to(reader.local, 'late')])
  const got: string[] = []
  const { take, calls, release } = busyReader((batch) => { got.push(...batch.map(textOf)) })
  const reading = reader.flow(take)
  sender.port.send([to(reader.local, 'later')])
  await turns(20)
  t.equal(calls(), 1)
  release()
  await until(() => got.length === 12)
  t.same(got, [...Array.from({ length: 10 }, (_, i) => `early ${i}`), 'late', 'later'])
  reader.close()
  await reading
})

t.test('a socket has one reader', ifNative, async (t) => {
  const [sender, reader] = await pair(t)
  const leave = new AbortController()
  const got: string[] = []
  const reading = reader.flow((batch) => { got.push(...batch.map(textOf)) }, leave.signal)
  t.match(await failureOf(reader.flow(() => {})), { code: 'ERR_LINK_BUSY' })
  t.throws(() => reader.source[Symbol.asyncIterator](), { code: 'ERR_LINK_BUSY' })
  sender.port.send([to(reader.local, 'one')])
  await until(() => got.length === 1)
  leave.abort()
  await reading
  const next = heard(reader, 1)
  t.match(await failureOf(reader.flow(() => {})), { code: 'ERR_LINK_BUSY' }, 'also when the other one pulls')
  sender.port.send([to(reader.local, 'two')])
  t.same(await next, ['two'])
  t.same(got, ['one'])
})

t.test('a signal ends the reading once the reader is not busy; source gets the rest', ifNative, async (t) => {
  const [sender, reader] = await pair(t)
  const got: string[] = []
  const { take, calls, release } = busyReader((batch) => { got.push(...batch.map(textOf)) })
  const leave = new AbortController()
  let isOver = false
  const reading = reader.flow(take, leave.signal).then(() => { isOver = true })
  sender.port.send([to(reader.local, 'one')])
  await until(() => calls() === 1)
  sender.port.send([to(reader.local, 'two')])
  leave.abort()
  await turns(20)
  t.equal(isOver, false, 'its memory is in use')
  release()
  await reading
  sender.port.send([to(reader.local, 'three')])
  t.same([got, await heard(reader, 2), calls()], [['one'], ['two', 'three'], 1])
  await reader.flow(() => { t.fail('not called') }, AbortSignal.abort())
  sender.port.send([to(reader.local, 'four')])
  t.same(await heard(reader, 1), ['four'])
})

t.test('a signal that is aborted by the reader itself: the rest of what has come is there for the next one', ifNative, async (t) => {
  const [sender, reader] = await pair(t)
  const leave = new AbortController()
  const got: string[] = []
  const reading = reader.flow((batch) => {
    got.push(...batch.map(textOf))
    leave.abort()
  }, leave.signal)
  const all = Array.from({ length: 200 }, (_, i) => `${i}`.padEnd(20 + i)) // no two are grouped
  sender.port.send(all.map((text) => to(reader.local, text)))
  await reading
  t.ok(got.length < all.length, `${got.length} in the first batch`)
  t.same([...got, ...await heard(reader, all.length - got.length)], all)
})

t.test('what a reader throws ends the reading; source gets the rest', ifNative, async (t) => {
  for (const fail of [() => { throw new Error('enough') }, async () => { await turn(); throw new Error('enough') }]) {
    const [sender, reader] = await pair(t)
    let calls = 0
    const reading = failureOf(reader.flow(() => {
      calls++
      return fail()
    }))
    sender.port.send([to(reader.local, 'one')])
    t.match(await reading, { message: 'enough' })
    sender.port.send([to(reader.local, 'two')])
    t.same([await heard(reader, 1), calls], [['two'], 1])
  }
})

t.test('close while the reader is busy waits for it, abort does not; its memory stays in either case', ifNative, async (t) => {
  for (const end of ['close', 'abort'] as const) {
    const [sender, reader] = await pair(t)
    const got: string[] = []
    const { take, calls, release } = busyReader((batch) => { got.push(...batch.map(textOf)) })
    const reason = new Error('boom')
    let ended: unknown
    const reading = reader.flow(take).then(() => { ended = 'closed' }, (err) => { ended = err })
    const texts = Array.from({ length: 10 }, (_, i) => `${i}`.padEnd(600))
    sender.port.send(texts.map((text) => to(reader.local, text)))
    await until(() => calls() === 1)
    if (end === 'close') reader.close()
    else reader.abort(reason)
    await turns(10)
    t.equal(ended, end === 'close' ? undefined : reason)
    const other = await bound(t)
    sender.port.send(texts.map((text) => to(other.local, text.toUpperCase().replaceAll(' ', '#'))))
    await heard(other, 10)
    release()
    await reading
    await turns(2)
    t.equal(ended, end === 'close' ? 'closed' : reason)
    t.same(got, texts)
  }
})

t.test('a reader that is busy with what has come before flow: close waits, abort ends it', ifNative, async (t) => {
  for (const end of ['close', 'abort'] as const) {
    const [sender, reader] = await pair(t)
    sender.port.send([to(reader.local, 'early')])
    await turns(20)
    const { take, calls, release } = busyReader()
    let ended: unknown
    const reading = reader.flow(take).then(() => { ended = 'closed' }, (err) => { ended = err })
    await until(() => calls() === 1)
    const reason = new Error('boom')
    if (end === 'close') reader.close()
    else reader.abort(reason)
    await turns(10)
    t.equal(ended, end === 'close' ? undefined : reason)
    release()
    await reading
    t.equal(ended, end === 'close' ? 'closed' : reason)
  }
})

t.test('a reader that closes its socket, or aborts it, is not called again', ifNative, async (t) => {
  for (const end of ['close', 'abort'] as const) {
    const [sender, reader] = await pair(t)
    let calls = 0
    const reading = reader.flow(() => {
      calls++
      if (end === 'close') reader.close()
      else reader.abort(new Error('boom'))
    })
    sender.port.send(Array.from({ length: 100 }, (_, i) => to(reader.local, 'x'.repeat(i))))
    if (end === 'close') await reading
    else t.match(await failureOf(reading), { message: 'boom' })
    await turns(5)
    t.equal(calls, 1)
    t.equal(reader.port.send([to(sender.local, 'late')]), 0)
  }
})

t.test('a reader that answers what it reads, and one that answers to a socket which is read in turn', ifNative, async (t) => {
  const [client, server] = await pair(t) as [Required<UdpSocket>, Required<UdpSocket>]
  const reading = server.flow((batch) => { server.port.send(batch.map(({ data, host, port }) => ({ data: Buffer.from(data), host, port }))) })
  let rounds = 0
  const answers: string[] = []
  const playing = client.flow((batch) => {
    answers.push(...batch.map(textOf))
    if (answers.length < ++rounds * 50) rounds--
    else if (rounds < 10) client.port.send(Array.from({ length: 50 }, (_, i) => to(server.local, `${rounds * 50 + i}`)))
    else client.close()
  })
  client.port.send(Array.from({ length: 50 }, (_, i) => to(server.local, `${i}`)))
  await playing
  t.same(answers, Array.from({ length: 500 }, (_, i) => `${i}`))
  server.close()
  await reading
})

/** What every socket for datagrams promises, whatever is below it. */
import type { Test } from 'tap'
import { failureOf, until } from '../ends.ts'
import { consume } from '../../../src/streams/consume.ts'
import type { Datagram, DatagramSocket, Endpoint } from '../../../src/types.ts'

export interface DatagramSubject {
  name: string
  /** A new socket that those of the same test reach. Its limits in bytes, where they are given. */
  bind (t: Test, init?: { sendLimit?: number, receiveLimit?: number }): Promise<DatagramSocket>
  /** Bytes of the largest datagram. */
  largest: number
  /** The system takes more at once than the test sends. */
  isUnlimited?: boolean
}

const to = ({ host, port }: Endpoint, text: string): Datagram => ({ data: Buffer.from(text), host, port })

/** The next so many datagrams, as text and by whom. */
async function take (socket: DatagramSocket, count: number): Promise<Array<[text: string, port: number]>> {
  const got: Array<[string, number]> = []
  const reads = socket.source[Symbol.asyncIterator]()
  while (got.length < count) {
    const { done, value } = await reads.next()
    if (done === true) break
    got.push(...value.map(({ data, port }): [string, number] => [Buffer.from(data).toString(), port]))
  }
  return got
}

export function datagramContract (t: Test, { name, bind, largest, isUnlimited = false }: DatagramSubject): void {
  t.test(`${name}: each datagram keeps its bounds and names its sender, to whom an answer goes back`, async (t) => {
    const [a, b, c] = [await bind(t), await bind(t), await bind(t)]
    t.equal(a.port.send([to(c.local, 'one'), to(c.local, ''), to(b.local, 'two')]), 3, 'one batch to several')
    t.same(await take(c, 2), [['one', a.local.port], ['', a.local.port]])
    const [[text, port]] = await take(b, 1)
    t.equal(text, 'two')
    b.port.send([to({ host: a.local.host, port }, 'answer')])
    t.same(await take(a, 1), [['answer', b.local.port]])
  })

  t.test(`${name}: many senders, one reader`, async (t) => {
    const reader = await bind(t)
    const senders = await Promise.all(Array.from({ length: 5 }, () => bind(t)))
    for (const sender of senders) sender.port.send([to(reader.local, 'x')])
    const got = await take(reader, 5)
    t.same(got.map(([, port]) => port).sort(), senders.map(({ local }) => local.port).sort())
  })

  t.test(`${name}: sending never waits; beyond the limit whole batches are dropped, until there is room again`, async (t) => {
    const limit = 1000
    const [sender, reader] = [await bind(t, { sendLimit: limit }), await bind(t)]
    const batch = [to(reader.local, 'x'.repeat(300)), to(reader.local, 'y'.repeat(300))]
    t.equal(sender.port.limit, limit)
    t.equal(sender.port.queued, 0)
    let taken = 0
    for (let i = 0; i < 100; i++) taken += sender.port.send(batch)
    t.equal(taken % 2, 0, 'all of a batch or nothing')
    t.ok(taken > 0 && (isUnlimited || taken < 200))
    t.ok(sender.port.queued < limit + 600, 'passed by at most one batch')
    await sender.port.drained?.()
    t.equal(sender.port.send(batch), 2)
    t.equal((await take(reader, taken + 2)).length, taken + 2, 'what was taken arrives')
  })

  t.test(`${name}: a datagram that cannot be takes its batch along`, async (t) => {
    const [sender, reader] = [await bind(t), await bind(t)]
    t.equal(sender.port.send([to(reader.local, 'small'), to(reader.local, 'x'.repeat(largest + 1))]), 0)
    t.equal(sender.port.queued, 0)
    t.equal(sender.port.send([to(reader.local, 'x'.repeat(largest))]), 1)
    t.equal((await take(reader, 1))[0][0].length, largest)
  })

  t.test(`${name}: what a busy reader has no room for is counted`, async (t) => {
    const [sender, reader] = [await bind(t), await bind(t, { receiveLimit: 1000 })]
    t.equal(reader.receiveLimit, 1000)
    for (let i = 0; i < 50; i++) {
      t.equal(sender.port.send([to(reader.local, `${i}`.padStart(100))]), 1)
      await sender.port.drained?.()
    }
    await until(() => reader.dropped >= 39)
    const reads = reader.source[Symbol.asyncIterator]()
    let got = 0
    while (got + reader.dropped < 50) got += (await reads.next()).value.length
    t.equal(got + reader.dropped, 50, 'all others are there')
  })

  t.test(`${name}: memory that is received is the reader's, and that which is sent is only read`, async (t) => {
    const [sender, reader, other] = [await bind(t), await bind(t), await bind(t)]
    const data = Buffer.from('shared')
    sender.port.send([{ data, ...reader.local }, { data, ...other.local }])
    for (const socket of [reader, other]) {
      const { value } = await socket.source[Symbol.asyncIterator]().next()
      t.equal(Buffer.from(value[0].data).toString(), 'shared')
      value[0].data.fill(0xaa)
    }
    t.equal(data.toString(), 'shared')
  })

  t.test(`${name}: a function reads it as it reads a link, until its signal`, async (t) => {
    const [sender, reader] = [await bind(t), await bind(t)]
    const leave = new AbortController()
    const got: string[] = []
    const reading = consume<Datagram>(reader, (batch) => {
      got.push(...batch.map(({ data }) => Buffer.from(data).toString()))
      if (got.length === 2) leave.abort()
    }, leave.signal)
    sender.port.send([to(reader.local, 'one'), to(reader.local, 'two')])
    await reading
    t.same(got, ['one', 'two'])
  })

  t.test(`${name}: close ends it, abort with its error; neither sends any more`, async (t) => {
    const [sender, closed, aborted] = [await bind(t), await bind(t, { receiveLimit: 1 }), await bind(t)]
    sender.port.send([to(closed.local, 'last'), to(closed.local, 'dropped')])
    await until(() => closed.dropped === 1) // so the other one has come
    closed.close()
    closed.close()
    t.same(await take(closed, 2), [['last', sender.local.port]], 'what has come is still read')
    const reason = new Error('boom')
    const reading = failureOf(take(aborted, 1))
    aborted.abort(reason)
    aborted.abort(new Error('a second one changes nothing'))
    t.equal(await reading, reason)
    for (const socket of [closed, aborted]) t.equal(socket.port.send([to(sender.local, 'late')]), 0)
    t.equal(sender.port.send([to(closed.local, 'nobody')]), 1, 'nobody there is no error')
  })
}

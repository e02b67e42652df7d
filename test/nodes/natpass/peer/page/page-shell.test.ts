/** Browsers that come and go. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { bytes, drain, first, standstill, texts, turn, until } from '../../../../helpers/ends.ts'
import { testPage } from '../../../../helpers/natpass/page.ts'
import { consume } from '../../../../../src/streams/consume.ts'

t.test('attaching again', async (t) => {
  const { ask, attach, opened, clock, page } = await testPage(t)
  await ask('POST', '/new')
  const [{ end }] = opened
  end.port.send(texts('before '))
  const one = await attach('/ws/id0')
  await one.until(() => one.output === 'before ')
  end.port.send(texts('first '))
  await one.until(() => one.output === 'before first ')
  one.raw.terminate()
  await clock.whenSet(30_000)
  end.port.send(texts('missed '))
  clock.advance(29_999)
  const two = await attach(`/ws/id0?from=${one.output.length}`)
  await two.until(() => two.output === 'missed ')
  t.same(two.told, [{ type: 'attached', position: 20, replay: 7, lost: 0 }], 'just what was missed')
  two.raw.send('typed')
  t.equal((await first(end.source)).toString(), 'typed')

  const three = await attach('/ws/id0')
  t.equal(await two.closed, 4001, 'the browser before is told')
  await three.until(() => three.output !== '')
  t.equal(three.output, 'before first missed ', 'a new page gets all that is kept')
  three.raw.close()
  await three.closed
  await clock.whenSet(30_000)
  clock.advance(30_000)
  t.equal(page.shells, 0)
  t.ok(await drain(end.source), 'without a browser the shell is ended')
})

t.test('a shell that no browser attaches to', async (t) => {
  const { ask, refused, opened, clock, page } = await testPage(t, { keepTimeout: 1000 })
  await ask('POST', '/new')
  clock.advance(1000)
  t.ok(await drain(opened[0].end.source))
  t.equal(page.shells, 0)
  t.equal(await refused('/ws/id0'), 404)
})

t.test('a user who leaves for good', async (t) => {
  const { ask, attach, opened, page } = await testPage(t)
  await ask('POST', '/new')
  const one = await attach('/ws/id0')
  const two = await attach('/ws/id0')
  one.raw.close(4002)
  await one.closed
  t.equal(page.shells, 1, 'the shell is not theirs any more')
  two.raw.close(4002)
  t.ok(await drain(opened[0].end.source))
  t.equal(page.shells, 0)
})

t.test('more output than is kept', async (t) => {
  const { ask, attach, opened } = await testPage(t)
  await ask('POST', '/new')
  const [{ end }] = opened
  const size = 1_000_000
  const writing = end.sink((async function * () { for (let i = 0; i < 100; i++) yield [bytes(size / 100, 97 + i % 26)] })())
  await writing
  opened[0].exit({ code: undefined, signal: 15 })
  await turn()
  const socket = await attach('/ws/id0')
  t.equal(await socket.closed, 1000)
  t.same(socket.told, [{ type: 'attached', position: size, replay: 262_144, lost: size - 262_144 }, { type: 'exit', signal: 15 }])
  t.equal(socket.output.length, 262_144)
  const again = await attach('/ws/id0?from=999990')
  await again.closed
  t.equal(again.output, 'v'.repeat(10), 'also after the end')
})

t.test('a connection that is lost and comes back is told to the browser, also to one that attaches meanwhile', async (t) => {
  const { ask, attach, opened } = await testPage(t)
  await ask('POST', '/new')
  const [shell] = opened as any[]
  const one = await attach('/ws/id0')
  shell.isLost = true
  shell.onLost()
  await one.until(() => one.told.length === 2)
  const two = await attach('/ws/id0')
  await two.until(() => two.told.length === 2)
  shell.isLost = false
  shell.onLost()
  await two.until(() => two.told.length === 3)
  t.same([one, two].map(({ told }) => told.map(({ type }) => type)), [['attached', 'waiting'], ['attached', 'waiting', 'back']])
})

t.test('a link that breaks', async (t) => {
  const { ask, attach, opened } = await testPage(t)
  await ask('POST', '/new')
  const socket = await attach('/ws/id0')
  opened[0].link.abort(new Error('the target\nis gone'))
  t.equal(await socket.closed, 1000)
  t.match(socket.told.at(-1), { type: 'lost', reason: /the target/ })
})

t.test('a browser that does not read delays the shell', async (t) => {
  const { ask, attach, opened } = await testPage(t)
  await ask('POST', '/new')
  const [{ end }] = opened
  const socket = await attach('/ws/id0')
  socket.raw.pause()
  let written = 0
  const block = randomBytes(32 * 1024).toString('latin1').replaceAll(/[^a-z]/g, 'x')
  const isOver = end.sink((async function * () {
    for (; written < 100 << 20; written += block.length) yield texts(block)
  })()).catch(() => {})
  await standstill(() => written)
  t.ok(written < 20 << 20, `stalled after ${written} bytes`)
  socket.raw.terminate()
  await isOver
  t.ok(written >= 100 << 20, 'without a browser it goes on')
})

t.test('a shell that does not read delays the browser', async (t) => {
  const { ask, attach, opened } = await testPage(t)
  await ask('POST', '/new')
  const [{ end }] = opened
  const socket = await attach('/ws/id0')
  const [count, size] = [1000, 60_000]
  for (let i = 0; i < count; i++) socket.raw.send(bytes(size, i))
  await standstill(() => socket.raw.bufferedAmount)
  t.ok(socket.raw.bufferedAmount > 10 << 20, `${socket.raw.bufferedAmount} bytes wait in the browser`)
  let heard = 0
  void consume(end, (batch) => { for (const { length } of batch) heard += length }).catch(() => {})
  await until(() => heard === count * size)
  t.pass('all of it arrives')
})

t.test('a browser that is silent', async (t) => {
  const { ask, attach, clock, page } = await testPage(t)
  await ask('POST', '/new')
  const socket = await attach('/ws/id0')
  const ponged = new Promise((resolve) => { socket.raw.once('ping', resolve) })
  clock.advance(15_000)
  await ponged
  await standstill(() => 0) // the answer has arrived
  socket.raw.pause()
  clock.advance(15_000)
  clock.advance(14_999)
  t.same(clock.waiting, [15_000], 'it is given time to answer')
  clock.advance(1)
  socket.raw.resume()
  t.equal(await socket.closed, 1006)
  await clock.whenSet(30_000)
  clock.advance(30_000)
  t.equal(page.shells, 0)
})

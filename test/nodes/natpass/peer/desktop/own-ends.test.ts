/** A desktop between two peers of tunpipe, over a relay, as the browser of its page sees it (natpass protocol, sections 4.2, 4.3 and 6.2). */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { until } from '../../../../helpers/ends.ts'
import { DesktopBrowser } from '../../../../helpers/natpass/desktop.ts'
import { FAKE_PROGRAM, FakeWorkers, isKind, plain, type FakeWorker, type Image } from '../../../../helpers/natpass/fake-workers.ts'
import { ask as askPage, type Answer } from '../../../../helpers/natpass/page.ts'
import { startPeer } from '../../../../helpers/natpass/peers.ts'
import { isRunning } from '../../../../helpers/natpass/pty.ts'
import { serve } from '../../../../helpers/natpass/serve.ts'
import type { NatpassPeer } from '../../../../../src/nodes/natpass/peer/peer.ts'

interface World {
  nas: NatpassPeer
  laptop: NatpassPeer
  workers: FakeWorkers
  ask (method: string, path: string, body?: string): Promise<Answer>
  /** Opens the desktop, whose screen is that image, exact. */
  open (image: () => Image): Promise<{ worker: FakeWorker, id: string }>
  attach (id: string): Promise<DesktopBrowser>
}

async function world (t: Test): Promise<World> {
  const { port } = await serve(t)
  const workers = await FakeWorkers.listen(t)
  const nas = await startPeer(t, port, { allow: ['vnc@laptop'], peerProgram: FAKE_PROGRAM })
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [{ name: workers.rule, target: 'nas', type: 'vnc', fps: 50 }] })
  const url = laptop.status().rules[0].url ?? ''
  const ask: World['ask'] = (method, path, body = '') => askPage(url, method, path, {}, body)
  return {
    nas,
    laptop,
    workers,
    ask,
    async open (image) {
      const asked = ask('POST', '/new?quality=100')
      const worker = await workers.showing(image)
      const { status, body: id } = await asked
      if (status !== 200) throw new Error(id)
      return { worker, id }
    },
    async attach (id) {
      const browser = new DesktopBrowser(new WebSocket(`${url.replace('http', 'ws')}/ws/${id}`))
      t.teardown(() => { browser.raw.terminate() })
      await once(browser.raw, 'open')
      return browser
    }
  }
}

/** Seven numbers before the data of a block. */
const HEAD = 28

const rectangle = (frame: Buffer): number[] => [8, 12, 16, 20].map((at) => frame.readUInt32BE(at))

t.test('pictures, input, choices and the clipboard; another browser; the end', async (t) => {
  const { nas, laptop, open, attach, ask } = await world(t)
  let image = plain(66, 65, 9)
  const { worker, id } = await open(() => image)
  await until(() => worker.captures > 3)
  const browser = await attach(id)
  await browser.until(() => browser.frames.length === 4)
  t.same(browser.frames.map(rectangle), [[0, 0, 64, 64], [64, 0, 2, 64], [0, 64, 64, 1], [64, 64, 2, 1]])
  t.equal(browser.frames[3].toString('hex', 24), '00000000' + '090909ff'.repeat(2))
  const data = Buffer.from(image.data)
  data[(64 * 66 + 65) * 4] = 1
  image = { ...image, data }
  await browser.until(() => browser.frames.length === 5)
  t.equal(browser.frames[4].toString('hex', HEAD), '090909ff' + '010909ff', 'what has changed')
  t.notOk(worker.inbox.some(isKind('setCursor')), 'the first picture was not asked for again')
  browser.do('mouse', { button: 'left', status: 'down', x: 3, y: 4 })
  browser.do('keyboard', { status: 'down', key: 'a' })
  browser.do('scroll', { x: 0, y: -2 })
  t.match([await worker.next(isKind('mouse')), await worker.next(isKind('keyboard')), await worker.next(isKind('scroll'))], [{ mouse: { type: 1, btn: 1, x: 3, y: 4 } }, { keyboard: { type: 1, key: 'a' } }, { scroll: { x: 0, y: -2 } }])
  t.equal((await ask('POST', '/clipboard', 'data=to+the+desktop')).status, 200)
  t.match(await worker.next(isKind('clipboard')), { clipboard: { set: true, data: 'to the desktop' } })
  const text = ask('GET', '/clipboard')
  await worker.next(isKind('clipboard'))
  worker.send({ _type: 6, clipboard: { set: true, _type: 1, data: 'of the desktop' } })
  t.match(await text, { status: 200, body: 'of the desktop' })
  t.equal((await ask('POST', '/ctrl', 'quality=60&show_cursor=1')).status, 200)
  t.equal((await worker.next(isKind('setCursor'))).show_cursor, true)
  await browser.until(() => browser.frames.length === 9)
  t.same(browser.frames.slice(5).map((frame) => frame.readUInt32BE(24)), [1, 1, 1, 1], 'JPEG')
  const other = await attach(id)
  t.equal(await browser.closed, 4001)
  t.match([await worker.next(isKind('mouse')), await worker.next(isKind('keyboard'))], [{ mouse: { type: 2, btn: 1 } }, { keyboard: { type: 2, key: 'a' } }], 'nothing stays pressed')
  await other.until(() => other.frames.length === 4)
  t.match([nas.status().links, laptop.status().rules[0].links], [1, 1])
  const former = worker.started.pid
  const next = await open(() => plain(1, 1))
  t.equal(await other.closed, 4001)
  await until(() => !isRunning(former))
  const last = await attach(next.id)
  await last.until(() => last.frames.length === 1)
  await nas.close()
  t.equal(await last.closed, 1000)
  t.match(last.told, [{ type: 'lost' }])
  t.notOk(isRunning(next.worker.started.pid))
  await until(() => laptop.status().rules[0].links === 0)
})

t.test('a browser that does not draw: no pictures are taken, nothing is lost, and other links go on', async (t) => {
  const { open, attach, nas } = await world(t)
  let value = 0
  const { worker, id } = await open(() => plain(640, 480, ++value & 0xff))
  const browser = await attach(id)
  browser.do('drawn', { bytes: 0 })
  await browser.until(() => browser.frames.length >= 256)
  for (let x = 0; x < 200; x++) { // in this time more would be taken
    browser.do('mouse', { x, y: 6 })
    const { mouse } = await worker.next(isKind('mouse'))
    if (mouse?.x !== x) t.fail('what it does has not arrived')
  }
  const { captures } = worker
  t.ok(captures <= 5, `${captures} pictures of 1.2 MB, of which 4 MiB are not drawn`)
  let told = 0
  const draw = (): void => {
    browser.do('drawn', { bytes: browser.frames.slice(told).reduce((sum, { length }) => sum + length, 0) })
    told = browser.frames.length
  }
  while (worker.captures < captures + 10) {
    draw()
    const before = browser.frames.length
    await browser.until(() => browser.frames.length > before)
  }
  let [x, y] = [0, 0]
  for (const frame of browser.frames) {
    if (frame.readUInt32BE(8) !== x || frame.readUInt32BE(12) !== y) t.fail('a block is missing')
    x = (x + 64) % 640
    if (x === 0) y = (y + 64) % 512
  }
  t.ok(browser.frames.length > 80 * 8, `${browser.frames.length} blocks in their order`)
  t.equal(nas.status().links, 1)
})

t.test('what the other end refuses, and one without an allowance', async (t) => {
  const { ask, workers, nas } = await world(t)
  const asked = ask('POST', '/new')
  const worker = await workers.next()
  await worker.connect()
  await worker.next()
  worker.answer({ ok: false, msg: 'there is no display' })
  t.match(await asked, { status: 502, body: /there is no display/ })
  t.equal(nas.status().links, 0)
  const { port } = await serve(t)
  await startPeer(t, port, {})
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [{ name: 'desk', target: 'nas', type: 'vnc' }] })
  t.match(await askPage(laptop.status().rules[0].url ?? '', 'POST', '/new', {}, ''), { status: 502, body: /vnc is not allowed here/ })
})

/** When pictures are taken. */
import t from 'tap'
import { ManualClock } from '../../../../helpers/clock.ts'
import { turn, until } from '../../../../helpers/ends.ts'
import type { Picture } from '../../../../../src/nodes/natpass/peer/desktop/blocks.ts'
import { ServedDesktop, type DesktopRequest, type DesktopWorker } from '../../../../../src/nodes/natpass/peer/desktop/served-desktop.ts'
import { MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'
import { bodyOf, messageOfBody, type MessageInit } from '../../../../../src/nodes/natpass/protocol/messages.ts'
import { AsyncQueue } from '../../../../../src/streams/async-queue.ts'
import type { Batch } from '../../../../../src/types.ts'

/** A process whose screen is another one each time. */
class Changing implements DesktopWorker {
  onClipboard = (): void => {}
  captures = 0
  fail: (err: Error) => void = () => {}
  readonly failed = new Promise<Error>((resolve) => { this.fail = resolve })

  async capture (): Promise<Picture> { return { width: 700, height: 64, pixels: Buffer.alloc(700 * 64 * 4, ++this.captures) } }
  send (): undefined {}
  async close (): Promise<void> {}
}

interface Serving {
  clock: ManualClock
  worker: Changing
  viewer: AsyncQueue
  /** Reads one batch. */
  pull: () => Promise<MessageInit[]>
  ended: Promise<Error>
}

/** A desktop whose link takes what the test pulls, and no more. */
async function serving (request: DesktopRequest): Promise<Serving> {
  const [clock, worker, viewer] = [new ManualClock(), new Changing(), new AsyncQueue()]
  const desktop = await ServedDesktop.open({ worker, request: { quality: 100, ...request }, jpeg: undefined, clock })
  let source: AsyncIterator<Batch> | undefined
  let fail: (err: Error) => void = () => {}
  const ended = desktop.serve({
    halfClose: true,
    source: viewer,
    sink: (batches) => {
      source = batches[Symbol.asyncIterator]()
      return new Promise((_resolve, reject) => { fail = reject })
    },
    abort: (err) => { fail(err) }
  })
  return { clock, worker, viewer, ended, pull: async () => (await source?.next())?.value.map(messageOfBody) }
}

/** Reads a whole picture, which has two batches. */
async function picture ({ pull }: Serving): Promise<number[]> {
  const all = [...await pull(), ...await pull()]
  return all.map(({ vimg }) => vimg?._info?.rect_x ?? 0)
}

const ALL = [0, 64, 128, 192, 256, 320, 384, 448, 512, 576, 640]

for (const [fps, interval] of [[undefined, 100], [0, 100], [1, 1000], [50, 20], [51, 20], [0xffffffff, 20]] as const) {
  t.test(`pictures a second: ${fps ?? 'not said'}`, async (t) => {
    const all = await serving({ fps })
    t.same(await picture(all), ALL)
    const next = picture(all)
    await all.clock.whenSet(interval)
    t.equal(all.worker.captures, 1)
    all.clock.advance(interval)
    t.same(await next, ALL)
    t.equal(all.worker.captures, 2)
    all.clock.advance(10 * interval)
    t.same(await picture(all), ALL, 'no wait when the viewer was slow')
    const fourth = picture(all)
    await all.clock.whenSet(interval)
    t.equal(all.worker.captures, 3, 'and what was not taken meanwhile is not made up for')
    all.worker.fail(new Error('over'))
    await fourth.catch(() => {})
  })
}

t.test('a timer that fires late delays one picture, and not the next one', async (t) => {
  const all = await serving({ fps: 10 })
  await picture(all)
  const second = picture(all)
  await all.clock.whenSet(100)
  all.clock.advance(130)
  await second
  const third = picture(all)
  await until(() => all.clock.waiting.length > 0)
  t.same(all.clock.waiting.map(Math.round), [70])
  all.worker.fail(new Error('over'))
  await third.catch(() => {})
})

t.test('twenty pictures a second are twenty, with timers that are late and pictures that take longer than their time', async (t) => {
  const all = await serving({ fps: 20 })
  await picture(all)
  const start = all.clock.now()
  for (let i = 0; i < 100; i++) {
    const next = picture(all)
    const pauses = (): number[] => all.clock.waiting.filter((ms) => ms <= 50) // and not that for the link to take the picture
    for (let turns = 0; turns < 20 && pauses().length === 0; turns++) await turn() // none where the picture is late already
    const [wait = 0] = pauses()
    all.clock.advance(wait + 3)
    await next
    if (i % 10 === 0) all.clock.advance(60) // to encode it
  }
  t.equal(all.worker.captures, 101)
  const seconds = (all.clock.now() - start) / 1000
  t.ok(seconds < 5.01, `100 pictures in ${seconds} s`)
  const last = picture(all)
  await until(() => all.clock.waiting.length > 0)
  all.worker.fail(new Error('over'))
  await last.catch(() => {})
})

t.test('no picture is taken while the link has not taken all of the one before', async (t) => {
  const all = await serving({ fps: 50 })
  t.equal((await all.pull()).length, 8)
  all.clock.advance(1000)
  for (let i = 0; i < 20; i++) await turn()
  t.equal(all.worker.captures, 1)
  all.worker.fail(new Error('over'))
  t.match(await all.ended, { message: 'over' }, 'it ends although nobody reads')
})

t.test('a flood of vnc_ctrl: one whole picture', async (t) => {
  const all = await serving({ fps: 50 })
  await picture(all)
  const control = bodyOf({ _type: MessageType.vncControl, vctrl: { quality: 100 } })
  let taken = 0
  all.viewer.pushBatch(Array.from({ length: 1000 }, () => control))
  await until(() => taken++ > 20)
  const next = picture(all)
  await all.clock.whenSet(20)
  all.clock.advance(20)
  t.same(await next, ALL)
  t.equal(all.worker.captures, 2)
  all.worker.fail(new Error('over'))
  await all.ended
})

t.test('the end of what the viewer says is the end of the desktop', async (t) => {
  const all = await serving({})
  all.viewer.end()
  t.match(await all.ended, { code: 'ERR_LINK_CLOSED' })
})

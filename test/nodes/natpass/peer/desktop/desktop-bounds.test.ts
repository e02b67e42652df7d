/** Who may have a desktop open, and who makes room for another (natpass protocol, section 4.2). */
import t, { type Test } from 'tap'
import { ManualClock } from '../../../../helpers/clock.ts'
import { until } from '../../../../helpers/ends.ts'
import { FAKE_PROGRAM, FakeWorkers, plain, type FakeWorker } from '../../../../helpers/natpass/fake-workers.ts'
import { isRunning } from '../../../../helpers/natpass/pty.ts'
import { Desktops } from '../../../../../src/nodes/natpass/peer/desktop/desktops.ts'
import type { LinkRequest, LinkResponse } from '../../../../../src/nodes/natpass/protocol/link-codec.ts'
import { LINK_TYPES, MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'
import { bodyOf } from '../../../../../src/nodes/natpass/protocol/messages.ts'
import { RateLimitedLog } from '../../../../../src/limits/rate-limited-log.ts'
import { silent } from '../../../../../src/log.ts'
import { AsyncQueue } from '../../../../../src/streams/async-queue.ts'
import type { MuxLink, Opening } from '../../../../../src/transforms/link-mux/index.ts'
import type { Batch } from '../../../../../src/types.ts'

const MINUTE = 60_000

/** A viewer. */
class Viewer {
  readonly viewed = new AsyncQueue()
  /** Why its link has ended. */
  readonly ended: Promise<Error>
  /** Why it was refused, or undefined once it has ended. */
  readonly served: Promise<Error | undefined>
  readonly opening: Opening<LinkRequest, LinkResponse>
  isOpen = false
  #end: (err: Error) => void = () => {}

  /** @param takes - pictures, as fast as they come */
  constructor (desktops: Desktops, client: string, name: string, { halfClose = false, takes = true }: { halfClose?: boolean, takes?: boolean } = {}) {
    this.ended = new Promise((resolve) => { this.#end = resolve })
    const link = {
      id: '1',
      halfClose,
      source: this.viewed,
      sink: (source: AsyncIterable<Batch>) => this.#read(source, takes ? Infinity : 1),
      abort: (err: Error) => {
        this.viewed.end()
        this.#end(err)
      }
    } as unknown as MuxLink<LinkResponse>
    this.opening = { id: '1', request: { client, request: { name, _type: LINK_TYPES.indexOf('vnc'), cvnc: { fps: 50, quality: 100 } } }, isPending: true, signal: new AbortController().signal, accept: () => link, reject () {} }
    this.served = desktops.serve(this.opening, () => { this.isOpen = true }, () => {}).then(() => undefined, (err: Error) => err)
  }

  async #read (source: AsyncIterable<Batch>, count: number): Promise<void> {
    const batches = source[Symbol.asyncIterator]()
    for (let i = 0; i < count; i++) if ((await batches.next()).done === true) return
    throw await this.ended
  }

  says (): void { this.viewed.push(bodyOf({ _type: MessageType.vncMouse, vmouse: { x: 0, y: 0 } })) }
}

interface World {
  clock: ManualClock
  /** Opens a desktop and waits until it is open. @param rule - a number: one of eight and more rules of each client */
  open (client: string, rule: number, init?: ConstructorParameters<typeof Viewer>[3]): Promise<Opened>
  ask (client: string, rule: number): Viewer
  /** The next process that was started. */
  next (): Promise<FakeWorker>
}

interface Opened { viewer: Viewer, worker: FakeWorker }

async function world (t: Test): Promise<World> {
  const [clock, workers] = [new ManualClock(), await FakeWorkers.listen(t)]
  const desktops = new Desktops({ program: FAKE_PROGRAM, clock, log: new RateLimitedLog(silent) })
  t.teardown(() => desktops.close(new Error('the test is over')))
  const nameOf = (rule: number): string => `${'0'.repeat(rule)}${workers.rule}` // a port all the same
  return {
    clock,
    ask: (client, rule) => new Viewer(desktops, client, nameOf(rule)),
    next: () => workers.next(),
    async open (client, rule, init) {
      const viewer = new Viewer(desktops, client, nameOf(rule), init)
      const worker = await workers.showing(() => plain(1, 1, Math.random() * 256))
      await until(() => viewer.isOpen)
      return { viewer, worker }
    }
  }
}

const isGone = async ({ started: { pid } }: FakeWorker): Promise<void> => { await until(() => !isRunning(pid)) }

t.test('four of a client, eight in all', async (t) => {
  const { open, ask } = await world(t)
  for (const rule of [0, 1, 2, 3]) await open('a', rule)
  t.match(await ask('a', 4).served, { code: 'ERR_DESKTOP_LIMIT', message: '4 desktops of this client are open here' })
  const others = [await open('b', 0), await open('b', 1), await open('c', 0), await open('c', 1)]
  t.match(await ask('d', 0).served, { code: 'ERR_DESKTOP_LIMIT', message: 'too many desktops are open here' })
  others[1].viewer.viewed.end()
  await others[1].viewer.served
  t.ok((await open('d', 0)).viewer.isOpen, 'there is room again')
})

t.test('a client that opens a rule again ends what it had of it, and nothing else', async (t) => {
  const { open } = await world(t)
  const [first, other, namesake] = [await open('a', 0), await open('a', 1), await open('b', 0)]
  const second = await open('a', 0)
  t.match(await first.viewer.ended, { code: 'ERR_LINK_CLOSED', message: 'its client has opened it again' })
  t.notOk(isRunning(first.worker.started.pid), 'its process has ended before the next one was started')
  for (const { worker } of [other, namesake, second]) t.ok(isRunning(worker.started.pid))
})

t.test('again and again, while they are not open yet: the last one counts', async (t) => {
  const { ask, next } = await world(t)
  const first = ask('a', 0)
  const worker = await next()
  const more = Array.from({ length: 20 }, () => ask('a', 0))
  for (const { served } of [first, ...more.slice(0, -1)]) t.match(await served, { message: 'its client has opened it again' })
  await isGone(worker)
  const last = await next()
  last.shows(() => plain(1, 1))
  await last.connect()
  await until(() => more.at(-1)?.isOpen === true)
})

t.test('with all places of a client taken, its own rules can still be opened again', async (t) => {
  const { open, ask } = await world(t)
  const former = []
  for (const rule of [0, 1, 2, 3]) former.push(await open('a', rule))
  for (const rule of [0, 1, 2, 3]) await open('a', rule)
  for (const { worker } of former) t.notOk(isRunning(worker.started.pid))
  t.match(await ask('a', 4).served, { code: 'ERR_DESKTOP_LIMIT' })
})

t.test('viewers of the original that have left without a word make room after five minutes, the one that was silent longest first', async (t) => {
  const { open, ask, clock } = await world(t)
  const viewers = [await open('a', 0), await open('a', 1), await open('a', 2), await open('a', 3)]
  clock.advance(1)
  viewers[0].viewer.says()
  clock.advance(5 * MINUTE - 2)
  t.match(await ask('a', 4).served, { code: 'ERR_DESKTOP_LIMIT' }, 'not yet')
  await until(() => viewers[0].viewer.viewed.size === 0)
  clock.advance(1)
  await open('a', 4)
  t.match(await viewers[1].viewer.ended, { code: 'ERR_DESKTOP_LIMIT', message: 'nothing was heard of its viewer, and others need the room' })
  await open('a', 5)
  await viewers[2].viewer.ended
  t.ok(isRunning(viewers[0].worker.started.pid))
  await open('b', 0)
  t.ok(isRunning(viewers[3].worker.started.pid), 'nobody leaves while there is room')
})

t.test('viewers with credit make room when they take no pictures, and not while they do', async (t) => {
  const { open, ask, clock } = await world(t)
  const taking = []
  for (const rule of [0, 1, 2]) taking.push(await open('a', rule, { halfClose: true }))
  const stuck = await open('a', 3, { halfClose: true, takes: false })
  clock.advance(5 * MINUTE - 1)
  t.match(await ask('a', 4).served, { code: 'ERR_DESKTOP_LIMIT' })
  clock.advance(1)
  await open('a', 4)
  t.match(await stuck.viewer.ended, { code: 'ERR_DESKTOP_LIMIT' })
  for (const { worker } of taking) t.ok(isRunning(worker.started.pid))
  t.match(await ask('a', 5).served, { code: 'ERR_DESKTOP_LIMIT' })
})

t.test('a viewer that takes no picture for half an hour', async (t) => {
  const { open, clock } = await world(t)
  const stuck = await open('a', 0, { halfClose: true, takes: false })
  clock.advance(30 * MINUTE)
  t.match(await stuck.viewer.ended, { code: 'ERR_DESKTOP_VIEWER', message: 'the viewer has taken no picture for 30 minutes' })
  await isGone(stuck.worker)
})

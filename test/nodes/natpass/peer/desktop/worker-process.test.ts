/** The process that captures the screen: how it is started, known and ended. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { ManualClock } from '../../../../helpers/clock.ts'
import { failureOf, until } from '../../../../helpers/ends.ts'
import { FAKE_PROGRAM, FakeWorkers, isKind, plain, type FakeWorker } from '../../../../helpers/natpass/fake-workers.ts'
import { isRunning } from '../../../../helpers/natpass/pty.ts'
import { WorkerProcess } from '../../../../../src/nodes/natpass/peer/desktop/worker-process.ts'
import { WorkerMessageType } from '../../../../../src/nodes/natpass/peer/desktop/worker/worker-messages.ts'

interface Starting {
  workers: FakeWorkers
  clock: ManualClock
  starting: Promise<WorkerProcess>
  stopped: AbortController
}

async function starting (t: Test, { program = FAKE_PROGRAM } = {}): Promise<Starting> {
  const workers = await FakeWorkers.listen(t)
  const [clock, stopped] = [new ManualClock(), new AbortController()]
  const starting = WorkerProcess.start({ program, rule: workers.rule, clock, signal: stopped.signal })
  starting.catch(() => {})
  return { workers, clock, starting, stopped }
}

/** Both sides of one that has connected. */
async function started (t: Test): Promise<{ worker: WorkerProcess, fake: FakeWorker, clock: ManualClock }> {
  const { workers, clock, starting: start } = await starting(t)
  const fake = await workers.next()
  await fake.connect()
  const worker = await start
  t.teardown(() => worker.close(new Error('the test is over')))
  return { worker, fake, clock }
}

const isGone = async ({ started: { pid } }: FakeWorker): Promise<void> => { await until(() => !isRunning(pid)) }

t.test('it is told a rule, a port and a token, and no secrets of this process', async (t) => {
  process.env.TUNPIPE_SECRET = 'a secret'
  t.teardown(() => { delete process.env.TUNPIPE_SECRET })
  const { worker, fake: { started: { args, port, token, variables } } } = await started(t)
  t.same(args.slice(0, 2), ['natpass', 'vnc.worker'])
  t.ok(port >= 6155 && port <= 6955, `port ${port}`)
  t.match(token, /^[\da-f]{64}$/)
  t.notOk(args.join().includes(token), 'every user of the machine can see arguments')
  t.same(variables.filter((name) => name.startsWith('TUNPIPE_')), ['TUNPIPE_WORKER_TOKEN'])
  t.ok(variables.includes('PATH'), 'and DISPLAY, where there is one')
  await worker.close(new Error('over'))
})

t.test('a name of a rule that looks like an option, with bytes that no argument has', async (t) => {
  const worker = await failureOf(WorkerProcess.start({ program: FAKE_PROGRAM, rule: '--x\0y', clock: new ManualClock(), signal: new AbortController().signal }))
  t.match(worker, { code: 'ERR_DESKTOP_WORKER' }, 'started: the fake worker finds no port in it')
})

t.test('only who has the token is let in, once, and nothing listens afterwards', async (t) => {
  const { workers, starting: start } = await starting(t)
  const fake = await workers.next()
  const { started: { token, port } } = fake
  for (const wrong of [null, '', 'Bearer', `Bearer ${token.slice(1)}`, `Bearer ${token}0`, `Bearer ${'0'.repeat(64)}`, token]) t.equal(await fake.connect(wrong), 'refused', JSON.stringify(wrong))
  t.equal((await fetch(`http://127.0.0.1:${port}/`, { headers: { authorization: `Bearer ${token}` } })).status, 401)
  t.equal(await fake.connect(), 'open')
  const worker = await start
  const late = new WebSocket(`ws://127.0.0.1:${port}`, { headers: { authorization: `Bearer ${token}` } })
  t.match(await once(late, 'error'), [{ code: 'ECONNREFUSED' }])
  await worker.close(new Error('over'))
  await isGone(fake)
})

t.test('connections that say nothing are no hindrance, and are ended', async (t) => {
  const { workers, starting: start } = await starting(t)
  const fake = await workers.next()
  const silent = connect(fake.started.port, '127.0.0.1')
  await once(silent, 'connect')
  const closed = once(silent.resume(), 'close')
  await fake.connect()
  const worker = await start
  await closed
  await worker.close(new Error('over'))
})

t.test('the first free port, one for each', async (t) => {
  const [one, other] = [await starting(t), await starting(t)]
  const [first, second] = [await one.workers.next(), await other.workers.next()]
  t.not(first.started.port, second.started.port)
  for (const [fake, start] of [[first, one.starting], [second, other.starting]] as const) {
    await fake.connect()
    await (await start).close(new Error('over'))
  }
  const taken = createServer().listen(first.started.port, '127.0.0.1')
  t.teardown(() => { taken.close() })
  await once(taken, 'listening')
  const { workers, starting: start, stopped } = await starting(t)
  t.not((await workers.next()).started.port, first.started.port)
  stopped.abort(new Error('over'))
  await failureOf(start)
})

t.test('one that does not connect in eight seconds', async (t) => {
  const { workers, clock, starting: start } = await starting(t)
  const fake = await workers.next()
  clock.advance(7999)
  t.equal(await fake.connect('Bearer wrong'), 'refused')
  clock.advance(1)
  t.match(await failureOf(start), { code: 'ERR_DESKTOP_TIMEOUT' })
  await isGone(fake)
})

t.test('one that ends before it connects: what it has complained about is told', async (t) => {
  const { workers, starting: start } = await starting(t)
  const fake = await workers.next()
  fake.exit(3, 'out of\nmemory\n')
  t.match(await failureOf(start), { code: 'ERR_DESKTOP_WORKER', message: /has ended: code 3, out of memory$/ })
})

t.test('a program that is not there', async (t) => {
  const { starting: start } = await starting(t, { program: '/nonexistent.js' })
  t.match(await failureOf(start), { code: 'ERR_DESKTOP_WORKER', message: /has ended: code 1, / })
})

t.test('given up while it is being started', async (t) => {
  const { workers, starting: start, stopped } = await starting(t)
  const fake = await workers.next()
  const reason = new Error('nobody waits any more')
  stopped.abort(reason)
  t.equal(await failureOf(start), reason)
  await isGone(fake)
})

t.test('pictures, unchanged ones, and the clipboard', async (t) => {
  const { worker, fake } = await started(t)
  const first = worker.capture()
  await fake.next()
  fake.answer(plain(2, 1, 7))
  t.match(await first, { width: 2, height: 1, pixels: Buffer.alloc(8, 7) })
  const second = worker.capture()
  await fake.next()
  fake.answer({ width: 2, height: 1 })
  t.equal(await second, undefined)
  const text = new Promise((resolve) => { worker.onClipboard = resolve })
  fake.send({ _type: WorkerMessageType.clipboard, clipboard: { set: true, _type: 1, data: 'copied' } })
  t.equal(await text, 'copied')
  t.equal(worker.send({ _type: WorkerMessageType.setCursor, show_cursor: true }), undefined)
  t.equal((await fake.next(isKind('setCursor'))).show_cursor, true)
})

t.test('one that does not answer', async (t) => {
  const { worker, fake, clock } = await started(t)
  const picture = worker.capture()
  await fake.next()
  clock.advance(10_000)
  t.match(await failureOf(picture), { code: 'ERR_DESKTOP_TIMEOUT' })
  t.match(await worker.failed, { code: 'ERR_DESKTOP_TIMEOUT' })
  t.match(await failureOf(worker.capture()), { code: 'ERR_DESKTOP_TIMEOUT' })
  await isGone(fake)
})

t.test('one that does not read: who sends to it has to wait', async (t) => {
  const { worker, fake } = await started(t)
  fake.deaf()
  const message = { _type: WorkerMessageType.clipboard, clipboard: { set: true, _type: 1, data: 'x'.repeat(48 << 10) } }
  let waiting: Promise<void> | undefined
  for (let i = 0; waiting === undefined && i < 1000; i++) waiting = worker.send(message)
  t.ok(waiting instanceof Promise)
  await worker.close(new Error('over'))
  await waiting
})

for (const [what, say] of Object.entries<(fake: FakeWorker) => void>({
  'text in place of bytes': (fake) => { fake.text('hello') },
  'bytes that are no message': (fake) => { fake.send(Buffer.from('ffffffffff', 'hex')) },
  'a message of the other direction': (fake) => { fake.send({ _type: WorkerMessageType.keyboard, keyboard: { type: 1, key: 'a' } }) },
  'a picture of another size than it says': (fake) => { fake.answer({ ...plain(2, 2), width: 3 }) },
  'a picture of 2^32 - 1 squared': (fake) => { fake.answer({ width: 0xffffffff, height: 0xffffffff }) },
  'an answer without anything in it': (fake) => { fake.send({ _type: WorkerMessageType.captureData }) }
})) {
  t.test(`one that sends ${what} is ended`, async (t) => {
    const { worker, fake } = await started(t)
    const picture = worker.capture()
    await fake.next()
    say(fake)
    t.match(await failureOf(picture), { code: /^ERR_DESKTOP_(?:WORKER|SCREEN)$/ })
    await isGone(fake)
  })
}

t.test('a picture that nobody has asked for', async (t) => {
  const { worker, fake } = await started(t)
  fake.answer(plain(1, 1))
  t.match(await worker.failed, { code: 'ERR_DESKTOP_WORKER' })
  await isGone(fake)
})

t.test('one that ends in the middle', async (t) => {
  const { worker, fake } = await started(t)
  const picture = worker.capture()
  await fake.next()
  fake.exit(9)
  t.match(await failureOf(picture), { code: 'ERR_DESKTOP_WORKER', message: /has ended: code 9$/ })
})

t.test('case 26: it ends with its link, and one that goes on is killed half a second later', async (t) => {
  const { worker, fake, clock } = await started(t)
  await fake.stay()
  const closing = worker.close(new Error('over'))
  await fake.happens('SIGTERM')
  clock.advance(499)
  t.ok(isRunning(fake.started.pid))
  clock.advance(1)
  await closing
  t.notOk(isRunning(fake.started.pid))
  t.same(clock.waiting, [])
})

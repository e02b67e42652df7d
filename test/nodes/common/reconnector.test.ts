/** A peer that connects again, and the events and promises by which it tells of that. */
import { EventEmitter, once } from 'node:events'
import t from 'tap'
import { failureOf } from '../../helpers/ends.ts'
import { tell, untilOnline } from '../../../src/nodes/common/peer-events.ts'
import { Reconnector } from '../../../src/nodes/common/reconnector.ts'
import { systemClock } from '../../../src/streams/clock.ts'

const LONG = 0x7fffffff

t.test('it begins again however a connection has ended, and tells why', async (t) => {
  const stopping = new AbortController()
  const reasons: string[] = []
  const ends = [async () => {}, async () => { throw new Error('reset') }, async () => { stopping.abort() }]
  await new Reconnector({
    clock: systemClock,
    signal: stopping.signal,
    attempt: async () => { await ends.shift()?.() },
    onLost (err) {
      reasons.push(err.message)
      return 0
    }
  }).run()
  t.same(reasons, ['the server has ended the connection', 'reset'], 'the end that was asked for is no loss')
})

t.test('a wait ends when it is woken, also from within, and when it is to stop', async (t) => {
  const stopping = new AbortController()
  let attempts = 0
  const reconnector = new Reconnector({
    clock: systemClock,
    signal: stopping.signal,
    attempt: async () => { attempts++ },
    onLost () {
      if (attempts === 1) reconnector.wake()
      if (attempts === 2) setImmediate(() => { reconnector.wake() })
      if (attempts === 3) setImmediate(() => { stopping.abort() })
      return LONG
    }
  })
  await reconnector.run()
  t.equal(attempts, 3)
})

t.test('a waking that came too soon does not shorten a later wait', async (t) => {
  const stopping = new AbortController()
  let attempts = 0
  const reconnector = new Reconnector({
    clock: systemClock,
    signal: stopping.signal,
    attempt: async () => {
      attempts++
      reconnector.wake()
    },
    onLost () {
      setImmediate(() => { setImmediate(() => { stopping.abort() }) })
      return LONG
    }
  })
  await reconnector.run()
  t.equal(attempts, 1)
})

t.test('what no attempt mends ends it', async (t) => {
  let attempts = 0
  const reconnector = new Reconnector({
    clock: systemClock,
    signal: new AbortController().signal,
    attempt: async () => {
      attempts++
      throw new Error('closed')
    },
    onLost (err) { throw err }
  })
  t.match(await failureOf(reconnector.run()), { message: 'closed' })
  t.equal(attempts, 1)
})

t.test('what a listener throws is an uncaught exception, and no loss', async (t) => {
  const thrown = new Promise((resolve) => { t.intercept(process, 'nextTick', { value: (run: () => void) => { try { run() } catch (err) { resolve(err) } } }) })
  tell(() => { throw new Error('of a listener') })
  t.match(await thrown, { message: 'of a listener' })
})

class Peer extends EventEmitter<{ online: [], failed: [Error] }> {
  isClosed = false
  readonly #act: (peer: Peer) => void

  constructor (act: (peer: Peer) => void) {
    super()
    this.#act = act
  }

  start (): void { this.#act(this) }
  async close (): Promise<void> { this.isClosed = true }
}

const wait = (peer: Peer, signal?: AbortSignal): Promise<Peer> => untilOnline(peer, {
  signal,
  onFailed: (fail) => { peer.once('failed', fail) },
  online: (signal) => once(peer, 'online', { signal })
})

t.test('a peer that is waited for is online, or closed', async (t) => {
  const online = new Peer((peer) => { setImmediate(() => { peer.emit('online') }) })
  t.equal(await wait(online), online)
  t.notOk(online.isClosed)

  const failing = new Peer((peer) => { setImmediate(() => { peer.emit('failed', new Error('no interface')) }) })
  t.match(await failureOf(wait(failing)), { message: 'no interface' })
  t.ok(failing.isClosed)

  const stopping = new AbortController()
  const unwanted = new Peer(() => { setImmediate(() => { stopping.abort(new Error('not any more')) }) })
  t.match(await failureOf(wait(unwanted, stopping.signal)), { message: 'not any more' })
  t.ok(unwanted.isClosed)
})

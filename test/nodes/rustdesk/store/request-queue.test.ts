/** Turns of requests, without a database: batches, order, waits for a lock; and a thread that dies. */
import { EventEmitter } from 'node:events'
import t from 'tap'
import type { PeerRow, StoreAnswer, StoreRequest } from '../../../../src/nodes/rustdesk/store/messages.ts'
import { storeOf, type StoreThread } from '../../../../src/nodes/rustdesk/store/peer-store.ts'
import { RequestQueue } from '../../../../src/nodes/rustdesk/store/request-queue.ts'
import { ManualClock } from '../../../helpers/clock.ts'
import { failureOf, turn } from '../../../helpers/ends.ts'
import { peer } from '../../../helpers/rustdesk/peer-database.ts'

const BUSY = Object.assign(new Error('database is locked'), { code: 'SQLITE_BUSY' })

const put = (n: number): StoreRequest => ({ n, type: 'put', row: { id: `peer ${n}`, uuid: new Uint8Array(1), pk: new Uint8Array(1), info: '{}' } })

/** A queue over something that counts rows, and that can be locked. */
function scene (lockTimeout = 100) {
  const clock = new ManualClock()
  const told: StoreAnswer[][] = []
  const batches: number[] = []
  const state = { isLocked: false, reads: 0 }
  const guarded = <T>(answer: T): T => {
    if (state.isLocked) throw BUSY
    return answer
  }
  const database = {
    find: () => {
      state.reads++
      return guarded(undefined)
    },
    count: () => guarded(7),
    putAll: (rows: readonly PeerRow[]) => {
      guarded(undefined)
      batches.push(rows.length)
      return rows.map(() => undefined)
    }
  }
  return { clock, told, batches, state, queue: new RequestQueue({ database, lockTimeout, clock, answer: (answers) => { told.push(answers) } }) }
}

t.test('what comes in one turn is one transaction, of a bounded size; what is read is answered first', async (t) => {
  const { queue, told, batches } = scene()
  for (let n = 0; n < 2500; n++) queue.push([put(n)])
  queue.push([{ n: 2500, type: 'count' }])
  await new Promise<void>((resolve) => { queue.whenIdle(resolve) })
  t.same(batches, [1000, 1000, 500])
  t.same(told.map(({ length }) => length), [1, 1000, 1000, 500])
  t.same(told[0], [{ n: 2500, count: 7 }])
  t.same(told.slice(1).flat().map(({ n }) => n), Array.from({ length: 2500 }, (_, n) => n))
})

t.test('a request waits for a lock for a bounded time, from when it came', async (t) => {
  const { queue, told, state, clock } = scene(100)
  state.isLocked = true
  queue.push([put(0), { n: 1, type: 'find', id: 'x' }, { n: 2, type: 'find', id: 'y' }])
  await turn()
  t.same([state.reads, told.length], [1, 0], 'one attempt tells all of them')
  clock.advance(60)
  queue.push([put(3)])
  await turn()
  clock.advance(60)
  t.same(told.flat().map(({ n, fault }) => [n, fault?.code]).sort(), [[0, 'ERR_PEER_STORE_LOCKED'], [1, 'ERR_PEER_STORE_LOCKED'], [2, 'ERR_PEER_STORE_LOCKED']])
  state.isLocked = false
  clock.advance(60)
  await turn()
  t.same(told.flat().at(-1), { n: 3, fault: undefined })
  t.same(clock.waiting, [])
})

t.test('who closes does not wait long for a lock', async (t) => {
  const { queue, told, state, clock } = scene(5000)
  state.isLocked = true
  queue.push([put(0), { n: 1, type: 'find', id: 'x' }])
  await turn()
  let isIdle = false
  queue.whenIdle(() => { isIdle = true })
  clock.advance(980)
  await turn()
  t.same([told.length, isIdle], [0, false])
  clock.advance(20)
  await turn()
  t.same(told.flat().map(({ n, fault }) => [n, fault?.code]).sort(), [[0, 'ERR_PEER_STORE_LOCKED'], [1, 'ERR_PEER_STORE_LOCKED']])
  clock.advance(20)
  t.same([isIdle, clock.waiting], [true, []])
})

class Thread extends EventEmitter implements StoreThread {
  postMessage (): void {}
  async terminate (): Promise<void> { this.emit('exit') }
}

t.test('a thread that dies', async (t) => {
  const open = async (): Promise<[Thread, Awaited<ReturnType<typeof storeOf>>]> => {
    const thread = new Thread()
    const store = storeOf(thread, { path: '' })
    thread.emit('message', { type: 'open' })
    return [thread, await store]
  }
  const [failed, store] = await open()
  const asked = [failureOf(store.put(peer('abcdef'))), failureOf(store.find('abcdef'))]
  failed.emit('error', new Error('out of memory'))
  failed.emit('exit')
  for (const err of [...await Promise.all(asked), await failureOf(store.count())]) t.match(err, { code: 'ERR_PEER_STORE_FAULT', message: /out of memory/ })
  t.same(store.queued, { requests: 0, bytes: 0 })
  await store.close()
  const [ended, other] = await open()
  const found = failureOf(other.find('abcdef'))
  ended.emit('exit')
  t.equal((await found).code, 'ERR_PEER_STORE_CLOSED')
  for (const event of ['error', 'exit']) {
    const thread = new Thread()
    const opening = failureOf(storeOf(thread, { path: '' }))
    thread.emit(event, new Error('no memory'))
    t.equal((await opening).code, 'ERR_PEER_STORE_FAULT')
  }
})

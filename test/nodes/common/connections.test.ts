/** What relays do with connections alike: let in, told of, refused, ended. */
import t from 'tap'
import { batches, failureOf } from '../../helpers/ends.ts'
import { AcceptedConnections } from '../../../src/nodes/common/accepted-connections.ts'
import { AuthThrottle } from '../../../src/nodes/common/auth-throttle.ts'
import { lingeringClose } from '../../../src/nodes/common/lingering-close.ts'
import { reject } from '../../../src/nodes/common/reject.ts'
import { RateLimitedLog } from '../../../src/limits/rate-limited-log.ts'
import { ConnectionLimiter, memoryPair } from '../../../src/transports/index.ts'
import type { Logger } from '../../../src/log.ts'
import { systemClock } from '../../../src/streams/clock.ts'

interface Line {
  level: string
  fields: any
  message: string
}

function logTo (lines: Line[]): Logger {
  const line = (level: string) => (fields: object, message: string): void => { lines.push({ level, fields, message }) }
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

const remote = { host: '192.0.2.1', port: 7 }

t.test('a connection has its slot while it is served; one that has been through the limiter keeps the slot that it has', async (t) => {
  const limiter = new ConnectionLimiter({ maxPerSource: 1 })
  const connections = new AcceptedConnections(limiter, logTo([]), systemClock)
  const [link] = memoryPair()
  let finish = (): void => {}
  const first = connections.accept(Object.assign(link, { remote }), (slot) => new Promise((resolve) => {
    t.equal(slot?.source, remote.host)
    finish = resolve
  }))
  let isSecond: boolean | undefined
  await connections.accept(Object.assign(memoryPair()[0], { remote }), async (slot) => { isSecond = slot !== undefined })
  t.equal(isSecond, false, 'the gate has no room')
  let isGone = false
  const gone = connections.gone().then(() => { isGone = true })
  await new Promise(setImmediate)
  t.notOk(isGone)
  finish()
  await Promise.all([first, gone])
  t.equal(limiter.stats.connections, 0)

  const slot = limiter.admit('192.0.2.2', () => {})
  await connections.accept(Object.assign(memoryPair()[0], { remote, slot }), async (slot) => { t.equal(slot, slot) })
  t.match(limiter.stats, { connections: 0, admitted: 2 })
})

t.test('the limiter ends a connection that it has let in', async (t) => {
  const limiter = new ConnectionLimiter({ maxHalfOpen: 1 })
  const connections = new AcceptedConnections(limiter, logTo([]), systemClock)
  const [link] = memoryPair()
  void connections.accept(Object.assign(link, { remote }), () => new Promise(() => {}))
  limiter.admit('192.0.2.2', () => {})
  t.match(await failureOf((async () => { for await (const batch of link.source) batch.length = 0 })()), { code: 'ERR_LINK_CLOSED' })
})

t.test('what breaks a connection is told quietly, a fault of the relay is not; what was not served is counted', async (t) => {
  const lines: Line[] = []
  const connections = new AcceptedConnections(new ConnectionLimiter(), logTo(lines), systemClock)
  connections.lost(remote, Object.assign(new Error('reset'), { code: 'ECONNRESET' }))
  connections.lost(remote, new TypeError('undefined is not a function'))
  t.match(lines, [
    { level: 'debug', fields: { remote, reason: 'reset' }, message: 'connection lost' },
    { level: 'error', fields: { remote, reason: 'undefined is not a function', err: TypeError }, message: 'connection ended by a fault of the relay' }
  ])
  connections.protocolMismatch({ detected: { protocol: 'HTTP' }, expected: 'gotunnel', remote })
  t.same(connections.refused({ rejected: { source: 2, total: 3 }, evicted: 4 }), { protocol: 1, source: 2, limit: 7 })
})

t.test('failures of one source are bounded, not those of others nor of this machine; another bound begins anew', async (t) => {
  const throttle = new AuthThrottle(2, systemClock)
  const [source, other, local] = [{ source: 'a', isLocal: false }, { source: 'b', isLocal: false }, { source: '127.0.0.1', isLocal: true }]
  for (const each of [source, local, source, local, local]) {
    t.notOk(throttle.isThrottled(each))
    throttle.failed(each)
  }
  t.same([source, other, local].map((each) => throttle.isThrottled(each)), [true, false, false])
  throttle.configure(2)
  t.ok(throttle.isThrottled(source), 'the same bound forgets nothing')
  throttle.configure(3)
  t.notOk(throttle.isThrottled(source))
  t.equal(throttle.perMinute, 3)
  for (const none of [0, 1.5, NaN]) {
    t.throws(() => { throttle.configure(none) }, { code: 'ERR_OPTION' })
    t.throws(() => new AuthThrottle(none, systemClock), { code: 'ERR_OPTION' })
  }
  t.equal(throttle.perMinute, 3)
})

t.test('one call counts, logs and answers', async (t) => {
  const lines: Line[] = []
  const refused = { password: 0, rate: 1 }
  t.equal(reject({ refused, log: new RateLimitedLog(logTo(lines)) }, 'password', { remote }, { messages: 2 }, (reason) => `told ${reason}`), 'told password')
  t.same(refused, { password: 1, rate: 1 })
  t.same(lines, [{ level: 'warn', fields: { remote, reason: 'password', messages: 2 }, message: 'connection refused' }])
})

t.test('what was said arrives before the end, and what still comes is read', async (t) => {
  const [here, there] = memoryPair()
  there.port.send([Buffer.from('more of a request')])
  here.port.send([Buffer.from('no')])
  const closed = lingeringClose(here, systemClock)
  const heard: string[] = []
  for await (const batch of there.source) heard.push(...batch.map(String))
  t.same(heard, ['no'])
  await there.sink(batches())
  await closed
  t.match(await failureOf(here.sink(batches(['late'].map(Buffer.from)))), { code: 'ERR_LINK_CLOSED' })
})

t.test('a side that does not leave is cut off; a close of its own takes the place of the end', async (t) => {
  const [here, there] = memoryPair()
  let isClosed = false
  await lingeringClose(here, systemClock, () => { isClosed = true })
  t.ok(isClosed)
  t.match(await failureOf((async () => { for await (const batch of there.source) batch.length = 0 })()), { code: 'ERR_LINK_CLOSED' })
})

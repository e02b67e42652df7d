import { createServer } from 'node:net'
import t from 'tap'
import { contract, type Subject } from '../helpers/transports/contract.ts'
import { wireSubjects } from '../helpers/transports/subjects.ts'
import { ManualClock } from '../helpers/clock.ts'
import { until } from '../helpers/ends.ts'
import { silent } from '../../src/log.ts'
import { acceptQueue, serverListener } from '../../src/transports/acceptor.ts'
import { ConnectionLimiter } from '../../src/limits/connection-limiter.ts'
import { memoryNetwork } from '../../src/transports/memory/index.ts'

const memory: Subject = {
  name: 'memory',
  keepsMessages: false,
  overhead: 0,
  make: (init) => memoryNetwork(init),
  async dialRaw (transport, port) {
    const link = await transport.dial({ host: '', port })
    return { reset: () => { link.abort(new Error('reset')) } }
  },
  dialsAtOnce: true
}

for (const subject of [memory, ...wireSubjects()]) {
  t.test(subject.name, async (t) => { contract(t, subject) })
}

const limiter = new ConnectionLimiter()
for (const subject of wireSubjects({ limiter })) {
  t.test(`${subject.name}, with a limiter`, async (t) => {
    const { admitted: entered } = limiter.stats
    contract(t, subject)
    t.test('nothing is left in the limiter', async (t) => {
      t.ok(limiter.stats.admitted > entered, 'though there was')
      await until(() => limiter.stats.connections === 0)
    })
  })
}

t.test('a listener that the system lets accept nothing warns, at intervals, and goes on', async (t) => {
  const clock = new ManualClock()
  const server = createServer()
  const queue = acceptQueue(() => { server.close() })
  const warnings: object[] = []
  const listener = serverListener(server, queue, { ...silent, warn: (fields) => { warnings.push(fields) } }, clock)
  t.teardown(() => { listener.close() })
  server.listen(0, '127.0.0.1')
  await listener.port()
  const errors = ['first', 'second', 'third'].map((message) => Object.assign(new Error(message), { code: 'EMFILE' }))
  for (const err of errors) server.emit('error', err)
  t.strictSame(warnings.splice(0), [{ err: errors[0], count: 1 }], 'the first one at once')
  clock.advance(1000)
  t.strictSame(warnings.splice(0), [{ err: errors[2], count: 2 }], 'the others together')
  clock.advance(1000)
  t.strictSame(warnings, [], 'nothing new')
  server.emit('error', errors[0])
  t.strictSame(warnings, [{ err: errors[0], count: 1 }], 'after a quiet interval at once again')
  t.ok(server.listening)
})

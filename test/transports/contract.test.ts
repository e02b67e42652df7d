import { createServer } from 'node:net'
import t from 'tap'
import { contract, type Subject } from './contract.ts'
import { ca, cert, key } from '../helpers/certificates.ts'
import { rawTcp, rawTls, upgrade } from '../helpers/raw-sockets.ts'
import { silent } from '../../src/log.ts'
import { acceptQueue, serverListener } from '../../src/transports/acceptor.ts'
import { dialTcp, listenTcp, tcp } from '../../src/transports/tcp.ts'
import { dialTls, listenTls, tls } from '../../src/transports/tls.ts'
import { dialWebSocket, listenWebSocket, websocket } from '../../src/transports/websocket.ts'
import { memoryNetwork } from '../../src/transports/memory.ts'

const frames = { closeTimeout: 20_000 } // nothing here may depend on it

const subjects: Subject[] = [
  {
    name: 'memory',
    keepsMessages: false,
    overhead: 0,
    make: (init) => memoryNetwork(init),
    async dialRaw (transport, port) {
      const link = await transport.dial({ host: '', port })
      return { reset: () => { link.abort(new Error('reset')) } }
    },
    dialsAtOnce: true
  },
  {
    name: 'tcp',
    keepsMessages: false,
    overhead: 0,
    make: (init) => ({ ...tcp, dial: (to) => dialTcp({ ...init, ...to }), listen: (at) => listenTcp({ ...init, ...at }) }),
    dialRaw: (_transport, port) => rawTcp(port)
  },
  {
    name: 'tls',
    keepsMessages: false,
    overhead: 0,
    make: (init) => ({ ...tls({ cert, key }), dial: (to) => dialTls({ ca, ...init, ...to }), listen: (at) => listenTls({ cert, key, ...init, ...at }) }),
    dialRaw: (_transport, port) => rawTls(port)
  },
  {
    name: 'websocket',
    keepsMessages: true,
    overhead: 14,
    make: (init) => ({
      ...websocket,
      dial: ({ host, port, signal }) => dialWebSocket(`ws://${host}:${port}`, { frames, signal, ...init }),
      listen: (at) => listenWebSocket({ frames, ...init, ...at })
    }),
    dialRaw: async (_transport, port) => upgrade(await rawTcp(port))
  },
  {
    name: 'websocket over tls',
    keepsMessages: true,
    overhead: 14,
    make: (init) => ({
      ...websocket,
      dial: ({ host, port, signal }) => dialWebSocket(`wss://${host}:${port}`, { ca, frames, signal, ...init }),
      listen: (at) => listenWebSocket({ frames, tls: { cert, key }, ...init, ...at })
    }),
    dialRaw: async (_transport, port) => upgrade(await rawTls(port))
  }
]

for (const subject of subjects) {
  t.test(subject.name, async (t) => { contract(t, subject) })
}

t.test('a listener that the system lets accept nothing warns, at intervals, and goes on', async (t) => {
  const server = createServer()
  const queue = acceptQueue(() => { server.close() })
  const warnings: object[] = []
  const listener = serverListener(server, queue, { ...silent, warn: (fields) => { warnings.push(fields) } })
  t.teardown(() => { listener.close() })
  server.listen(0, '127.0.0.1')
  await listener.port()
  let pass: (() => void) | undefined
  const { restore } = t.intercept(globalThis, 'setTimeout', {
    value: (then: () => void) => {
      pass = then
      return { unref () { return this } }
    }
  })
  const errors = ['first', 'second', 'third'].map((message) => Object.assign(new Error(message), { code: 'EMFILE' }))
  for (const err of errors) server.emit('error', err)
  t.strictSame(warnings.splice(0), [{ err: errors[0], count: 1 }], 'the first one at once')
  pass?.()
  t.strictSame(warnings.splice(0), [{ err: errors[2], count: 2 }], 'the others together')
  pass?.()
  t.strictSame(warnings, [], 'nothing new')
  server.emit('error', errors[0])
  t.strictSame(warnings, [{ err: errors[0], count: 1 }], 'after a quiet interval at once again')
  restore()
  t.ok(server.listening)
})

/** Names with several addresses: which is tried when, who wins, and what is said when none does. */
import { Socket } from 'node:net'
import t from 'tap'
import { ca, cert, key } from '../helpers/certificates.ts'
import { accept, endsWith, failureOf, listening, talk, turn, until } from '../helpers/ends.ts'
import { stoppedForwarder } from '../helpers/stopped-forwarder.ts'
import { race, type Lookup, type RaceInit } from '../../src/transports/happy-eyeballs.ts'
import { dialTcp, dialTls, dialWebSocket, listenTcp, listenTls, listenWebSocket } from '../../src/transports/index.ts'
import type { Endpoint, Link, Listener } from '../../src/types.ts'

const NEVER = 2 ** 30
const host = '127.0.0.1'

const found = (...addresses: string[]): Lookup => async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))

/** Sockets that do nothing by themselves. */
class Attempts {
  readonly hosts: string[] = []
  readonly sockets: Socket[] = []

  async race (addresses: string[], init: Partial<RaceInit<Socket>> = {}): Promise<Socket> {
    const open = ({ host }: Endpoint): Socket => {
      this.hosts.push(host)
      const socket = new Socket()
      this.sockets.push(socket)
      return socket
    }
    return (await race({ to: { host: 'name.example', port: 443 }, lookup: found(...addresses), attemptDelay: NEVER, open, ...init })).socket
  }

  /** The newest one fails. */
  async fail (count: number, error: (i: number) => object = () => ({ code: 'ECONNREFUSED' })): Promise<void> {
    for (let i = 0; i < count; i++) {
      await until(() => this.sockets.length > i)
      this.sockets[i].destroy(Object.assign(new Error(`connect to ${this.hosts[i]}`), error(i)))
    }
  }
}

interface Kind {
  listen (at: { host: string, port: number }): Listener
  dial (port: number, lookup: Lookup): Promise<Link>
}

const kinds: Record<string, Kind> = {
  tcp: { listen: listenTcp, dial: (port, lookup) => dialTcp({ host: 'localhost', port, lookup }) },
  tls: { listen: (at) => listenTls({ cert, key, ...at }), dial: (port, lookup) => dialTls({ host: 'localhost', port, ca, lookup }) },
  ws: { listen: listenWebSocket, dial: (port, lookup) => dialWebSocket(`ws://localhost:${port}`, { lookup }) },
  wss: { listen: (at) => listenWebSocket({ tls: { cert, key }, ...at }), dial: (port, lookup) => dialWebSocket(`wss://localhost:${port}`, { ca, lookup }) }
}

t.test('the error of a failed connect says nothing of a local end that does not exist', async (t) => {
  for (const address of ['192.0.2.1', '2001:db8::1']) {
    const attempts = new Attempts()
    const failed = t.rejects(attempts.race([address]), { code: 'ENETUNREACH', message: `connect ENETUNREACH ${address}:443` }, address)
    await until(() => attempts.sockets.length === 1)
    const fields = { code: 'ENETUNREACH', syscall: 'connect', address, port: 443 }
    attempts.sockets[0].destroy(Object.assign(new Error(`connect ENETUNREACH ${address}:443 - Local (undefined:undefined)`), fields))
    await failed
  }
})

for (const [name, { listen, dial }] of Object.entries(kinds)) {
  t.test(`${name}: a dead address beside a good one`, async (t) => {
    const { port, incoming } = await listening(t, listen)
    const dead = await stoppedForwarder(t, '127.0.0.3', port)
    const client = endsWith(t, await dial(port, found('127.0.0.3', host)))
    await talk(client, await accept(t, incoming))
    t.notOk(dead.isTried(), 'the attempt that has lost is ended')
  })

  t.test(`${name}: a dead address beside one whose first SYN is lost`, async (t) => {
    const { port, incoming } = await listening(t, listen)
    const [dead, slow] = [await stoppedForwarder(t, '127.0.0.3', port), await stoppedForwarder(t, '127.0.0.2', port)]
    const dialling = dial(port, found('127.0.0.3', '127.0.0.2'))
    dialling.catch(() => {}) // told below
    await until(() => slow.isTried())
    t.ok(dead.isTried(), 'the first one goes on meanwhile')
    slow.resume()
    await talk(endsWith(t, await dialling), await accept(t, incoming))
  })
}

t.test('the families take turns, each address once, and no more than 16', async (t) => {
  const attempts = new Attempts()
  const failing = failureOf(attempts.race(['2001:db8::1', '2001:db8::2', '2001:db8::1', '2001:db8::3', '192.0.2.1', '192.0.2.2']))
  await attempts.fail(5)
  t.match(await failing, { code: 'ECONNREFUSED', message: /^no address of name\.example:443 can be reached: connect to 2001:db8::1; connect to 192\.0\.2\.1; / })
  t.same(attempts.hosts, ['2001:db8::1', '192.0.2.1', '2001:db8::2', '192.0.2.2', '2001:db8::3'])

  const many = new Attempts()
  const all = failureOf(many.race([...Array.from({ length: 40 }, (_, i) => `192.0.2.${i}`), '2001:db8::1']))
  await many.fail(16)
  await all
  t.equal(many.hosts.length, 16)
  t.equal(many.hosts[1], '2001:db8::1')
})

t.test('the next address is tried after a moment, and those before it go on', async (t) => {
  const attempts = new Attempts()
  const racing = attempts.race(['192.0.2.1', '192.0.2.2', '192.0.2.3'], { attemptDelay: 1 })
  await until(() => attempts.sockets.length === 3)
  t.same(attempts.sockets.map(({ destroyed }) => destroyed), [false, false, false])
  attempts.sockets[1].emit('connect')
  t.equal(await racing, attempts.sockets[1])
  await turn()
  t.same(attempts.sockets.map(({ destroyed }) => destroyed), [true, false, true], 'the first connection wins')
})

t.test('two connections at the same moment', async (t) => {
  const attempts = new Attempts()
  const racing = attempts.race(['192.0.2.1', '192.0.2.2'], { attemptDelay: 1 })
  await until(() => attempts.sockets.length === 2)
  for (const socket of attempts.sockets) socket.emit('connect')
  t.equal(await racing, attempts.sockets[0])
  await turn()
  t.same(attempts.sockets.map(({ destroyed }) => destroyed), [false, true])
})

t.test('each address has the whole time', async (t) => {
  const attempts = new Attempts()
  const limit = { milliseconds: 20, error: () => new Error('too slow') }
  const racing = attempts.race(['192.0.2.1', '192.0.2.2'], { limit })
  await until(() => attempts.sockets.length === 2)
  t.ok(attempts.sockets[0].destroyed)
  attempts.sockets[1].emit('connect')
  t.equal(await racing, attempts.sockets[1])
  t.match(await failureOf(new Attempts().race(['192.0.2.1', '192.0.2.2'], { limit })), { message: 'too slow' }, 'which is told once')
})

t.test('a look-up that takes its time', async (t) => {
  const attempts = new Attempts()
  const lookup: Lookup = () => new Promise(() => {})
  t.match(await failureOf(attempts.race([], { lookup, limit: { milliseconds: 1, error: () => new Error('too slow') } })), { message: 'too slow' })
  const over = new AbortController()
  const racing = failureOf(attempts.race([], { lookup, signal: over.signal }))
  over.abort(new Error('enough'))
  t.match(await racing, { message: 'enough' })
  t.match(await failureOf(attempts.race([], { signal: over.signal })), { message: 'enough' }, 'nothing is looked up any more')
  t.same(attempts.hosts, [])
  t.match(await failureOf(attempts.race([])), { code: 'ENOTFOUND', message: 'name.example has no address' })
})

t.test('a signal ends all attempts', async (t) => {
  const attempts = new Attempts()
  const over = new AbortController()
  const racing = failureOf(attempts.race(['192.0.2.1', '192.0.2.2', '192.0.2.3'], { attemptDelay: 1, signal: over.signal }))
  await until(() => attempts.sockets.length === 3)
  over.abort(new Error('enough'))
  t.match(await racing, { message: 'enough' })
  t.same(attempts.sockets.map(({ destroyed }) => destroyed), [true, true, true])
})

t.test('of several failures the code is that of one with a way there', async (t) => {
  const attempts = new Attempts()
  const codes = ['ENETUNREACH', 'ECONNREFUSED', 'EHOSTUNREACH']
  const racing = failureOf(attempts.race(['2001:db8::1', '192.0.2.1', '192.0.2.2'], {}))
  await attempts.fail(3, (i) => ({ code: codes[i] }))
  t.match(await racing, { code: 'ECONNREFUSED' })
})

t.test('an error says nothing of a local end that does not exist', async (t) => {
  const { message } = await failureOf(dialTcp({ host: '255.255.255.255', port: 9 }))
  t.match(message, /^connect E[A-Z]+ 255\.255\.255\.255:9$/)
})

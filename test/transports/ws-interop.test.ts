/** `ws`, which half the world uses, at the other end. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { accept, batches, bytes, drain, endsWith, failureOf, hear, listening, texts } from '../helpers/ends.ts'
import { dialWebSocket, listenWebSocket, type WebSocketInit, type WebSocketWireLink } from '../../src/transports/index.ts'
import type { Batch } from '../../src/types.ts'

const host = '127.0.0.1'
const MIB = 1 << 20
const sizes = [0, 1, 125, 126, 127, 65_535, 65_536, MIB]

/** How both ends of a connection are made: ours and that of `ws`. */
interface Sides {
  ours: WebSocketWireLink
  theirs: WebSocket
}

type Connect = (t: Test, init?: WebSocketInit) => Promise<Sides>

const closing = (t: Test, socket: WebSocket): WebSocket => {
  t.teardown(() => { socket.terminate() })
  socket.on('error', () => {})
  return socket
}

const connects: Record<string, Connect> = {
  async 'our server' (t, init) {
    const { port, incoming } = await listening(t, (at) => listenWebSocket({ ...at, ...init }))
    const theirs = closing(t, new WebSocket(`ws://${host}:${port}/`))
    const [ours] = await Promise.all([accept(t, incoming), once(theirs, 'open')])
    return { ours, theirs }
  },
  async 'our client' (t, init) {
    const server = new WebSocketServer({ host, port: 0, maxPayload: 2 * MIB })
    await once(server, 'listening')
    t.teardown(() => { server.close() })
    const connected = once(server, 'connection')
    const ours = endsWith(t, await dialWebSocket(`ws://${host}:${(server.address() as AddressInfo).port}/`, init))
    const [theirs] = await connected
    return { ours, theirs: closing(t, theirs) }
  }
}

for (const [name, connect] of Object.entries(connects)) {
  t.test(`${name}: messages of every size, echoed`, async (t) => {
    const { ours, theirs } = await connect(t, { frames: { maxPayload: MIB } })
    theirs.on('message', (data, isBinary) => { theirs.send(data, { binary: isBinary }) })
    const sent = sizes.map((size) => bytes(size).map((_, i) => i * 7 + size))
    const echoes: Buffer[] = []
    const reading = (async () => {
      for await (const batch of ours.source) {
        echoes.push(...batch.map((message) => Buffer.from(message)))
        if (echoes.length === sent.length) return
      }
    })()
    for (const message of sent) t.equal(ours.port.send([message]), 1)
    await reading
    t.ok(echoes.every((echo, i) => echo.equals(sent[i])))
  })

  t.test(`${name}: messages of every size, from ws, some in fragments`, async (t) => {
    const { ours, theirs } = await connect(t, { frames: { maxPayload: MIB } })
    const whole = bytes(70_000).map((_, i) => i)
    for (const size of sizes) theirs.send(bytes(size, 0x61))
    for (const [from, to] of [[0, 1], [1, 126], [126, 126], [126, 66_000]]) {
      theirs.send(whole.subarray(from, to), { fin: false })
      theirs.ping()
    }
    theirs.send(whole.subarray(66_000), { fin: true })
    theirs.close(1000)
    const heard = await hear(ours.source)
    t.same(heard.map((message) => message.length), [...sizes, whole.length])
    t.ok(heard.slice(0, -1).every((message) => message.every((byte) => byte === 0x61)))
    t.ok(heard.at(-1)?.equals(whole))
  })

  t.test(`${name}: a sink, then the closing handshake`, async (t) => {
    const { ours, theirs } = await connect(t)
    const heard: Buffer[] = []
    theirs.on('message', (data) => { heard.push(data as Buffer) })
    const closed = once(theirs, 'close')
    void drain(ours.source)
    await ours.sink(batches(texts('one', 'two'), [bytes(60_000)], [bytes(0)]))
    const [code, reason] = await closed
    t.equal(code, 1000)
    t.equal(String(reason), '')
    t.same(heard.map((message) => message.length), [3, 3, 60_000, 0])
  })

  t.test(`${name}: pings both ways`, async (t) => {
    const { ours, theirs } = await connect(t)
    void drain(ours.source)
    const pinged = new Promise((resolve) => { ours.onPing = (payload) => { resolve(Buffer.from(payload).toString()) } })
    const theirPong = once(theirs, 'pong')
    theirs.ping('from ws')
    t.equal(await pinged, 'from ws')
    t.equal(String((await theirPong)[0]), 'from ws')
    const ponged = new Promise((resolve) => { ours.onPong = (payload) => { resolve(Buffer.from(payload).toString()) } })
    const theirPing = once(theirs, 'ping')
    ours.ping(Buffer.from('to ws'))
    t.equal(String((await theirPing)[0]), 'to ws')
    t.equal(await ponged, 'to ws')
  })

  t.test(`${name}: text`, async (t) => {
    const { ours, theirs } = await connect(t)
    const heard: string[] = []
    ours.onText = (payload) => { heard.push(Buffer.from(payload).toString()) }
    theirs.send('κόσμε')
    theirs.close()
    await hear(ours.source)
    t.same(heard, ['κόσμε'])
    const second = await connect(t)
    const closed = once(second.theirs, 'close')
    second.theirs.send('text')
    t.match(await failureOf(hear(second.ours.source)), { closeCode: 1003 })
    t.equal((await closed)[0], 1003)
  })

  t.test(`${name}: close codes and reasons both ways`, async (t) => {
    for (const [code, reason] of [[1000, ''], [1000, 'done'], [1001, 'bye'], [1011, 'κόσμε'], [3000, ''], [4999, 'a'.repeat(123)]] as Array<[number, string]>) {
      const one = await connect(t)
      const theirs = once(one.theirs, 'close')
      const own = drain(one.ours.source)
      one.ours.close(code, reason)
      const [theirCode, theirReason] = await theirs
      t.same([theirCode, String(theirReason)], [code, reason], 'ours')
      await own

      const two = await connect(t)
      const echoed = once(two.theirs, 'close')
      two.theirs.close(code, reason)
      const err = await drain(two.ours.source)
      if (code <= 1001) t.equal(err, undefined)
      else t.match(err, { code: 'ERR_WEBSOCKET_CLOSED', closeCode: code, reason })
      t.equal((await echoed)[0], code, 'echoed')
    }
    const none = await connect(t)
    const closed = once(none.theirs, 'close')
    none.theirs.close()
    t.equal(await drain(none.ours.source), undefined)
    t.equal((await closed)[0], 1005, 'no code')
  })

  t.test(`${name}: ws is told what was wrong, and the reverse`, async (t) => {
    const large = await connect(t, { frames: { maxPayload: 1000 } })
    const closed = once(large.theirs, 'close')
    large.theirs.send(bytes(1001))
    t.match(await failureOf(hear(large.ours.source)), { closeCode: 1009 })
    t.equal((await closed)[0], 1009)

    const many = await connect(t, { frames: { maxFragments: 3 } })
    const refused = once(many.theirs, 'close')
    for (let i = 0; i < 4; i++) many.theirs.send(bytes(1), { fin: false })
    t.match(await failureOf(hear(many.ours.source)), { closeCode: 1008 })
    t.equal((await refused)[0], 1008)

    const gone = await connect(t)
    const reading = failureOf(hear(gone.ours.source))
    gone.theirs.terminate()
    t.match(await reading, { code: /^(ERR_WEBSOCKET_CLOSED|ECONNRESET)$/ })
  })

  t.test(`${name}: abort is 1006 for ws`, async (t) => {
    const { ours, theirs } = await connect(t)
    const closed = once(theirs, 'close')
    ours.abort(new Error('boom'))
    t.equal((await closed)[0], 1006)
  })

  t.test(`${name}: back-pressure reaches both ends`, async (t) => {
    const { ours, theirs } = await connect(t)
    const count = 300
    async function * source (): AsyncGenerator<Batch> {
      for (let i = 0; i < count; i++) yield [bytes(60_000, i)]
    }
    let heard = 0
    theirs.on('message', (data) => {
      if ((data as Buffer)[0] === (heard & 0xff)) heard++
      if (heard % 50 !== 0) return
      theirs.pause()
      setImmediate(() => { theirs.resume() })
    })
    void drain(ours.source)
    await ours.sink(source())
    t.equal(heard, count)
  })
}

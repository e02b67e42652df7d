/** Readers that are called, over real sockets. */
import { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { ca, cert, key } from '../helpers/certificates.ts'
import { accept, batches, bytes, endsWith, failureOf, first, listening, standstill, texts, turn, until } from '../helpers/ends.ts'
import { websocketFrames, type WebSocketLink } from '../../src/transforms/websocket-frames/index.ts'
import { dialTcp, dialTls, dialWebSocket, listenTcp, listenTls, listenWebSocket, memoryPair, streamLink } from '../../src/transports/index.ts'
import type { Batch, Link } from '../../src/types.ts'

interface Flowing {
  taken: string[]
  ended: Promise<string>
}

/** Reads until the end; tells how that was. */
function read (link: Link): Flowing {
  const taken: string[] = []
  const take = (batch: Batch): void => { taken.push(...batch.map((bytes) => Buffer.from(bytes).toString())) }
  return { taken, ended: (link as Required<Link>).flow(take).then(() => 'end', (err) => err.code ?? err.message) }
}

async function tcpPair (t: Test): Promise<[Link, Link]> {
  const { port, incoming } = await listening(t, listenTcp)
  const client = endsWith(t, await dialTcp({ host: '127.0.0.1', port }))
  return [client, await accept(t, incoming)]
}

async function tlsPair (t: Test): Promise<[Link, Link]> {
  const { port, incoming } = await listening(t, (at) => listenTls({ ...at, cert, key }))
  const [client, server] = await Promise.all([dialTls({ host: 'localhost', port, ca }), accept(t, incoming)])
  return [endsWith(t, client), server]
}

async function webSockets (t: Test): Promise<[WebSocketLink, WebSocketLink]> {
  const { port, incoming } = await listening(t, listenWebSocket)
  const client = endsWith(t, await dialWebSocket(`ws://127.0.0.1:${port}`))
  return [client, await accept(t, incoming)]
}

t.test('bytes, up to the end', async (t) => {
  const [client, server] = await tcpPair(t)
  const { taken, ended } = read(server)
  await client.sink(batches(texts('one'), texts('two')))
  t.equal(await ended, 'end')
  t.equal(taken.join(''), 'onetwo')
})

t.test('an abort ends it at once', async (t) => {
  const [, server] = await tcpPair(t)
  const { ended } = read(server)
  server.abort(new Error('enough'))
  t.equal(await ended, 'enough')
  t.equal(await read(streamLink(new Socket().destroy())).ended, 'ERR_LINK_CLOSED', 'as for one that is gone')
})

t.test('a link has one reader', async (t) => {
  const [client, server] = await tcpPair(t)
  const { taken } = read(server)
  t.equal(await read(server).ended, 'ERR_LINK_BUSY')
  t.throws(() => server.source[Symbol.asyncIterator](), { code: 'ERR_LINK_BUSY' })
  server.port.send(texts('x'))
  t.equal(String(await first(client.source)), 'x')
  t.equal(await read(client).ended, 'ERR_LINK_BUSY', 'also when the other one pulls')
  client.port.send(texts('still'))
  await until(() => taken.join('') === 'still')
})

t.test('what a reader throws ends the reading, and so does its promise; no more is taken', async (t) => {
  const ways: Array<() => Promise<void> | void> = [
    () => { throw new Error('enough') },
    async () => {
      await turn()
      throw new Error('enough')
    }
  ]
  for (const pair of [tcpPair, webSockets]) {
    for (const end of ways) {
      const [client, server] = await pair(t)
      let calls = 0
      const failure = failureOf((server as Required<Link>).flow(() => {
        calls++
        return end()
      }))
      client.port.send(texts('one'))
      t.match(await failure, { message: 'enough' })
      client.port.send(texts('two'))
      for (let i = 0; i < 20; i++) await turn()
      t.equal(calls, 1)
      server.port.send(texts('answer'))
      t.equal(String(await first(client.source)), 'answer', 'the rest is left to the caller')
    }
  }
})

/** Numbered pieces, large enough for reads into memory that is used again. */
async function * pieces (count: number): AsyncGenerator<Batch> {
  for (let i = 0; i < count; i++) yield [bytes(PIECE, i)]
}

const PIECE = 48 * 1024
const PIECES = 400

t.test('a busy reader is given nothing more, and the other side has to wait', async (t) => {
  for (const pair of [tcpPair, webSockets]) {
    const [client, server] = await pair(t)
    let [calls, total, sum] = [0, 0, 0]
    let isBusy = false
    let release: (() => void) | undefined
    const flowing = (server as Required<Link>).flow((batch) => {
      if (isBusy) throw new Error('it was busy')
      calls++
      if (calls % 7 > 0) {
        count(batch)
        return undefined
      }
      isBusy = true
      return new Promise((resolve) => {
        release = () => {
          count(batch) // its memory is still its own
          isBusy = false
          resolve()
        }
      })
    })
    const count = (batch: Batch): void => {
      for (const element of batch) {
        for (const byte of element) sum += byte
        total += element.length
      }
    }
    let isWritten = false
    const written = client.sink(pieces(PIECES)).then(() => { isWritten = true })
    if (pair === webSockets) void failureOf((client as Required<Link>).flow(() => {})).catch(() => {})
    await until(() => release !== undefined)
    await standstill(() => client.port.queued)
    t.notOk(isWritten, 'it waits')
    const isOver = (): boolean => total === PIECE * PIECES
    while (!isOver()) {
      await until(() => release !== undefined || isOver())
      release?.()
      release = undefined
      await turn()
    }
    let wanted = 0
    for (let i = 0; i < PIECES; i++) wanted += (i & 0xff) * PIECE
    t.equal(sum, wanted)
    await Promise.all([written, flowing])
    t.ok(calls > 20, `${calls} reads`)
  }
})

t.test('a link may end while its reader is busy', async (t) => {
  for (const pair of [tcpPair, webSockets]) {
    const [other, ending] = await pair(t)
    let resume: () => void = () => {}
    const ended = failureOf((ending as Required<Link>).flow(() => new Promise((resolve) => { resume = resolve })))
    other.port.send(texts('one'))
    const before = resume
    await until(() => resume !== before)
    ending.abort(new Error('over'))
    t.match(await ended, { message: 'over' }, 'at once')
    resume()
    await turn()
  }
})

t.test('the end waits for a busy reader, and so does what it has to say', async (t) => {
  for (const pair of [tcpPair, tlsPair, webSockets]) {
    const [client, server] = await pair(t)
    let release: () => void = () => {}
    let isOver = false
    const taken: string[] = []
    const before = release
    const flowing = (server as Required<Link>).flow((batch) => {
      taken.push(...batch.map(String))
      return new Promise((resolve) => { release = resolve })
    }).then(() => { isOver = true })
    if (pair === webSockets) {
      client.port.send(texts('one'));
      (client as WebSocketLink).close(1000)
      void (client as Required<Link>).flow(() => {}).catch(() => {})
    } else {
      void client.sink(batches(texts('one'))).catch(() => {})
    }
    await until(() => release !== before)
    for (let i = 0; i < 100; i++) await turn() // whatever else is there has come
    t.notOk(isOver)
    release()
    await flowing
    t.equal(taken.length, 1)
  }
})

t.test('messages, pings between them, and a goodbye', async (t) => {
  const [client, server] = await webSockets(t)
  const pings: string[] = []
  server.onPing = (payload) => { pings.push(Buffer.from(payload).toString()) }
  const { taken, ended } = read(server)
  const other = read(client)
  client.port.send(texts('one', 'two'))
  client.ping(Buffer.from('here?'))
  client.port.send(texts('three'))
  await until(() => taken.length === 3)
  t.same(taken, ['one', 'two', 'three'])
  t.same(pings, ['here?'])
  client.close(1000)
  t.same(await Promise.all([ended, other.ended]), ['end', 'end'])
})

t.test('goodbyes that are none', async (t) => {
  const [client, server] = await webSockets(t)
  const { ended } = read(server)
  const other = failureOf((client as Required<Link>).flow(() => {}))
  client.close(1008, 'no')
  t.equal(await ended, 'ERR_WEBSOCKET_CLOSED')
  await other.catch(() => {}) // whatever the answer of the other side was

  const [cut, left] = await webSockets(t)
  const cutShort = failureOf(left.flow(() => {}))
  cut.port.send(texts('x'))
  cut.abort(new Error('enough'))
  t.match(await cutShort, { code: /ERR_WEBSOCKET_CLOSED|ECONNRESET/ })
})

t.test('who breaks the protocol is told, after what was good', async (t) => {
  const [raw, below] = await tcpPair(t)
  const server = websocketFrames({ role: 'server' })(below)
  const { taken, ended } = read(server)
  raw.port.send([Buffer.from('8281000000006f' + 'f280', 'hex')]) // a message, and a frame with reserved bits
  t.equal(await ended, 'ERR_WEBSOCKET_PROTOCOL')
  t.same(taken, ['o'])
  t.equal((await first(raw.source)).subarray(0, 1).toString('hex'), '88', 'a close frame')
})

t.test('a layer over a link without it pulls', async (t) => {
  const [here, there] = memoryPair()
  const client = endsWith(t, websocketFrames({ role: 'client' })(here))
  const server = endsWith(t, websocketFrames({ role: 'server' })(there))
  const { taken, ended } = read(server)
  const other = read(client)
  client.port.send(texts('one'))
  await until(() => taken.length === 1)
  client.close(1000)
  t.same(await Promise.all([ended, other.ended]), ['end', 'end'])
})

/** A Node that does not keep the option `onread` where `pooled-reads.ts` looks for it: sockets read as they usually do. */
import t from 'tap'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'
import { outputOf } from '../../helpers/programs/program.ts'

const of = (path: string): string => JSON.stringify(new URL(`../../../src/${path}`, import.meta.url).href)

/** Loaded before the program: sockets have no symbols, or their handles no function. */
const withouts = {
  'the fields': 'import { Socket } from "node:net"; const all = Object.getOwnPropertySymbols; Object.getOwnPropertySymbols = (it) => it instanceof Socket ? [] : all(it)',
  'the function of the handle': 'import { createRequire } from "node:module"; const { createServer, connect } = createRequire("file:///")("node:net"); const server = createServer().listen(0, "127.0.0.1", () => { const s = connect(server.address().port, "127.0.0.1", () => { delete Object.getPrototypeOf(Object.getPrototypeOf(s._handle)).useUserBuffer; delete Object.getPrototypeOf(s._handle).useUserBuffer; s.destroy(); server.close() }) }); await new Promise((resolve) => server.once("close", resolve))'
}

/** Bytes through a bridge of sockets that asks for lent memory. */
const program = `
  import { randomBytes } from 'node:crypto'
  import { once } from 'node:events'
  import { canPoolReads, usePooledReads } from ${of('net/native/pooled-reads.ts')}
  import { bridge } from ${of('streams/bridge.ts')}
  import { dialTcp, listenTcp } from ${of('transports/tcp.ts')}
  import { connect } from 'node:net'
  const at = { host: '127.0.0.1', port: 0 }
  const listeners = [listenTcp(at), listenTcp(at)]
  const [first, second] = listeners.map((listener) => listener[Symbol.asyncIterator]())
  const ports = await Promise.all(listeners.map((listener) => listener.port()))
  const from = await dialTcp({ host: at.host, port: ports[0] })
  const to = await dialTcp({ host: at.host, port: ports[1] })
  const probe = connect(ports[0], at.host)
  await once(probe, 'connect')
  const isLent = usePooledReads(probe, () => true)
  probe.destroy()
  const joined = bridge((await first.next()).value, to)
  const there = (await second.next()).value
  const sent = randomBytes(5_000_000)
  const got = []
  const reading = (async () => { for await (const batch of there.source) got.push(...batch.map((bytes) => Buffer.from(bytes))); await there.sink((async function * () {})()) })()
  void (async () => { for await (const batch of from.source); })()
  await from.sink((async function * () { yield [sent] })())
  await Promise.all([reading, joined])
  for (const listener of listeners) listener.close()
  console.log(JSON.stringify({ canPoolReads, isLent, whole: Buffer.concat(got).equals(sent) }))
`

for (const [name, preload] of Object.entries(withouts)) {
  t.test(`without ${name}: bulk passes a bridge by usual reads`, async (t) => {
    const stdout = await outputOf(t, [...STRIP_TYPES, '--import', `data:text/javascript,${encodeURIComponent(preload)}`, '--input-type=module', '-e', program])
    t.same(JSON.parse(stdout), { canPoolReads: name !== 'the fields', isLent: false, whole: true })
  })
}

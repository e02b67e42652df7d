/** A port of one process leads to a service behind another: what a program of your own would do with `tunpipe/nodes/gotunnel`. */
import { mapPorts, serveGotunnel } from 'tunpipe/nodes/gotunnel'
import { dialTcp, listenTcp } from 'tunpipe/transports'
import type { Batch } from 'tunpipe'

const host = '127.0.0.1'
const token = 'secret'

const service = listenTcp({ host, port: 0 })
void (async () => {
  for await (const link of service) link.sink(link.source).catch((err) => { link.abort(err) }) // it sends back what it gets
})()

const relay = await serveGotunnel({ listen: `${host}:0`, bind: host, identities: [{ name: 'home', token, ports: '20000-40000' }] })
const peer = await mapPorts({
  server: { host, port: Number(new URL(relay.url).port) },
  token,
  name: 'laptop',
  maps: [{ remotePort: 28_123, local: { host, port: await service.port() } }]
})

async function * say (text: string): AsyncGenerator<Batch> {
  yield [Buffer.from(text)]
}

const user = await dialTcp({ host, port: 28_123 })
const said = user.sink(say('hello'))
for await (const batch of user.source) console.log(Buffer.concat(batch).toString())
await said

console.log(`${relay.relay.stats.accepted} user, ${peer.status().maps[0].mode} mode`)
await peer.close()
await relay.close()
service.close()

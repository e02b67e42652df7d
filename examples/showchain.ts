/** A SHOW CHAIN relay, a node that serves a port and one that connects to it, in one process. `node --import tsx examples/showchain.ts` */
import { once } from 'node:events'
import type { Batch } from 'tunpipe'
import { Identity, serveShowchain, ShowchainPeer } from 'tunpipe/nodes/showchain'
import { dialTcp, listenTcp } from 'tunpipe/transports'

const host = '127.0.0.1'

const service = listenTcp({ host, port: 0 })
void (async () => {
  for await (const link of service) link.sink(link.source).catch((err) => { link.abort(err) }) // it sends back what it gets
})()

const [ofRelay, ofNas, ofLaptop] = await Promise.all([1, 2, 3].map(() => Identity.generate(2048)))
const relay = await serveShowchain({ listen: `udp://${host}:0`, identity: ofRelay })
const bootstrap = [new URL(relay.url).host]

const nas = new ShowchainPeer({ identity: ofNas, bootstrap, host, to: `${host}:${await service.port()}`, allow: [ofLaptop.id] })
const registered = once(nas, 'registered')
await nas.start()
await registered

const laptop = new ShowchainPeer({ identity: ofLaptop, bootstrap, host, connect: [{ id: nas.id, listen: `${host}:0` }] })
await laptop.start()
const [{ url = '' }] = laptop.status().remotes

async function * say (text: string): AsyncGenerator<Batch> {
  yield [Buffer.from(text)]
}

const user = await dialTcp({ host, port: Number(new URL(url).port) }) // it waits until there is a path
const said = user.sink(say('hello'))
for await (const batch of user.source) console.log(Buffer.concat(batch).toString())
await said

console.log(`${relay.status().nodes} nodes, ${nas.status().served.length} of them served`)
await Promise.all([laptop.close(), nas.close(), relay.close()])
service.close()

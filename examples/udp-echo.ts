/** Datagrams over UDP: a service that sends each of them back, with a link for each user. `node --import tsx examples/udp-echo.ts` */
import { consume } from 'tunpipe'
import { dialUdp, listenUdp } from 'tunpipe/transports'

const listener = listenUdp({ host: '127.0.0.1', port: 0, maxFlows: 100, idleTimeout: 10_000 })
void (async () => {
  for await (const link of listener) consume(link, (batch) => { link.port.send(batch) }).catch((err) => { link.abort(err) })
})()

const link = await dialUdp({ host: '127.0.0.1', port: await listener.port() })
link.port.send([Buffer.from('hello')])
const leave = new AbortController()
await consume(link, ([answer]) => {
  console.log(`${Buffer.from(answer)}, ${listener.flows} link`)
  leave.abort()
}, leave.signal)
link.abort(new Error('done'))
listener.close()

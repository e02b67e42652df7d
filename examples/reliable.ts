/** A stream of bytes over UDP, which loses datagrams: a service that sends it back. `node --import tsx examples/reliable.ts` */
import { reliable } from 'tunpipe/transforms'
import { dialUdp, listenUdp } from 'tunpipe/transports'

// Bursts wait in the link until this process reads them: what has no room is lost, and sent again.
const listener = listenUdp({ host: '127.0.0.1', port: 0, flowLimit: 4 << 20 })
void (async () => {
  for await (const lower of listener) {
    const stream = reliable()(lower)
    stream.sink(stream.source).catch((err) => { stream.abort(err) })
  }
})()

const stream = reliable()(await dialUdp({ host: '127.0.0.1', port: await listener.port() }))
const sent = stream.sink((async function * () {
  for (let i = 0; i < 100; i++) yield [Buffer.alloc(10_000, 'tunpipe ')]
})())

let read = 0
let wrong = 0
for await (const batch of stream.source) {
  for (const bytes of batch) for (const byte of bytes) if (byte !== 'tunpipe '.charCodeAt(read++ % 8)) wrong++
}
await sent // the other end has everything
console.log(`${read} bytes there and back, ${wrong} wrong`)
stream.abort(new Error('done')) // else the link below lives on for a while, for packets that are repeated
listener.close()

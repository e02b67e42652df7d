/**
 * One end of a sealed stream over UDP: T counts bytes, R sends while it is told to. `BENCH_ROLE` is `target` or `requester`, `BENCH_PORT` the
 * port of the other end; R tells T its own by its first datagram.
 */
import { bindUdp } from 'tunpipe/transports'
import { clock, receiver, sender } from './ends.js'
import { report } from '../lib/child.js'

const HOST = '127.0.0.1'
const { BENCH_ROLE, BENCH_PORT } = process.env

const socket = await bindUdp({ host: HOST, port: 0 })

function pathTo (port) {
  return {
    kind: 'direct',
    endpoint: { host: HOST, port },
    maxDatagram: 1232,
    isReliable: false,
    get queued () { return socket.port.queued },
    get limit () { return socket.port.limit },
    send: (packets) => socket.port.send(packets.map((data) => ({ data, host: HOST, port }))),
    drained: () => socket.port.drained(),
    close () {}
  }
}

if (BENCH_ROLE === 'target') {
  const { pair, counted } = receiver()
  let path
  socket.flow((datagrams) => {
    if (path === undefined) {
      path = pathTo(datagrams[0].port)
      pair.addPath(path)
    }
    pair.receive(datagrams.map(({ data }) => data), path, clock.now())
  })
  report(socket.local.port, () => counted.bytes)
} else {
  const { pair, turn, start } = sender()
  const path = pathTo(Number(BENCH_PORT))
  socket.flow((datagrams) => { pair.receive(datagrams.map(({ data }) => data), path, clock.now()) })
  pair.addPath(path)
  await start()
  process.on('message', ({ on }) => { if (on !== undefined) turn(on) })
  report(socket.local.port, () => 0)
}

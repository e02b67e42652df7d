/**
 * One end of one stream over the loopback, in a process of its own. `BENCH_RELIABLE` is by what: `tunpipe`, `tunpipe, batch` without groups of
 * datagrams, or `udx-native`. `BENCH_ROLE` is `receiver`, which counts bytes, or `sender`, which sends while it is told to. It is told the port
 * of the other end first. `BENCH_SIZE` is the largest datagram of tunpipe; udx-native finds its own.
 */
import { bindUdp } from 'tunpipe/transports'
import { reliable } from 'tunpipe/transforms'
import { report } from '../lib/child.js'

const HOST = '127.0.0.1'
/** Bytes of the buffers of the kernel, the same for both, where the system allows it. */
const BUFFER = 7 << 20
const IDS = { receiver: 1, sender: 2 }
const { BENCH_RELIABLE, BENCH_ROLE, BENCH_SIZE } = process.env

const block = Buffer.alloc(64 << 10, 'tunpipe ')
const state = { isOn: false, bytes: 0, wake: () => {} }

async function byTunpipe () {
  const socket = await bindUdp({ host: HOST, port: 0, kernelBuffer: BUFFER, io: BENCH_RELIABLE === 'tunpipe' ? 'offload' : 'batch' })
  report(socket.local.port, () => state.bytes)
  const port = await otherPort()
  const datagramsOf = (batch) => batch.map(({ data }) => data)
  const link = reliable({ maxDatagram: Number(BENCH_SIZE) })({
    source: [],
    flow: (take, signal) => socket.flow((batch) => take(datagramsOf(batch)), signal),
    port: {
      get queued () { return socket.port.queued },
      limit: socket.port.limit,
      isReusable: socket.port.isReusable,
      send: (batch) => socket.port.send(batch.map((data) => ({ data, host: HOST, port }))),
      drained: () => socket.port.drained()
    },
    abort: () => { socket.close() }
  })
  if (BENCH_ROLE === 'receiver') await link.flow((batch) => { for (const { length } of batch) state.bytes += length })
  else await link.sink(blocks())
}

async function * blocks () {
  for (;;) {
    if (state.isOn) yield [block]
    else await new Promise((resolve) => { state.wake = resolve })
  }
}

async function byUdx () {
  const { default: UDX } = await import('udx-native')
  const udx = new UDX()
  const socket = udx.createSocket()
  socket.bind(0, HOST)
  try {
    socket.setRecvBufferSize(BUFFER)
    socket.setSendBufferSize(BUFFER)
  } catch {} // as large as the system allows
  report(socket.address().port, () => state.bytes)
  const port = await otherPort()
  const stream = udx.createStream(IDS[BENCH_ROLE])
  stream.connect(socket, BENCH_ROLE === 'receiver' ? IDS.sender : IDS.receiver, port, HOST)
  if (BENCH_ROLE === 'receiver') {
    stream.on('data', ({ length }) => { state.bytes += length })
    return
  }
  for await (const [bytes] of blocks()) {
    if (!stream.write(bytes)) await new Promise((resolve) => { stream.once('drain', resolve) })
  }
}

const otherPort = () => new Promise((resolve) => {
  process.on('message', ({ on, port }) => {
    if (port !== undefined) resolve(port)
    if (on === undefined) return
    state.isOn = on
    state.wake()
  })
})

await (BENCH_RELIABLE === 'udx-native' ? byUdx() : byTunpipe())

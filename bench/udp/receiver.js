/**
 * Counts datagrams that come to a port of the loopback. `BENCH_UDP` is how: `tunpipe`, `tunpipe, batch` without groups of datagrams,
 * `node:dgram` as one would write it, or `full`, which reads nothing.
 */
import { createSocket } from 'node:dgram'
import { bindUdp } from 'tunpipe/transports'
import { report } from '../lib/child.js'

/** Bytes of the receive buffer of the kernel, the same for both, where the system allows it. */
const BUFFER = 7 << 20

let received = 0

const { BENCH_UDP } = process.env

if (BENCH_UDP !== 'node:dgram') {
  const socket = await bindUdp({ host: '0.0.0.0', port: 0, kernelBuffer: BUFFER, io: BENCH_UDP === 'tunpipe' ? 'offload' : 'batch' })
  void socket.flow((batch) => {
    received += batch.length
    if (BENCH_UDP === 'full') return new Promise(() => {})
  })
  report(socket.local.port, () => received)
} else {
  const socket = createSocket('udp4')
  socket.on('message', () => { received++ })
  socket.bind(0, '0.0.0.0', () => {
    try {
      socket.setRecvBufferSize(BUFFER)
    } catch {} // as large as the system allows
    report(socket.address().port, () => received)
  })
}

/**
 * Sends datagrams as fast as it can while it is told to. `BENCH_UDP` is how: `tunpipe`, or `node:dgram` as one would write it.
 * `BENCH_NETWORK` and a number make the addresses that they go to in turn, of which there are `BENCH_ADDRESSES`.
 */
import { createSocket } from 'node:dgram'
import { bindUdp } from 'tunpipe/transports'
import { report } from '../lib/child.js'

const { BENCH_UDP, BENCH_NETWORK, BENCH_ADDRESSES, BENCH_PORT, BENCH_SIZE } = process.env
const port = Number(BENCH_PORT)
const size = Number(BENCH_SIZE)
const BATCH = 64
/** Batches of one turn of the event loop. */
const TURN = 4

const addresses = Number(BENCH_ADDRESSES)
const hosts = Array.from({ length: BATCH }, (_, i) => `${BENCH_NETWORK}${1 + i % addresses}`)
// Apart in memory, as packets are that something was put before.
const slab = Buffer.alloc(BATCH * (size + 32), 'tunpipe ')
const data = hosts.map((_, i) => slab.subarray(i * (size + 32) + 32, (i + 1) * (size + 32)))

let sent = 0
const state = { isOn: false }

async function byTunpipe () {
  const socket = await bindUdp({ host: '0.0.0.0', port: 0 })
  return async () => {
    for (let turn = 0; turn < TURN; turn++) {
      sent += socket.port.send(hosts.map((host, i) => ({ data: data[i], host, port })))
    }
    await new Promise((resolve) => { setImmediate(resolve) })
  }
}

async function byNode () {
  // Addresses are no names: without that Node looks each up.
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => { done(null, host, 4) } })
  await new Promise((resolve) => { socket.bind(0, '0.0.0.0', resolve) })
  return () => new Promise((resolve) => {
    let left = TURN * BATCH
    const done = () => { if (--left === 0) setImmediate(resolve) }
    for (let turn = 0; turn < TURN; turn++) for (let i = 0; i < BATCH; i++) socket.send(data[i], port, hosts[i], done)
    sent += TURN * BATCH
  })
}

const send = await (BENCH_UDP === 'tunpipe' ? byTunpipe() : byNode())

process.on('message', async ({ on }) => {
  if (on === undefined) return
  state.isOn = on
  while (state.isOn) await send()
})
report(port, () => sent)

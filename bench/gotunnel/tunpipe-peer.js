/** The peer under test. What it reports as its port is that of the relay which leads to it. */
import { mapPorts } from 'tunpipe/nodes/gotunnel'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { report } from '../lib/child.js'

/** One that is free now, and nobody else on this machine is about to take. */
const probe = createServer().listen(0, '127.0.0.1')
await once(probe, 'listening')
const { port: remotePort } = probe.address()
probe.close()
await once(probe, 'close')

const host = '127.0.0.1'
await mapPorts({
  server: { host, port: Number(process.env.BENCH_SERVER) },
  token: process.env.BENCH_PASSWORD,
  name: 'bench',
  maps: [{ remotePort, local: { host, port: Number(process.env.BENCH_TARGET) } }]
})
report(remotePort, () => 0)

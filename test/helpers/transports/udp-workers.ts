/** Workers that end with an open UDP socket, one after the other, each way: told as one JSON object on standard output. */
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { bindUdp } from '../../../src/transports/udp/bind.ts'

const results: unknown[] = []
for (const way of ['terminate', 'exit', 'close', 'terminate']) {
  const worker = new Worker(new URL('udp-worker.js', import.meta.url), { workerData: way })
  const [{ port, offloads }] = await once(worker, 'message')
  if (way === 'terminate') await worker.terminate()
  else await once(worker, 'exit')
  const again = await bindUdp({ host: '127.0.0.1', port, io: 'node' })
  again.close()
  results.push([way, offloads])
}
const descriptors = readdirSync('/proc/self/fd').length
console.log(JSON.stringify({ results, descriptors }))

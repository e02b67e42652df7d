/**
 * A worker thread that ends with a socket that is open, as `udp-worker.ts <exit|terminate|throw>`. Whether its port is free then, and whether
 * sockets of the main thread still work, goes to standard output as one JSON object.
 */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { bindUdp } from '../../../src/transports/udp/bind.ts'

const [, , how] = process.argv

async function main (): Promise<void> {
  const mine = await bindUdp({ host: '127.0.0.1', port: 0 })
  const worker = new Worker(new URL(import.meta.url), { argv: [how] })
  worker.on('error', () => {})
  const [{ port, reduced }] = await once(worker, 'message')
  const ended = new Promise((resolve) => { worker.once('exit', resolve) })
  mine.port.send([{ data: Buffer.from(how), host: '127.0.0.1', port }])
  if (how === 'terminate') await worker.terminate()
  await ended
  const again = await bindUdp({ host: '127.0.0.1', port })
  again.port.send([{ data: Buffer.from('hello'), ...mine.local }])
  const { value } = await mine.source[Symbol.asyncIterator]().next()
  for (const socket of [mine, again]) socket.close()
  console.log(JSON.stringify({ heard: Buffer.from(value[0].data).toString(), offloads: again.offloads, reduced }))
}

if (isMainThread) {
  await main()
} else {
  const socket = await bindUdp({ host: '127.0.0.1', port: 0 })
  parentPort?.postMessage({ port: socket.local.port, reduced: socket.reduced })
  for await (const batch of socket.source) {
    if (how === 'exit') process.exit(0)
    if (how === 'throw') throw new Error(`enough of ${batch.length}`)
  }
}

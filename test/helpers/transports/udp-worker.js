/** A worker thread with an open UDP socket. It tells the port and waits, or ends by itself, as told. Polls as the process does. */
import { parentPort, workerData } from 'node:worker_threads'
import { bindUdp } from '../../../src/transports/udp/bind.ts'

const socket = await bindUdp({ host: '127.0.0.1', port: 0 })
parentPort.postMessage({ port: socket.local.port, offloads: socket.offloads })
if (workerData === 'exit') setTimeout(() => { process.exit() }, 10)
if (workerData === 'close') setTimeout(() => { socket.close() }, 10)

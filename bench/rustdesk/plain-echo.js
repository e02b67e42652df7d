/** The rival: the least that a server of datagrams does in Node. */
import { createSocket } from 'node:dgram'

const socket = createSocket('udp4')
socket.on('message', (message, { port, address }) => { socket.send(message, port, address) })
socket.bind(Number(process.env.BENCH_PORT), process.env.BENCH_HOST)

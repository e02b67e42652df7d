/** The rival: one hop of the plainest chain that one would write, `pipe()` both ways. Two of them are what a relay and a peer are. */
import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import { report } from '../lib/child.js'

const port = Number(process.env.BENCH_TARGET)
const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  const next = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  socket.on('error', () => { next.destroy() })
  next.on('error', () => { socket.destroy() })
  socket.pipe(next).pipe(socket)
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
await once(server, 'listening')
report(server.address().port, () => 0)

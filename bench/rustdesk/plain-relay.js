/** The rival: the plainest relay that one would write. Two connections whose first reads are the same are paired. */
import { createServer } from 'node:net'

const waiting = new Map()

const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {})
  socket.once('data', (first) => {
    socket.pause()
    const name = first.toString('latin1')
    const other = waiting.get(name)
    if (other === undefined) {
      waiting.set(name, socket)
      return
    }
    waiting.delete(name)
    socket.on('error', () => { other.destroy() })
    other.on('error', () => { socket.destroy() })
    socket.pipe(other).pipe(socket)
  })
})
server.listen({ host: process.env.BENCH_HOST, port: Number(process.env.BENCH_PORT), backlog: 4096 })

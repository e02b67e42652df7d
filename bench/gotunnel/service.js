/**
 * The service behind the tunnels. The first byte of a connection says what it does: `e` sends all that follows back, `u` reads
 * until the end and then says how much that was, `d` sends without an end.
 */
import { createServer } from 'node:net'
import { once } from 'node:events'
import { report } from '../lib/child.js'

const CHUNK = Buffer.alloc(64 * 1024, 'd')

function serve (socket, [kind, ...rest]) {
  if (kind === 'e'.charCodeAt(0)) {
    socket.write(Buffer.from(rest))
    socket.pipe(socket)
  } else if (kind === 'u'.charCodeAt(0)) {
    let bytes = rest.length
    socket.on('data', (chunk) => { bytes += chunk.length })
    socket.on('end', () => { socket.end(String(bytes)) })
  } else {
    const fill = () => { while (socket.writable && socket.write(CHUNK)); }
    socket.on('drain', fill).resume()
    fill()
  }
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  socket.on('error', () => {})
  socket.once('data', (first) => {
    socket.pause()
    serve(socket, first)
    socket.resume()
  })
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
await once(server, 'listening')
report(server.address().port, () => 0)

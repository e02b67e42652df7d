/** The rival: the plainest relay that one would write with `ws`. It checks nothing. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { WebSocketServer } from 'ws'
import { report } from '../lib/child.js'

const AUTH = 0
const members = new Map()
const { BENCH_CERT: cert, BENCH_KEY: key } = process.env
const server = cert === undefined ? createServer() : createTlsServer({ cert, key })
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
  socket.on('message', (message) => {
    if (message[0] === AUTH) members.set(message.readUInt32BE(1), socket)
    else members.get(message.readUInt32BE(17))?.send(message)
  })
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
report(server.address().port, () => 0)

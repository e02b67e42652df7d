/** The rival: the plainest relay that one would write with `ws`. It checks nothing. */
import { once } from 'node:events'
import { WebSocketServer } from 'ws'
import { report } from '../child.js'

const AUTH = 0
const members = new Map()
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
server.on('connection', (socket) => {
  socket.on('message', (message) => {
    if (message[0] === AUTH) members.set(message.readUInt32BE(1), socket)
    else members.get(message.readUInt32BE(17))?.send(message)
  })
})
await once(server, 'listening')
report(server.address().port, () => 0)

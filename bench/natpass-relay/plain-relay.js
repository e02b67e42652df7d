/**
 * The rival: the plainest relay that one would write. It decodes each message, sets its sender, encodes it anew, and writes it, and checks
 * nothing but the checksum.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { crc32 } from 'node:zlib'
import { report } from '../lib/child.js'
import { natpass } from '../../dist/src/nodes/natpass/protocol/generated/natpass.js'

const HEAD_BYTES = 6
const HANDSHAKE = 1
const clients = new Map()

function frameOf (message) {
  const payload = natpass.msg.encode(message).finish()
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt16BE(payload.length)
  head.writeUInt32BE(crc32(payload), 2)
  return Buffer.concat([head, payload])
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest = Buffer.alloc(0)
  let id
  socket.on('error', () => {})
  socket.on('data', (bytes) => {
    rest = Buffer.concat([rest, bytes])
    let at = 0
    while (rest.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + rest.readUInt16BE(at)
      if (rest.length < end) break
      const payload = rest.subarray(at + HEAD_BYTES, end)
      if (crc32(payload) !== rest.readUInt32BE(at + 2)) return socket.destroy()
      at = end
      const message = natpass.msg.decode(payload)
      if (message._type === HANDSHAKE) {
        id = message.from
        clients.set(id, socket)
        continue
      }
      message.from = id
      clients.get(message.to)?.write(frameOf(message))
    }
    rest = rest.subarray(at)
  })
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
report(server.address().port, () => 0)

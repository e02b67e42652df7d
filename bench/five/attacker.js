/**
 * Floods a helper of SHOW CHAIN with forged requests, BENCH_RATE a second, with a valid cookie where BENCH_COOKIE is `on`: their form, ids and keys
 * are right, their signatures are not. Begins at once, and ends with its channel.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { Identity } from '../../dist/src/nodes/showchain/protocol/identity.js'
import { encodeMessage, readMessage } from '../../dist/src/nodes/showchain/protocol/messages.js'
import { Op } from '../../dist/src/nodes/showchain/protocol/op.js'
import { consume } from '../../dist/src/streams/consume.js'
import { bindUdp } from '../../dist/src/transports/udp/index.js'

const port = Number(process.env.BENCH_PORT)
const host = '127.0.0.1'
const perMillisecond = Number(process.env.BENCH_RATE) / 1000
/** Messages that are sent in turn. */
const KINDS = 256

const { id, der } = new Identity(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
const socket = await bindUdp({ host, port: 0 })
let seq = Date.now() * 1000
let onCookie = () => {}
consume(socket, (batch) => {
  for (const { data } of batch) {
    const message = readMessage(data)
    if (typeof message !== 'string' && message.cookie !== undefined) onCookie(Uint8Array.from(message.cookie))
  }
})

const forged = (cookie) => ({
  data: encodeMessage({ op: seq % 2 === 0 ? Op.directRequest : Op.natRequest, id, target: new Uint8Array(32), seq: ++seq, ts: Date.now(), sign: randomBytes(256), key: der, cookie }), host, port
})

let cookie
if (process.env.BENCH_COOKIE === 'on') {
  const got = new Promise((resolve) => { onCookie = resolve })
  const asking = setInterval(() => { socket.port.send([forged()]) }, 100)
  cookie = await got
  clearInterval(asking)
}

let block = []
let sent = 0
const begin = performance.now()
setInterval(() => {
  const due = Math.floor((performance.now() - begin) * perMillisecond)
  if (sent % KINDS < due % KINDS || block.length === 0) block = Array.from({ length: KINDS }, () => forged(cookie)) // fresh
  const some = block.slice(0, Math.min(due - sent, KINDS))
  sent = due
  if (some.length > 0) socket.port.send(some)
}, 1)
process.on('disconnect', () => { process.exit() })
process.send({ port: 0 })

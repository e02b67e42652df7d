/**
 * Nodes of a helper, all at one port. Told `register`, so many new ones register; told `introduce`, so many pairs of them are introduced to each
 * other: a request of R to the helper, 0x112 to T, its answer, 0x115 to R.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { rsaKeys } from './rsa-keys.js'
import { Identity } from '../../dist/src/nodes/showchain/protocol/identity.js'
import { encodeMessage, readMessage } from '../../dist/src/nodes/showchain/protocol/messages.js'
import { Op } from '../../dist/src/nodes/showchain/protocol/op.js'
import { idText } from '../../dist/src/nodes/showchain/protocol/public-key.js'
import { signedBytes } from '../../dist/src/nodes/showchain/protocol/signatures.js'

const port = Number(process.env.BENCH_PORT)
/** Messages under way. */
const AT_ONCE = 64
const PATIENCE = 10_000
const KEEP_AFTER = 15_000

const socket = createSocket('udp4')
socket.bind(0, '127.0.0.1')
await once(socket, 'listening')
socket.setRecvBufferSize(4 << 20)

let seq = Date.now() * 1000
let cookie
let helperId = new Uint8Array(32)
let onMessage = () => {}
socket.on('message', (bytes) => { onMessage(readMessage(bytes)) })

const keys = rsaKeys()
const nodes = []

function signed (message, identity) {
  return new Promise((resolve) => { identity.signLater(signedBytes(message), (sign) => { resolve(encodeMessage({ ...message, sign, key: identity.der })) }) })
}

const request = (op, identity, target) => signed({ op, id: identity.id, target, seq: ++seq, ts: Date.now(), cookie }, identity)

const send = (bytes) => { socket.send(bytes, port, '127.0.0.1') }

/** Sends messages, and waits for as many of an op code. */
async function exchange (messages, op) {
  const got = []
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => { reject(new Error(`${messages.length - got.length} of ${messages.length} got no 0x${op.toString(16)}`)) }, PATIENCE)
    onMessage = (message) => {
      if (message.op !== op) return
      got.push(message)
      if (got.length < messages.length) return
      clearTimeout(timer)
      resolve()
    }
    for (const bytes of messages) send(bytes)
  })
  return got
}

/** The id of the helper, and a cookie. */
async function meet () {
  const identity = new Identity(keys.next().value)
  const [challenge] = await exchange([await request(Op.directRequest, identity, helperId)], Op.directResponse)
  cookie = challenge.cookie
  const [answer] = await exchange([await request(Op.directRequest, identity, helperId)], Op.directResponse)
  helperId = answer.id
}

let keptAt = Date.now()

/** The helper forgets who is silent for a minute. */
async function keepAlive () {
  if (Date.now() - keptAt < KEEP_AFTER) return
  keptAt = Date.now()
  for (const [i, { id }] of nodes.entries()) {
    send(encodeMessage({ op: Op.keepAlive, id, seq: 0, ts: 0 }))
    if (i % AT_ONCE === AT_ONCE - 1) await nextTurn()
  }
}

async function register (count) {
  for (let left = count; left > 0; left -= AT_ONCE) {
    await keepAlive()
    const some = Array.from({ length: Math.min(left, AT_ONCE) }, () => new Identity(keys.next().value))
    await exchange(await Promise.all(some.map((identity) => request(Op.directRequest, identity, helperId))), Op.directResponse)
    for (const identity of some) nodes.push(identity)
  }
}

let pair = 0

async function introduce (count) {
  const byId = new Map(nodes.map((identity) => [idText(identity.id), identity]))
  const pairs = Array.from({ length: count }, () => {
    const [from, by] = [pair % nodes.length, 1 + Math.floor(pair++ / nodes.length) % (nodes.length - 1)]
    return [nodes[from], nodes[(from + by) % nodes.length]]
  })
  for (let at = 0; at < count; at += AT_ONCE) {
    await keepAlive()
    const some = pairs.slice(at, at + AT_ONCE)
    const passed = await exchange(await Promise.all(some.map(([from, to]) => request(Op.natRequest, from, to.id))), Op.passRequest)
    const acks = passed.map(({ target, seq, ts, session }) => signed({ op: Op.responseAck, id: target, seq, ts, session }, byId.get(idText(target))))
    await exchange(await Promise.all(acks), Op.passResponseAck)
  }
}

process.on('message', ({ register: newNodes = 0, introduce: pairs = 0 }) => {
  const work = async () => {
    if (cookie === undefined) await meet()
    await register(newNodes)
    await introduce(pairs)
    return { count: newNodes + pairs }
  }
  work().catch((err) => ({ error: err.message })).then(promisify((answer, done) => { process.send(answer, done) }))
})
process.on('disconnect', () => { process.exit() })
process.send({ port: 0 })

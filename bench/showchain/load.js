/**
 * Nodes of a helper, all at one port. Told `register`, so many new ones register; told `introduce`, so many pairs of them are introduced to each
 * other: a request of R to the helper, 0x112 to T, its answer, 0x115 to R. What can be signed beforehand is, so that the helper has the
 * processors while it works. What gets lost is sent anew.
 */
import { promisify } from 'node:util'
import { rsaKeys } from './rsa-keys.js'
import { Identity } from '../../dist/src/nodes/showchain/protocol/identity.js'
import { encodeMessage, readMessage } from '../../dist/src/nodes/showchain/protocol/messages.js'
import { Op } from '../../dist/src/nodes/showchain/protocol/op.js'
import { signedBytes } from '../../dist/src/nodes/showchain/protocol/signatures.js'
import { consume } from '../../dist/src/streams/consume.js'
import { bindUdp } from '../../dist/src/transports/udp/index.js'

const port = Number(process.env.BENCH_PORT)
/** Messages under way. */
const AT_ONCE = 64
/** Introductions whose answers are signed together: less than one address may leave unanswered. */
const AT_A_TIME = 512
/** Milliseconds until what was not answered is sent anew, and how many times. */
const AGAIN_AFTER = 1500
const MAX_TRIES = 10
/** Milliseconds after which a node keeps alive, and how many do at one time. */
const KEEP_AFTER = 20_000
const KEEP_AT_ONCE = 256

const socket = await bindUdp({ host: '127.0.0.1', port: 0, receiveLimit: 8 << 20, sendLimit: 8 << 20 })

let seq = Date.now() * 1000
let cookie
let helperId = new Uint8Array(32)
let onMessage = () => {}
consume(socket, (batch) => { for (const { data } of batch) onMessage(readMessage(Uint8Array.from(data))) })

const keys = rsaKeys()
/** Those that were heard longest ago first, with the time of that. */
const nodes = new Map()

const send = (datagrams) => { socket.port.send(datagrams.map((data) => ({ data, host: '127.0.0.1', port }))) }

/** A message that is signed by a node, and its seq. */
function signed (message, identity) {
  return new Promise((resolve) => {
    identity.signLater(signedBytes(message), (sign) => { resolve({ seq: message.seq, bytes: encodeMessage({ ...message, sign, key: identity.der }) }) })
  })
}

const request = (op, identity, target) => signed({ op, id: identity.id, target, seq: ++seq, ts: Date.now(), cookie }, identity)

/**
 * Sends messages, at most 64 unanswered ones at a time.
 *
 * @param messages `{ seq, bytes }`; answers have the same seq
 * @returns the answers by seq, some of which may be missing
 */
async function exchange (messages, op) {
  const answers = new Map()
  for (let at = 0; at < messages.length; at += AT_ONCE) {
    keepAlive()
    const some = messages.slice(at, at + AT_ONCE)
    const open = new Set(some.map(({ seq }) => seq))
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, AGAIN_AFTER)
      onMessage = (message) => {
        if (message.op === Op.directResponse && message.sign === undefined) cookie = message.cookie
        else if (message.op === op && open.delete(message.seq)) answers.set(message.seq, message)
        if (open.size > 0) return
        clearTimeout(timer)
        resolve()
      }
      send(some.map(({ bytes }) => bytes))
    })
  }
  return answers
}

/** Does something with each of many, and again with those for which it has not succeeded. @param attempt gives those that are left */
async function untilDone (all, attempt) {
  let left = all
  for (let tries = 0; left.length > 0; tries++) {
    if (tries === MAX_TRIES) throw new Error(`${left.length} of ${all.length} got no answer`)
    left = await attempt(left)
  }
}

function keepAlive () {
  const now = Date.now()
  let count = 0
  for (const [identity, heardAt] of nodes) {
    if (now - heardAt < KEEP_AFTER || count++ === KEEP_AT_ONCE) return
    nodes.delete(identity)
    nodes.set(identity, now)
    send([encodeMessage({ op: Op.keepAlive, id: identity.id, seq: 0, ts: 0 })])
  }
}

/** Those that have no answer, with their messages to be made anew. */
async function registered (identities) {
  const messages = await Promise.all(identities.map((identity) => request(Op.directRequest, identity, helperId)))
  const answers = await exchange(messages, Op.directResponse)
  for (const { id } of answers.values()) helperId = Uint8Array.from(id)
  return identities.filter((identity, i) => {
    if (!answers.has(messages[i].seq)) return true
    nodes.set(identity, Date.now())
    return false
  })
}

/** The id of the helper, and a cookie. */
const meet = () => untilDone([new Identity(keys.next().value)], async (identities) => {
  const left = await registered(identities)
  nodes.clear() // it is not in the table: it did not know whom to register with
  return left
})

async function register (count) {
  for (let left = count; left > 0; left -= AT_ONCE) {
    await untilDone(Array.from({ length: Math.min(left, AT_ONCE) }, () => new Identity(keys.next().value)), registered)
  }
}

let pair = 0

function newPairs (count) {
  const all = [...nodes.keys()].sort((one, other) => Buffer.compare(one.id, other.id))
  return Array.from({ length: count }, () => {
    const [from, by] = [pair % all.length, 1 + Math.floor(pair++ / all.length) % (all.length - 1)]
    return [all[from], all[(from + by) % all.length]]
  })
}

async function introduced (pairs) {
  const requests = await Promise.all(pairs.map(([from, to]) => request(Op.natRequest, from, to.id)))
  const passed = await exchange(requests, Op.passRequest)
  const acks = await Promise.all(pairs.map(([, to], i) => {
    const asked = passed.get(requests[i].seq)
    return asked === undefined ? undefined : signed({ op: Op.responseAck, id: to.id, seq: asked.seq, ts: asked.ts, session: asked.session }, to)
  }))
  const answers = await exchange(acks.filter((ack) => ack !== undefined), Op.passResponseAck)
  return pairs.filter((_pair, i) => !answers.has(requests[i].seq))
}

async function introduce (count) {
  for (let left = count; left > 0; left -= AT_A_TIME) await untilDone(newPairs(Math.min(left, AT_A_TIME)), introduced)
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

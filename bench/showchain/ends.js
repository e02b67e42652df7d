/** An end of a pair: a node with a key that is checked in for tests, and what is above it. */
import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { loadSealing, loadSha256 } from '../../dist/src/crypto/index.js'
import { silent } from '../../dist/src/log.js'
import { Indexes } from '../../dist/src/nodes/showchain/peer/indexes.js'
import { ShowchainNode } from '../../dist/src/nodes/showchain/peer/node.js'
import { RequesterPair, TargetPair } from '../../dist/src/nodes/showchain/peer/pair.js'
import { Identity } from '../../dist/src/nodes/showchain/protocol/identity.js'
import { PublicKeys } from '../../dist/src/nodes/showchain/protocol/public-keys.js'
import { systemClock as clock } from '../../dist/src/streams/clock.js'
import { bindUdp } from '../../dist/src/transports/udp/index.js'

const HOST = '127.0.0.1'

const keys = JSON.parse(readFileSync(new URL('../../test/vectors/showchain-keys.json', import.meta.url), 'utf8'))

export const identityOf = (name) => new Identity(createPrivateKey({ key: Buffer.from(keys.find((key) => key.name === name).private, 'base64'), format: 'der', type: 'pkcs8' }))

const [requester, target] = ['a', 'b'].map(identityOf)

const indexes = new Indexes()
const common = { clock, sealing: await loadSealing(), keys: new PublicKeys(), indexes }

/** @param form `direct`, or how what goes by the proxy is signed: `page`, `hmac` */
const open = async (form, identity, proxy, userOf) => await ShowchainNode.open({
  identity,
  bootstrap: [{ host: HOST, port: proxy }],
  listen: { host: HOST, port: 0 },
  bind: (init) => bindUdp({ ...init, sendLimit: 4 << 20, receiveLimit: 4 << 20 }),
  lookup: async (name) => name,
  sha256: await loadSha256(),
  clock,
  log: silent,
  random: Math.random,
  isDirect: form === 'direct',
  pageSignatures: form === 'page',
  keys: common.keys,
  isAllowed: () => true,
  userOf,
  ownerOf: (index) => indexes.ownerOf(index),
  onPathClosed: () => {},
  onFailed: (err) => { throw err }
})

async function registered (node) {
  while (node.helpers.registered.length === 0) await new Promise((resolve) => { setTimeout(resolve, 20) })
}

/** T, which reads all that comes, and counts the bytes. */
export async function receiver (form, proxy) {
  const counted = { bytes: 0 }
  const pair = new TargetPair({
    ...common,
    identity: target,
    other: requester.id,
    onOpen: (opening) => {
      const link = opening.accept(new Uint8Array(0))
      link.flow((batch) => { for (const bytes of batch) counted.bytes += bytes.length }).catch(() => {})
    }
  })
  const node = await open(form, target, proxy, () => pair)
  await registered(node)
  return { port: node.local.port, counted }
}

/** R, which sends while it is told to. */
export async function sender (form, proxy, port) {
  const pair = new RequesterPair({ ...common, identity: requester, other: target.id })
  const node = await open(form, requester, proxy, () => undefined)
  await registered(node)
  node.connect(target.id, pair, form === 'direct' ? { host: HOST, port } : undefined)
  const block = Buffer.alloc(64 << 10, 'tunpipe ')
  const state = { isOn: false, wake: () => {} }
  async function * source () {
    for (;;) {
      if (state.isOn) yield [block]
      else await new Promise((resolve) => { state.wake = resolve })
    }
  }
  const link = await pair.open()
  link.sink(source()).catch((err) => { console.error(err) })
  return {
    maxDatagram: pair.path.maxDatagram,
    turn (isOn) {
      state.isOn = isOn
      state.wake()
    }
  }
}

/** Registration, challenges and keep-alives (SHOW CHAIN protocol, sections 2.5, 3 and 5.1). */
import t from 'tap'
import { identity, publicDer } from '../../../helpers/showchain/keys.ts'
import { hostOf, RELAY, RelayLab } from '../../../helpers/showchain/relay-lab.ts'
import { encodeMessage, type ShowchainMessage } from '../../../../src/nodes/showchain/protocol/messages.ts'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'
import { idText } from '../../../../src/nodes/showchain/protocol/public-key.ts'
import { signMessage, verifyMessage } from '../../../../src/nodes/showchain/protocol/signatures.ts'
import { PublicKey } from '../../../../src/nodes/showchain/protocol/public-key.ts'

const UNKNOWN_ID = new Uint8Array(32)

async function opened (t: { teardown: (fn: () => Promise<void>) => void }, options?: Parameters<typeof RelayLab.open>[0]): Promise<RelayLab> {
  const lab = await RelayLab.open(options)
  t.teardown(() => lab.close())
  return lab
}

t.test('a request without a cookie is answered by a challenge, which costs nothing', async (t) => {
  const lab = await opened(t)
  const node = await lab.node('a')
  const request = node.request(Op.directRequest, lab.server.relay.id)
  const [challenge, ...rest] = await node.ask(Op.directRequest, lab.server.relay.id)
  t.same(rest, [])
  t.match(challenge.message, { op: Op.directResponse, seq: request.seq + 1, ts: lab.clock.date() - 4, id: undefined, key: undefined, sign: undefined })
  t.same(hostOf(challenge.message), node.endpoint)
  t.equal(challenge.message.cookie?.length, 16)
  t.ok(challenge.bytes.length < encodeMessage(request).length, 'it is shorter than the request')
  t.match(lab.server.status(), { challenges: 1, nodes: 0, registered: 0 })

  t.test('also one with a signature that is wrong', async () => {
    node.send({ ...request, sign: new Uint8Array(256) })
    await lab.settle()
    t.equal(node.take().length, 1)
    t.same(lab.drops, {})
  })

  for (const [name, op] of [['0x111', Op.natRequest], ['0x121', Op.proxyRequest]] as const) {
    t.test(name, async (t) => {
      const [answer] = await node.ask(op, identity('b').id)
      t.match(answer.message, { op: Op.directResponse, sign: undefined })
    })
  }
})

t.test('cookies: of another endpoint, of before, made up', async (t) => {
  const lab = await opened(t)
  const [node, other] = [await lab.node('a'), await lab.node('b')]
  await node.prove()
  const { cookie } = node
  t.ok((await node.register()).message.sign)
  other.cookie = cookie
  t.match((await other.register()).message, { sign: undefined }, 'of another host')
  node.cookie = cookie?.map((byte, i) => i === 15 ? byte ^ 1 : byte)
  t.match((await node.register()).message, { sign: undefined }, 'one bit')
  node.cookie = cookie
  await lab.clock.pass(119_000)
  t.ok((await node.register()).message.sign, 'two minutes later')
  node.cookie = cookie
  await lab.clock.pass(240_000)
  t.match((await node.register()).message, { sign: undefined }, 'six minutes later')
  t.equal(lab.server.status().nodes, 0, 'nobody is left')
})

t.test('registration', async (t) => {
  const lab = await opened(t)
  const node = await lab.node('a')
  await node.prove()
  const request = node.request(Op.directRequest, lab.server.relay.id, { kind: 3 })
  node.send(request)
  await lab.settle()
  const [{ message: answer, from }] = node.take()
  t.match(answer, { op: Op.directResponse, seq: request.seq, ts: request.ts })
  t.same(from, RELAY)
  t.same(hostOf(answer), node.endpoint)
  t.same(answer.id, lab.server.relay.id)
  t.ok(verifyMessage(answer, PublicKey.read(answer.key as Uint8Array, answer.id) as PublicKey))
  t.match(lab.server.status(), { nodes: 1, registered: 1, id: idText(identity('h').id) })
  t.match(lab.server.explain(idText(node.id)), { registration: { endpoint: '192.0.2.2:5000', kind: 3 }, steps: [{ text: 'registered from 192.0.2.2:5000 as T3' }] })

  t.test('with the cookie that is in the answer', async (t) => {
    node.cookie = answer.cookie
    t.ok((await node.register()).message.sign)
  })
  t.test('at another endpoint, which has to be proved', async (t) => {
    const moved = await lab.node('a')
    moved.cookie = node.cookie
    await moved.register()
    t.match(lab.server.explain(idText(node.id))?.registration, { endpoint: '192.0.2.2:5000' })
    await moved.prove()
    await moved.register()
    t.match(lab.server.explain(idText(node.id))?.registration, { endpoint: '192.0.2.3:5000' })
    t.equal(lab.server.status().nodes, 1)
  })
})

t.test('a request that was challenged, sent by a stranger who has seen it, moves nobody', async (t) => {
  const lab = await opened(t)
  const [node, stranger] = [await lab.node('a'), await lab.node('b')]
  await stranger.prove()
  const seen = node.request(Op.directRequest, lab.server.relay.id)
  node.send(seen)
  await lab.settle()
  node.cookie = node.take().at(-1)?.message.cookie
  stranger.send({ ...seen, cookie: stranger.cookie })
  await lab.settle()
  t.equal(lab.server.explain(idText(node.id))?.registration?.endpoint, '192.0.2.3:5000', 'the stranger is first')
  await node.register()
  const next = node.request(Op.directRequest, lab.server.relay.id, { cookie: undefined })
  node.send(next)
  await lab.settle()
  await node.register()
  stranger.send({ ...next, cookie: stranger.cookie })
  await lab.settle()
  t.equal(lab.server.explain(idText(node.id))?.registration?.endpoint, '192.0.2.2:5000', 'what is older than the registration does not count')
  t.same(lab.drops, { replay: 1 })
})

t.test('a target that is not known yet is answered, and registers nobody', async (t) => {
  const lab = await opened(t)
  const node = await lab.node('a')
  await node.prove()
  const [{ message }] = await node.ask(Op.directRequest, UNKNOWN_ID)
  t.same(message.id, lab.server.relay.id)
  t.match(lab.server.status(), { nodes: 0 })
  t.same(await node.ask(Op.directRequest, identity('b').id), [], 'that of another node')
  t.same(lab.drops, { target: 1 })
})

t.test('one bit changed in any signed value, in sign, in key, in id (row 2)', async (t) => {
  const lab = await opened(t)
  const node = await lab.registered('a')
  const flipped = (bytes: Uint8Array | undefined, at: number): Uint8Array => (bytes as Uint8Array).map((byte, i) => i === at ? byte ^ 4 : byte)
  const changes: Array<[name: string, change: (message: ShowchainMessage) => Partial<ShowchainMessage>, drop: string]> = [
    ['seq', ({ seq }) => ({ seq: seq + 1 }), 'signature'],
    ['ts', ({ ts }) => ({ ts: ts + 1 }), 'signature'],
    ['sign', ({ sign }) => ({ sign: flipped(sign, 100) }), 'signature'],
    ['sign, shorter', ({ sign }) => ({ sign: (sign as Uint8Array).subarray(0, 255) }), 'field'],
    ['sign, longer', ({ sign }) => ({ sign: Buffer.concat([sign as Uint8Array, Buffer.alloc(1)]) }), 'signature'],
    ['key', ({ key }) => ({ key: flipped(key, 200) }), 'id'],
    ['key of another node', () => ({ key: identity('b').der }), 'id'],
    ['id', ({ id }) => ({ id: flipped(id, 0) }), 'id'],
    ['op', () => ({ op: Op.proxyRequest }), 'target']
  ]
  for (const [name, change, drop] of changes) {
    const before = lab.server.status().drops
    const message = node.request(Op.directRequest, lab.server.relay.id)
    node.send({ ...message, ...change(message) })
    await lab.settle()
    t.same(node.take(), [], `${name}: no answer`)
    const after = lab.server.status().drops as Record<string, number>
    t.same(Object.keys(after).filter((reason) => after[reason] !== (before as Record<string, number>)[reason]), [drop], name)
  }
  t.ok((await node.register()).message.sign, 'and without a change')
  const message = node.request(Op.directRequest, UNKNOWN_ID)
  node.send({ ...message, target: lab.server.relay.id })
  await lab.settle()
  t.same(node.take(), [], 'target')
})

t.test('ts 31 s old or ahead; seq repeated; seq 65 behind (row 3)', async (t) => {
  const lab = await opened(t)
  const node = await lab.registered('a')
  const target = lab.server.relay.id
  const at = (seq: number, ts = node.ts): ShowchainMessage => signMessage({ op: Op.directRequest, id: node.id, target, seq, ts, cookie: node.cookie }, node.identity)
  const isAnswered = async (message: ShowchainMessage): Promise<boolean> => {
    node.send(message)
    await lab.settle()
    return node.take().length > 0
  }
  const top = node.request(Op.directRequest, target).seq + 1000
  t.notOk(await isAnswered(at(top, node.ts - 31_000)), 'old')
  t.notOk(await isAnswered(at(top, node.ts + 31_000)), 'ahead')
  t.same(lab.drops, { stale: 2 })
  t.ok(await isAnswered(at(top, node.ts - 29_000)))
  t.ok(await isAnswered(at(top + 1, node.ts + 29_000)))
  t.notOk(await isAnswered(at(top + 1)), 'repeated')
  t.notOk(await isAnswered(at(top + 1 - 65)), '65 behind')
  t.same(lab.drops, { stale: 2, replay: 2 })
  t.ok(await isAnswered(at(top + 1 - 64)), '64 behind')
  t.notOk(await isAnswered(at(top + 1 - 64)), 'that is repeated')
})

t.test('keys that nobody may use', async (t) => {
  const lab = await opened(t)
  const node = await lab.node('a')
  await node.prove()
  for (const key of ['exponent3', 'rsapss', 'rsa2052'] as const) {
    node.send({ ...node.request(Op.directRequest, lab.server.relay.id), key: publicDer(key).subarray(0, 552) })
    await lab.settle()
  }
  t.same(node.take(), [])
  t.same(lab.drops, { key: 3 })
})

t.test('keep-alives', async (t) => {
  const lab = await opened(t)
  const node = await lab.registered('a')
  const keepAlive = async (from = node): Promise<string[]> => {
    from.send({ op: Op.keepAlive, id: node.id, seq: 0, ts: 0 })
    await lab.settle()
    return from.takeNames()
  }
  node.send({ op: Op.keepAlive, id: node.id, seq: 0, ts: 0 })
  await lab.settle()
  const [{ message }] = node.take()
  t.match(message, { op: Op.keepAlive, seq: 0, ts: 0 })
  t.same(message.id, lab.server.relay.id)
  t.same(hostOf(message), node.endpoint)
  await lab.clock.pass(4000)
  t.same(await keepAlive(), [], 'once in 5 s')
  await lab.clock.pass(1000)
  t.same(await keepAlive(), ['keepAlive'])

  t.test('0x100 with another\'s id from another address (row 6)', async (t) => {
    const other = await lab.node('b')
    await lab.clock.pass(50_000)
    t.same(await keepAlive(other), [])
    t.same(lab.drops, { unregistered: 1 })
    t.match(lab.server.explain(idText(node.id)), { registration: { endpoint: '192.0.2.2:5000' } })
    await lab.clock.pass(11_000)
    t.match(lab.server.explain(idText(node.id)), { registration: undefined, steps: [{}, { text: /not heard for 60 s/ }] }, 'it was not heard by that')
  })
  t.test('of a node that is gone', async (t) => {
    t.same(await keepAlive(), [])
    t.equal(lab.server.status().gone, 1)
  })
})

t.test('a node that keeps alive stays, one that does not is gone after 60 s', async (t) => {
  const lab = await opened(t)
  const [kept] = [await lab.registered('a'), await lab.registered('b')]
  for (let i = 0; i < 6; i++) {
    await lab.clock.pass(15_000)
    kept.send({ op: Op.keepAlive, id: kept.id, seq: 0, ts: 0 })
  }
  await lab.settle()
  t.equal(lab.server.status().nodes, 1)
  t.ok(lab.server.explain(idText(kept.id))?.registration)
})

t.test('no room for more nodes', async (t) => {
  const lab = await opened(t, { maxNodes: 2, maxNodesPerSource: 1 })
  const host = lab.host()
  t.ok((await (await lab.node('a', { host })).register()).message.sign)
  t.equal(await (await lab.node('b', { host, port: 5001 })).register(), undefined, 'of one address')
  t.ok((await (await lab.node('c')).register()).message.sign)
  t.equal(await (await lab.node('d')).register(), undefined, 'in all')
  t.same(lab.drops, { full: 2 })
  lab.server.configure({ maxNodes: 3 })
  t.ok((await (await lab.node('e')).register()).message.sign, 'after a change of the settings')
})

t.test('what a helper does not serve, and what is no message', async (t) => {
  const lab = await opened(t)
  const node = await lab.registered('a')
  const target = lab.server.relay.id
  const session = new Uint8Array(16)
  node.send(node.request(Op.response, target))
  node.sendSigned({ op: Op.proxyResponse, target, session, seq: 1, ts: node.ts })
  node.send({ op: Op.passData, id: node.id, target, session, seq: 1, ts: node.ts, data: session })
  node.send({ op: Op.directResponse, seq: 1, ts: node.ts, ip: new Uint8Array(4), port: 1, cookie: session })
  node.sendSigned({ op: Op.passResponseAck, id: node.id, session, seq: 1, ts: node.ts, ip: new Uint8Array(4), port: 1 })
  node.send({ ...node.request(Op.passRequest, target), session, ip: new Uint8Array(4).fill(9), port: 1 })
  await lab.settle()
  t.same(lab.drops, { unexpected: 4, answer: 1, unregistered: 1 })
  for (const bytes of [[], [0], [0x08], [0x08, 0x80], [0xc0, 1, 2], [0xc1], Array(1232).fill(8), Array(1233).fill(8), Buffer.from('08a002', 'hex'), Buffer.from('088202', 'hex')]) node.sendBytes(Uint8Array.from(bytes))
  await lab.settle()
  t.same(node.take(), [])
  t.ok((await node.register()).message.sign, 'the node is served as before')
})

t.test('settings that change while it runs', async (t) => {
  const lab = await opened(t)
  const node = await lab.registered('a')
  t.throws(() => { lab.server.configure({ maxNodes: 0 }) }, { code: 'ERR_OPTION', option: 'maxNodes' })
  t.equal(lab.server.status().proxy, true)
  lab.server.configure({ proxy: false, pageSignatures: true })
  t.match(lab.server.status(), { proxy: false, pageSignatures: true, nodes: 1 })
  t.same(await node.ask(Op.proxyRequest, identity('b').id), [])
  t.same(lab.drops, { off: 1 })
})

t.test('close', async (t) => {
  const lab = await RelayLab.open()
  const node = await lab.registered('a')
  await lab.close()
  t.same(await node.ask(Op.directRequest, lab.server.relay.id), [])
})

t.test('ids that are none', async (t) => {
  const lab = await opened(t)
  t.equal(lab.server.explain('abc'), undefined)
  t.same(lab.server.explain('00'.repeat(32)), { registration: undefined, steps: [] })
})

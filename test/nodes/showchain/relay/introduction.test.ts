/** Introductions, and the answers from a second port (SHOW CHAIN protocol, sections 3.2, 4.1 and 5.3). */
import t from 'tap'
import { identity } from '../../../helpers/showchain/keys.ts'
import { hostOf, RELAY, RelayLab, type Got, type ScriptedNode } from '../../../helpers/showchain/relay-lab.ts'
import { encodeMessage, MAX_MESSAGE, type ShowchainMessage } from '../../../../src/nodes/showchain/protocol/messages.ts'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'
import { idText, PublicKey } from '../../../../src/nodes/showchain/protocol/public-key.ts'
import { signMessage, verifyMessage } from '../../../../src/nodes/showchain/protocol/signatures.ts'

const toHex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes as Uint8Array).toString('hex')

async function opened (t: { teardown: (fn: () => Promise<void>) => void }, options?: Parameters<typeof RelayLab.open>[0]): Promise<RelayLab> {
  const lab = await RelayLab.open(options)
  t.teardown(() => lab.close())
  return lab
}

/** R asks for T; gives what T has got. */
async function asked (lab: RelayLab, requester: ScriptedNode, target: ScriptedNode, kind?: number): Promise<Got[]> {
  if (requester.cookie === undefined) await requester.prove()
  requester.send(requester.request(Op.natRequest, target.id, { kind }))
  await lab.settle()
  return target.take()
}

t.test('an introduction', async (t) => {
  const lab = await opened(t)
  const [requester, target] = [await lab.node('a'), await lab.registered('b')]
  await requester.prove()
  const request = requester.request(Op.natRequest, target.id, { kind: 2 })
  requester.send(request)
  await lab.settle()
  const [passed, ...rest] = target.take()
  t.same(rest, [])
  t.match(passed.message, { op: Op.passRequest, seq: request.seq, ts: request.ts, kind: 2 })
  t.same([passed.message.id, passed.message.target, passed.message.sign, passed.message.key].map(toHex), [request.id, request.target, request.sign, request.key].map(toHex))
  t.same(hostOf(passed.message), requester.endpoint)
  t.same(passed.from, RELAY)
  t.ok(verifyMessage(passed.message, PublicKey.read(passed.message.key as Uint8Array) as PublicKey), 'the signature is that of 0x111')

  target.acknowledge(passed, { kind: 3 })
  await lab.settle()
  const [{ message: told }] = requester.take()
  t.match(told, { op: Op.passResponseAck, seq: request.seq, ts: request.ts, kind: 3 })
  t.same([told.id, told.session].map(toHex), [target.id, passed.message.session].map(toHex))
  t.same(hostOf(told), target.endpoint)
  t.ok(verifyMessage(told, PublicKey.read(told.key as Uint8Array) as PublicKey), 'the signature is that of 0x114')
  t.match(lab.server.status(), { introduced: 1, answered: 1, introductions: 1 })
  t.same(lab.drops, {})

  t.test('the answer once more', async (t) => {
    target.acknowledge(passed)
    await lab.settle()
    t.same(requester.take(), [])
    t.same(lab.drops, { replay: 1 })
  })
  t.test('the steps of T', async (t) => {
    t.same(lab.server.explain(idText(target.id))?.steps.map(({ text }) => text), [
      'registered from 192.0.2.3:5000', `told that ${idText(requester.id).slice(0, 12)} at 192.0.2.2:5000 asks for it`, 'has answered 192.0.2.2:5000'
    ])
  })
  t.test('the same pair within 10 s: the same session', async (t) => {
    const [again] = await asked(lab, requester, target)
    t.same(again.message.session, passed.message.session)
    target.acknowledge(again)
    await lab.settle()
    t.same(requester.takeNames(), ['passResponseAck'])
    await lab.clock.pass(10_000)
    const [later] = await asked(lab, requester, target)
    t.notSame(later.message.session, passed.message.session)
  })
})

t.test('requests that are not passed on', async (t) => {
  const lab = await opened(t)
  const [requester, target] = [await lab.node('a'), await lab.registered('b')]
  await requester.prove()
  const isPassed = async (message = requester.request(Op.natRequest, target.id)): Promise<boolean> => {
    requester.send(message)
    await lab.settle()
    t.same(requester.take(), [], 'no answer to R')
    return target.take().length > 0
  }
  t.notOk(await isPassed(requester.request(Op.natRequest, identity('c').id)), 'to who is not registered')
  t.notOk(await isPassed(requester.request(Op.natRequest, requester.id)), 'to R itself')
  t.same(lab.drops, { target: 2 })
  t.notOk(await isPassed(requester.request(Op.natRequest, target.id, { ts: requester.ts - 31_000 })))
  t.notOk(await isPassed({ ...requester.request(Op.natRequest, target.id), id: identity('c').id }))
  t.notOk(await isPassed({ ...requester.request(Op.natRequest, identity('c').id), target: target.id }))
  t.same(lab.drops, { target: 2, stale: 1, id: 1, signature: 1 })
  const good = requester.request(Op.natRequest, target.id)
  t.ok(await isPassed(good))
  t.notOk(await isPassed(good), 'the same once more')
  t.match(lab.drops, { replay: 1 })
})

t.test('0x112 flood with forged R: at most three of a pair in 5 s leave the helper (row 11)', async (t) => {
  const lab = await opened(t)
  const [requester, target, forger] = [await lab.node('a'), await lab.registered('b'), await lab.node('c')]
  await requester.prove()
  await forger.prove()
  for (let i = 0; i < 50; i++) {
    forger.send({ ...forger.request(Op.natRequest, target.id), id: requester.id, key: requester.identity.der })
    forger.send({ ...requester.request(Op.natRequest, target.id), cookie: forger.cookie, sign: forger.request(Op.natRequest, target.id).sign })
  }
  await lab.settle()
  t.same(target.take(), [], 'with signatures of another key')
  for (let i = 0; i < 50; i++) requester.send(requester.request(Op.natRequest, target.id))
  await lab.settle()
  t.equal(target.take().length, 3, 'with signatures that hold')
  await lab.clock.pass(4900)
  t.same(await asked(lab, requester, target), [])
  await lab.clock.pass(200)
  t.equal((await asked(lab, requester, target)).length, 1)
  t.match(lab.drops, { repeated: 48, signature: 100 })
})

t.test('introductions to one node are bounded, by address and in all', async (t) => {
  const lab = await opened(t, { introductionRate: 4 })
  const target = await lab.registered('b')
  const [first, second] = [lab.host(), lab.host()]
  let count = 0
  for (const [i, key] of (['a', 'c', 'd'] as const).entries()) {
    const requester = await lab.node(key, { host: first, port: 6000 + i })
    count += (await asked(lab, requester, target)).length
  }
  t.equal(count, 1, 'a quarter for one address')
  count = 0
  for (const [i, key] of (['e', 'f', 'g'] as const).entries()) {
    const requester = await lab.node(key, { host: i === 0 ? second : lab.host(), port: 6000 + i })
    count += (await asked(lab, requester, target)).length
  }
  t.equal(count, 3, 'others are served')
  t.match(lab.drops, { introductions: 2 })
})

t.test('answers that are none', async (t) => {
  const lab = await opened(t)
  const [requester, target, other] = [await lab.node('a'), await lab.registered('b'), await lab.registered('c')]
  const [passed] = await asked(lab, requester, target)
  const { seq, ts, session } = passed.message
  const ack = { op: Op.responseAck, id: target.id, seq, ts, session }
  target.sendSigned({ ...ack, session: new Uint8Array(16) })
  target.sendSigned({ ...ack, seq: seq + 1 })
  target.sendSigned({ ...ack, ts: ts + 1 })
  await lab.settle()
  t.same(lab.drops, { session: 3 })
  other.send(signMessage(ack, target.identity))
  await lab.settle()
  t.same(lab.drops, { session: 3, endpoint: 1 })
  target.send(signMessage({ ...ack, id: other.id }, other.identity))
  await lab.settle()
  t.same(lab.drops, { session: 3, endpoint: 1, id: 1 })
  target.send({ ...signMessage(ack, other.identity), key: target.identity.der })
  await lab.settle()
  t.same(lab.drops, { session: 3, endpoint: 1, id: 1, signature: 1 })
  t.same(requester.take(), [])
  target.sendSigned(ack)
  await lab.settle()
  t.same(requester.takeNames(), ['passResponseAck'], 'and one that is')

  t.test('of a request that T has not answered in time', async (t) => {
    const [late] = await asked(lab, requester, target)
    await lab.clock.pass(21_000)
    target.acknowledge(late)
    await lab.settle()
    t.same(requester.take(), [])
    t.match(lab.server.status(), { introductions: 0 })
  })
})

t.test('R has moved: the answer goes where it has asked from last', async (t) => {
  const lab = await opened(t)
  const [before, after, target] = [await lab.node('a'), await lab.node('a'), await lab.registered('b')]
  await before.prove()
  await asked(lab, before, target)
  await after.prove()
  await lab.clock.pass(1)
  const [passed] = await asked(lab, after, target)
  t.same(hostOf(passed.message), after.endpoint)
  target.acknowledge(passed)
  await lab.settle()
  t.same([before.takeNames(), after.takeNames()], [[], ['passResponseAck']])
})

t.test('a request that was challenged, sent by a stranger who has seen it, takes no answer away', async (t) => {
  const lab = await opened(t)
  const [requester, stranger, target] = [await lab.node('a'), await lab.node('c'), await lab.registered('b')]
  await stranger.prove()
  const seen = requester.request(Op.natRequest, target.id)
  requester.send(seen)
  await lab.settle()
  requester.cookie = requester.take().at(-1)?.message.cookie
  const [passed] = await asked(lab, requester, target)
  stranger.send({ ...seen, cookie: stranger.cookie })
  await lab.settle()
  target.acknowledge(passed)
  await lab.settle()
  t.same([requester.takeNames(), stranger.takeNames()], [['passResponseAck'], []])
})

t.test('a helper that is asked for itself answers from another port, and by 0x115 from its own', async (t) => {
  const lab = await opened(t)
  const node = await lab.node('a')
  await node.prove()
  const request = node.request(Op.natRequest, lab.server.relay.id)
  node.send(request)
  await lab.settle()
  const got = node.take()
  t.same(got.map(({ message }) => message.op), [Op.response, Op.passResponseAck])
  for (const { message } of got) {
    t.match(message, { seq: request.seq, ts: request.ts, kind: 1 })
    t.same(message.id, lab.server.relay.id)
    t.ok(verifyMessage(message, PublicKey.read(message.key as Uint8Array, message.id) as PublicKey))
  }
  t.equal(got[0].from.host, RELAY.host)
  t.not(got[0].from.port, RELAY.port)
  t.same(got[0].message.target, node.id)
  t.same(got[1].from, RELAY)
  t.match(lab.server.status(), { natAnswers: 1, introduced: 0 })
})

t.test('helpers that are registered with each other', async (t) => {
  const lab = await opened(t)
  const host = lab.host()
  const second = await lab.serve(host, { identity: identity('g'), bootstrap: `${RELAY.host}:${RELAY.port}` })
  t.teardown(() => second.close())
  await lab.clock.pass(10)
  t.match(second.status().helpers, [{ name: '192.0.2.1:7700', id: idText(lab.server.relay.id), isRegistered: true, reason: undefined }])
  t.equal(lab.server.status().nodes, 1)
  const node = await lab.node('a')
  await node.prove()
  const request = node.request(Op.natRequest, second.relay.id)
  node.send(request)
  await lab.settle()
  const got = node.take()
  t.same(got.map(({ message: { op }, from }) => [op, from.host]).sort(), [[Op.response, host.addresses[0]], [Op.passResponseAck, RELAY.host]], '0x113 from a helper to which nothing was sent')
  t.ok(got.every(({ message }) => message.seq === request.seq && verifyMessage(message, PublicKey.read(message.key as Uint8Array, second.relay.id) as PublicKey)))

  t.test('it stays registered', async (t) => {
    await lab.clock.pass(120_000)
    t.equal(lab.server.status().nodes, 1)
    t.match(second.status().helpers, [{ isRegistered: true }])
  })
  t.test('0x112 of others', async (t) => {
    const other = await lab.registered('b')
    await node.prove()
    const asking = node.request(Op.natRequest, second.relay.id)
    other.send({ ...asking, op: Op.passRequest, session: new Uint8Array(16), ip: Uint8Array.of(192, 0, 2, 99), port: 9 }, { host: host.addresses[0], port: RELAY.port })
    await lab.settle()
    t.match(second.status().drops, { unregistered: 1 })
  })
  t.test('no helper any more', async (t) => {
    second.configure({ bootstrap: [] })
    await lab.clock.pass(61_000)
    t.same(second.status().helpers, [])
    t.equal(lab.server.status().nodes, 0)
  })
})

t.test('another helper that does not answer', async (t) => {
  const lab = await opened(t, { bootstrap: '192.0.2.77:7700' })
  await lab.clock.pass(6000)
  t.match(lab.server.status().helpers, [{ name: '192.0.2.77:7700', id: undefined, isRegistered: false, reason: 'no answer' }])
  await t.rejects(lab.serve(lab.host(), { identity: identity('g'), bootstrap: '192.0.2.77' }), { code: 'ERR_OPTION', option: 'bootstrap' })
})

t.test('keys of 4096 bits: all messages fit', async (t) => {
  const lab = await opened(t)
  const [requester, target] = [await lab.registered(identity('rsa4096')), await lab.registered(identity('rsa3072'))]
  const [passed] = await asked(lab, requester, target, 4)
  t.ok(passed.bytes.length <= MAX_MESSAGE, `${passed.bytes.length} bytes`)
  target.acknowledge(passed, { kind: 4 })
  await lab.settle()
  t.same(requester.takeNames(), ['passResponseAck'])
  const [back] = await asked(lab, target, requester, 4)
  requester.acknowledge(back, { kind: 4 })
  await lab.settle()
  t.same(target.takeNames(), ['passResponseAck'])
  const longest: ShowchainMessage = { ...passed.message, seq: Number.MAX_SAFE_INTEGER, ts: Number.MAX_SAFE_INTEGER, ip: new Uint8Array(16).fill(9), port: 65_535, kind: 4, sign: new Uint8Array(512), key: new Uint8Array(552) }
  t.ok(encodeMessage(longest).length <= MAX_MESSAGE, `${encodeMessage(longest).length} bytes at most`)
})

t.test('a relay with a key of 4096 bits', async (t) => {
  const lab = await opened(t, { key: identity('rsa4096') })
  const node = await lab.registered('a')
  t.equal(lab.server.status().nodes, 1)
  for (const { bytes } of [await node.register(), ...await node.ask(Op.natRequest, lab.server.relay.id)]) t.ok(bytes.length <= MAX_MESSAGE, `${bytes.length} bytes`)
})

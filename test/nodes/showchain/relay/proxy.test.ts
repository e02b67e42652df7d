/** Sessions and data of a proxy (SHOW CHAIN protocol, section 6). */
import t from 'tap'
import { hmacOf } from '../../../helpers/showchain/hmac.ts'
import { identity } from '../../../helpers/showchain/keys.ts'
import { RelayLab, ScriptedSession, type ScriptedNode } from '../../../helpers/showchain/relay-lab.ts'
import { EphemeralKey } from '../../../../src/nodes/showchain/protocol/key-agreement.ts'
import { encodeMessage, MAX_MESSAGE, type ShowchainMessage } from '../../../../src/nodes/showchain/protocol/messages.ts'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'
import { idText, PublicKey } from '../../../../src/nodes/showchain/protocol/public-key.ts'
import { signMessage, verifyMessage } from '../../../../src/nodes/showchain/protocol/signatures.ts'

interface Ends {
  lab: RelayLab
  requester: ScriptedNode
  target: ScriptedNode
}

async function ends (t: { teardown: (fn: () => Promise<void>) => void }, options?: Parameters<typeof RelayLab.open>[0]): Promise<Ends> {
  const lab = await RelayLab.open(options)
  t.teardown(() => lab.close())
  return { lab, requester: await lab.registered('a'), target: await lab.registered('b') }
}

const open = ({ lab, requester, target }: Ends, isHmac?: boolean): Promise<ScriptedSession> => ScriptedSession.open(requester, target.id, { proxy: lab.server.relay.id, isHmac })

/** Sends a message and says whether T has got it. */
async function isPassed ({ lab, target }: Ends, session: ScriptedSession, message: ShowchainMessage): Promise<boolean> {
  session.node.send(message)
  await lab.settle()
  return target.take().length > 0
}

const data = Buffer.from('0xc1 and so on')

t.test('a session', async (t) => {
  const { lab, requester, target } = await ends(t)
  const request = requester.request(Op.proxyRequest, target.id)
  requester.send(request)
  await lab.settle()
  const [{ message }] = requester.take()
  t.match(message, { op: Op.proxyResponse, seq: request.seq, ts: request.ts, ephemeral: undefined })
  t.same(message.target, target.id)
  t.ok(verifyMessage(message, PublicKey.read(message.key as Uint8Array, lab.server.relay.id) as PublicKey))
  t.same((await requester.ask(Op.proxyRequest, target.id))[0].message.session, message.session, 'the same for a repeated request')
  t.same((await target.ask(Op.proxyRequest, requester.id))[0].message.session, message.session, 'and for the other end')
  t.match(lab.server.status(), { sessions: 1, opened: 1 })
  t.same(target.take(), [], 'T hears of it by the first data')

  t.test('it is forgotten after 60 s', async (t) => {
    for (let i = 0; i < 4; i++) {
      await lab.clock.pass(15_500)
      for (const node of [requester, target]) node.send({ op: Op.keepAlive, id: node.id, seq: 0, ts: 0 })
    }
    await lab.settle()
    requester.take()
    t.match(lab.server.status(), { sessions: 0, ended: 1, nodes: 2 })
    t.notSame((await requester.ask(Op.proxyRequest, target.id))[0].message.session, message.session)
  })
})

t.test('sessions that are refused', async (t) => {
  const { lab, requester, target } = await ends(t, { maxSessions: 2, maxSessionsPerNode: 1 })
  const isAnswered = async (node: ScriptedNode, to: Uint8Array): Promise<boolean> => (await node.ask(Op.proxyRequest, to)).length > 0
  t.notOk(await isAnswered(requester, identity('c').id), 'with a node that is not registered')
  t.notOk(await isAnswered(requester, requester.id), 'with itself')
  const stranger = await lab.node('d')
  await stranger.prove()
  t.notOk(await isAnswered(stranger, target.id), 'of who is not registered')
  const moved = await lab.node('a')
  await moved.prove()
  t.notOk(await isAnswered(moved, target.id), 'of who is registered elsewhere')
  t.same(lab.drops, { target: 2, unregistered: 2 })
  t.ok(await isAnswered(requester, target.id))
  const others = [await lab.registered('e'), await lab.registered('f'), await lab.registered('g')]
  t.notOk(await isAnswered(requester, others[0].id), 'too many of one node')
  t.ok(await isAnswered(others[0], others[1].id))
  t.notOk(await isAnswered(others[2], others[1].id), 'too many in all')
  t.match(lab.drops, { owner: 1, full: 1 })
  const weak = await requester.ask(Op.proxyRequest, target.id, { ephemeral: new Uint8Array(32) })
  t.same(weak, [], 'with a key that gives the secret 0')
  t.match(lab.drops, { extension: 1 })
})

for (const isHmac of [true, false]) {
  t.test(isHmac ? 'data with HMAC' : 'data with signatures', async (t) => {
    const all = await ends(t)
    const { lab, requester, target } = all
    const session = await open(all, isHmac)
    t.equal(session.key !== undefined, isHmac)
    const message = session.request(data)
    requester.send(message)
    await lab.settle()
    const [{ message: passed }] = target.take()
    t.match(passed, { op: Op.passData, seq: 1, ts: message.ts, sign: undefined })
    t.same([passed.id, passed.target, passed.session, passed.data, passed.dataHash].map((bytes) => Buffer.from(bytes as Uint8Array)),
      [requester.id, target.id, session.session, data, message.dataHash].map((bytes) => Buffer.from(bytes as Uint8Array)))
    target.send({ op: Op.dataAck, session: session.session, seq: 1, ts: message.ts })
    await lab.settle()
    const [{ message: ack }] = requester.take()
    t.match(ack, { op: Op.dataAck, seq: 1, ts: message.ts, data: undefined })
    t.same(ack.session, session.session)
    const arrived = Buffer.alloc(32, 0x5a)
    target.send({ op: Op.dataAck, session: session.session, seq: 1, ts: message.ts, data: arrived })
    await lab.settle()
    t.same(requester.take().map(({ message }) => Buffer.from(message.data as Uint8Array)), [arrived], 'what has come is passed on as it is')
    t.match(lab.server.status(), { passed: 1, passedBytes: data.length, acknowledged: 2, passedAgain: 0 })
    t.same(lab.drops, {})

    t.test('what is written in another way is passed on as writers write it', async (t) => {
      const message = session.request(data)
      const bytes = encodeMessage(message)
      requester.sendBytes(Buffer.concat([bytes.subarray(0, 3), Buffer.from('800101', 'hex'), bytes.subarray(3)])) // an unknown field
      await lab.settle()
      const [{ bytes: passed }] = target.take()
      t.same(Buffer.from(passed), Buffer.from(encodeMessage({ ...message, op: Op.passData, sign: undefined })))
      const ack = encodeMessage({ op: Op.dataAck, session: session.session, seq: 2, ts: 1 })
      target.sendBytes(Buffer.concat([ack, ack.subarray(3)])) // each field twice
      await lab.settle()
      t.same(requester.take().map(({ bytes }) => Buffer.from(bytes)), [Buffer.from(ack)])
    })

    t.test('in the other direction, numbered by itself', async (t) => {
      const back = await ScriptedSession.open(target, requester.id, { proxy: lab.server.relay.id, isHmac })
      t.same(back.session, session.session)
      target.send(back.request(data))
      await lab.settle()
      t.match(requester.take().map(({ message }) => message), [{ op: Op.passData, seq: 1 }])
    })

    t.test('one bit changed in any signed value, in sign, in id (row 2)', async (t) => {
      const bit = (bytes: Uint8Array | undefined): Uint8Array => (bytes as Uint8Array).map((byte, i) => i === 9 ? byte ^ 1 : byte)
      const before = { ...lab.drops }
      const good = session.request(data)
      const changes: Array<Partial<ShowchainMessage>> = [
        { seq: good.seq + 1 }, { ts: good.ts - 1 }, { sign: bit(good.sign) }, { target: bit(good.target) }, { session: bit(good.session) }, { id: bit(good.id) },
        { data: bit(good.data) }, { dataHash: bit(good.dataHash) }, { dataHash: undefined }
      ]
      for (const change of changes) t.notOk(await isPassed(all, session, { ...good, ...change }), Object.keys(change)[0])
      t.same({ ...lab.drops, ...before }, { [isHmac ? 'hmac' : 'signature']: 3, session: 3, hash: 3 })
      t.ok(await isPassed(all, session, good), 'and without a change')
    })

    t.test('ts 31 s old or ahead (row 3)', async (t) => {
      for (const by of [-31_000, 31_000]) t.notOk(await isPassed(all, session, session.request(data, { ts: requester.ts + by })))
      t.match(lab.drops, { stale: 2 })
    })

    t.test('the same number again: passed on, at most once in 100 ms (row 3)', async (t) => {
      const again = session.request(data)
      t.ok(await isPassed(all, session, again))
      t.notOk(await isPassed(all, session, again))
      await lab.clock.pass(90)
      t.ok(await isPassed(all, session, again))
      t.match(lab.server.status(), { passedAgain: 1 })
      t.match(lab.drops, { again: 1 })
      session.seq += 1023
      t.ok(await isPassed(all, session, session.request(data)))
      t.notOk(await isPassed(all, session, again), '1024 behind')
      t.match(lab.drops, { old: 1 })
    })

    t.test('not at the registered endpoint', async (t) => {
      const other = await lab.registered('c')
      const before = lab.drops.endpoint ?? 0
      other.send(session.request(data))
      other.send({ op: Op.dataAck, session: session.session, seq: 1, ts: 1 })
      await lab.settle()
      t.same([...target.take(), ...requester.take()], [])
      t.equal(lab.drops.endpoint, before + 2)
    })

    t.test('T is gone, and comes back as it was or elsewhere', async (t) => {
      for (let i = 0; i < 5; i++) {
        await lab.clock.pass(15_000)
        requester.send({ op: Op.keepAlive, id: requester.id, seq: 0, ts: 0 })
        if (i > 0) requester.send(session.request(data))
      }
      await lab.settle()
      target.take()
      t.match(lab.server.status(), { nodes: 1, sessions: 1 })
      t.notOk(await isPassed(all, session, session.request(data)))
      const moved = await lab.registered('b')
      requester.send(session.request(data))
      await lab.settle()
      t.same(moved.takeNames(), ['passData'])
      t.same(target.take(), [])
    })
  })
}

t.test('a key that is agreed anew', async (t) => {
  const all = await ends(t)
  const { lab, requester, target } = all
  const proxy = lab.server.relay.id
  const first = await open(all)
  const second = await open(all)
  t.notSame(first.key, second.key)
  second.seq = 10
  t.ok(await isPassed(all, second, second.request(data)))
  t.ok(await isPassed(all, first, first.request(data)), 'messages with the one before may still be under way')
  const third = await open(all)
  t.notOk(await isPassed(all, first, first.request(data)), 'that of two before is forgotten')
  third.seq = 20
  t.ok(await isPassed(all, third, third.request(data)))

  t.test('the same ephemeral has the same answer', async (t) => {
    const ephemeral = new EphemeralKey().publicKey
    const [one] = await requester.ask(Op.proxyRequest, target.id, { ephemeral })
    const [other] = await requester.ask(Op.proxyRequest, target.id, { ephemeral })
    t.same(one.message.ephemeral, other.message.ephemeral)
  })
  t.test('each end has its own', async (t) => {
    const back = await ScriptedSession.open(target, requester.id, { proxy })
    const message = { ...back.request(data) }
    target.send({ ...message, sign: hmacOf(message, third.key as Uint8Array) })
    await lab.settle()
    t.same(requester.takeNames(), [])
    target.send(message)
    await lab.settle()
    t.same(requester.takeNames(), ['passData'])
  })
  t.test('an end that has none', async (t) => {
    const others = await ends(t)
    const session = await open(others, false)
    const message = session.request(data)
    t.notOk(await isPassed(others, session, { ...message, sign: hmacOf(message, new Uint8Array(32)) }))
    t.same(others.lab.drops, { hmac: 1 })
  })
})

t.test('page-signatures: without hashes, and no HMAC', async (t) => {
  const all = await ends(t)
  const { lab, requester } = all
  const session = await open(all)
  lab.server.configure({ pageSignatures: true })
  t.notOk(await isPassed(all, session, session.request(data)), 'HMAC')
  t.same(await requester.ask(Op.proxyRequest, all.target.id, { ephemeral: new EphemeralKey().publicKey }), [], 'it is not offered')
  t.same(lab.drops, { hmac: 1, extension: 1 })
  const signed = await open(all, false)
  signed.seq = session.seq
  t.ok(await isPassed(all, signed, signed.request(data)), 'with a hash')
  const message = signed.request(data, { dataHash: undefined })
  requester.send(message)
  await lab.settle()
  t.match(all.target.take().map(({ message }) => message), [{ op: Op.passData, dataHash: undefined }])
  t.notOk(await isPassed(all, signed, { ...message, data: Buffer.from('else'), dataHash: message.sign?.subarray(0, 32) }), 'with a wrong one')
})

t.test('data without a hash is refused however its op code is written', async (t) => {
  const all = await ends(t)
  const session = await open(all, false)
  for (const head of ['08a302', '08a38200', '08a102', '080108a302']) {
    const bytes = encodeMessage(session.request(data, { dataHash: undefined }))
    all.requester.sendBytes(Buffer.concat([Buffer.from(head, 'hex'), bytes.subarray(3)]))
  }
  await all.lab.settle()
  t.same(all.target.take(), [])
  t.match(all.lab.drops, { hash: 3 })
})

/** T sends an acknowledgement. */
async function takePart ({ lab, requester, target }: Ends, { session }: ScriptedSession): Promise<void> {
  target.send({ op: Op.dataAck, session, seq: 1, ts: 1 })
  await lab.settle()
  requester.take()
}

t.test('many short messages count for what they take', async (t) => {
  const all = await ends(t, { byteRate: 100_000 })
  const session = await open(all)
  await takePart(all, session)
  for (let i = 0; i < 1000; i++) all.requester.send(session.request(Buffer.alloc(1)))
  await all.lab.settle()
  const bytes = all.target.take().reduce((sum, got) => sum + got.bytes.length, 0)
  t.ok(bytes > 60_000 && bytes < 67_000, `${bytes} bytes`)
})

t.test('who takes no part in a session is sent little of it', async (t) => {
  const all = await ends(t)
  const session = await open(all)
  const send = async (): Promise<number> => {
    for (let i = 0; i < 200; i++) all.requester.send(session.request(Buffer.alloc(1000)))
    await all.lab.settle()
    return all.target.take().length
  }
  t.equal(await send(), 57, '64 KiB')
  await all.lab.clock.pass(1000)
  t.equal(await send(), 14, 'and 16 KiB a second')
  await takePart(all, session)
  t.equal(await send(), 200)
})

t.test('bytes of a node are bounded, those of others are not', async (t) => {
  const all = await ends(t, { byteRate: 100_000 })
  const { lab, requester, target } = all
  const session = await open(all)
  const [other, far] = [await lab.registered('c'), await lab.registered('d')]
  const theirs = await ScriptedSession.open(other, far.id, { proxy: lab.server.relay.id })
  await takePart(all, session)
  for (let i = 0; i < 100; i++) requester.send(session.request(Buffer.alloc(1000)))
  await lab.settle()
  const count = target.take().length
  t.ok(count >= 57 && count <= 59, `${count} of 100 at once`)
  t.equal(lab.drops.rate, 100 - count)
  for (let i = 0; i < 50; i++) other.send(theirs.request(Buffer.alloc(1000)))
  await lab.settle()
  t.equal(far.take().length, 50)
  await lab.clock.pass(300)
  for (let i = 0; i < 100; i++) requester.send(session.request(Buffer.alloc(1000)))
  await lab.settle()
  const later = target.take().length
  t.ok(later >= 25 && later <= 28, `${later} after 0.3 s`)
})

t.test('what was dropped for its rate can come again at once', async (t) => {
  const all = await ends(t, { byteRate: 100_000 })
  const { lab, requester } = all
  const session = await open(all)
  await takePart(all, session)
  const messages = Array.from({ length: 70 }, () => session.request(Buffer.alloc(1000)))
  for (const message of messages) requester.send(message)
  await lab.settle()
  all.target.take()
  await lab.clock.pass(20)
  t.ok(await isPassed(all, session, messages[69]))
})

t.test('forged data takes nothing of the rate of others', async (t) => {
  const all = await ends(t, { byteRate: 100_000 })
  const { lab, requester, target } = all
  const session = await open(all)
  const forged = { ...session.request(Buffer.alloc(1000)), sign: new Uint8Array(32) }
  for (let i = 0; i < 200; i++) requester.send(forged)
  for (let i = 0; i < 50; i++) requester.send(session.request(Buffer.alloc(1000)))
  await lab.settle()
  t.equal(target.take().length, 50)
})

t.test('a proxy that is switched off', async (t) => {
  const all = await ends(t)
  const { lab } = all
  const session = await open(all)
  lab.server.configure({ proxy: false })
  t.notOk(await isPassed(all, session, session.request(data)))
  t.match(lab.server.status(), { sessions: 0 })
  lab.server.configure({ proxy: true })
  t.notOk(await isPassed(all, session, session.request(data)), 'its sessions are gone')
  t.ok(await open(all))
})

t.test('keys of 4096 bits: all messages fit', async (t) => {
  const lab = await RelayLab.open({ key: identity('rsa3072') })
  t.teardown(() => lab.close())
  const [requester, target] = [await lab.registered(identity('rsa4096')), await lab.registered('b')]
  const all = { lab, requester, target }
  const session = await open(all, false)
  const size = encodeMessage({ ...session.request(data), seq: 2 ** 35, data: Buffer.alloc(0) }).length
  const message = session.request(Buffer.alloc(MAX_MESSAGE - size - 3))
  t.ok(encodeMessage(message).length <= MAX_MESSAGE)
  t.ok(await isPassed(all, session, message))
})

t.test('the steps of both ends', async (t) => {
  const all = await ends(t)
  await open(all)
  const { lab, requester, target } = all
  t.match(lab.server.explain(idText(requester.id))?.steps.at(-1), { text: `sends to ${idText(target.id).slice(0, 12)} through this proxy` })
  t.match(lab.server.explain(idText(target.id))?.steps.at(-1), { text: `${idText(requester.id).slice(0, 12)} sends to it through this proxy` })
})

t.test('a signature of data by another key', async (t) => {
  const all = await ends(t)
  const session = await open(all, false)
  const message = session.request(data)
  t.notOk(await isPassed(all, session, { ...signMessage(message, all.target.identity) }))
  t.same(all.lab.drops, { signature: 1 })
})

/** Floods: what is forged is bounded, others are served, and nobody uses up the budget of others (SHOW CHAIN protocol, sections 3.1 and 3.2). */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { identity } from '../../../helpers/showchain/keys.ts'
import { RelayLab, type ScriptedNode } from '../../../helpers/showchain/relay-lab.ts'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'

t.setTimeout(120_000)

async function opened (t: { teardown: (fn: () => Promise<void>) => void }, options?: Parameters<typeof RelayLab.open>[0]): Promise<RelayLab> {
  const lab = await RelayLab.open(options)
  t.teardown(() => lab.close())
  return lab
}

const isServed = async (lab: RelayLab, node: ScriptedNode): Promise<boolean> => (await node.ask(Op.directRequest, lab.server.relay.id)).some(({ message }) => message.sign !== undefined)

t.test('10 000 signed requests per second from one source: others still served; memory flat (row 12)', async (t) => {
  const lab = await opened(t)
  const [flooder, honest, other] = [await lab.registered('a'), await lab.registered('b'), await lab.registered('c')]
  const forged = { ...flooder.request(Op.natRequest, honest.id), sign: randomBytes(256) }
  for (let second = 0; second < 2; second++) {
    for (let i = 0; i < 10_000; i++) {
      flooder.send({ ...forged, seq: forged.seq + second * 10_000 + i, ts: flooder.ts })
      if (i % 100 === 99) await lab.clock.pass(10)
    }
    t.ok(await isServed(lab, other), 'another one is served')
  }
  honest.take()
  const { drops, nodes, introductions } = lab.server.status()
  t.ok(drops.signature <= 512 + 2.2 * 256, `${drops.signature} of 20000 were verified`)
  t.ok(drops.source >= 18_000)
  t.same([nodes, introductions], [3, 0], 'nothing is kept of them')
})

t.test('signatures that hold: others are served, and the answers are bounded', async (t) => {
  const lab = await opened(t, { answerRate: 4 })
  const [flooder, other] = [await lab.registered('a'), await lab.registered('b')]
  for (let i = 0; i < 200; i++) flooder.send(flooder.request(Op.directRequest, lab.server.relay.id))
  await lab.clock.pass(20)
  const answers = flooder.take().length
  t.ok(answers > 0 && answers <= 16, `${answers} of 200 are answered`)
  t.ok(await isServed(lab, other))
  await lab.clock.pass(2000)
  t.ok(await isServed(lab, flooder), 'and again, when it has stopped')
})

t.test('who forges the address of another one takes nothing of its budget', async (t) => {
  const lab = await opened(t, { requestRate: 1, answerRate: 1 })
  const host = lab.host()
  const [honest, forger] = [await lab.node('a', { host }), await lab.node('b', { host, port: 6000 })] // one address: that of a forger who reads nothing there
  await honest.prove()
  for (let i = 0; i < 1000; i++) forger.send({ ...forger.request(Op.directRequest, lab.server.relay.id), cookie: i % 2 === 0 ? undefined : randomBytes(16), sign: randomBytes(256) })
  await lab.settle()
  t.equal(lab.server.status().challenges, 1001)
  t.ok(forger.take().every(({ message, bytes }) => message.sign === undefined && bytes.length < 100), 'it gets less than it sends')
  t.ok(await isServed(lab, honest))
})

t.test('ids that are new again and again: their address is bounded, others come in', async (t) => {
  const lab = await opened(t)
  const [flooder, honest] = [await lab.node('a'), await lab.node('b')]
  await flooder.prove()
  await honest.prove()
  const base = flooder.request(Op.natRequest, lab.server.relay.id)
  await honest.register()
  for (let i = 0; i < 3000; i++) { // 100 a second, fewer than requests may be
    flooder.send({ ...base, target: honest.id, id: randomBytes(32), ts: flooder.ts })
    await lab.clock.pass(10)
  }
  const { drops } = lab.server.status()
  const most = 1024 + 30 * 32
  t.ok(drops.id > most - 10 && drops.id <= most + 1, `${drops.id} keys were looked at, of ${most} in 30 s`)
  t.equal(drops.id + drops.source, 3000)
  t.ok(await isServed(lab, honest))
})

t.test('random datagrams, and messages that are cut short or changed', async (t) => {
  const lab = await opened(t)
  const node = await lab.registered('a')
  const good = Buffer.from((await node.register()).bytes)
  for (let i = 0; i < 3000; i++) {
    const bytes = i % 3 === 0 ? randomBytes(1 + i % 1400) : i % 3 === 1 ? good.subarray(0, i % good.length) : Buffer.from(good)
    if (i % 3 === 2) bytes[i % good.length] ^= 1 << i % 8
    if (bytes.length > 0) node.sendBytes(bytes)
    if (i % 500 === 0) await lab.settle()
  }
  await lab.settle()
  node.take()
  t.ok(await isServed(lab, node))
  t.equal(lab.server.status().nodes, 1)
})

t.test('data for sessions that there are not, and forged data for one', async (t) => {
  const lab = await opened(t)
  const [requester, target, forger] = [await lab.registered('a'), await lab.registered('b'), await lab.registered('c')]
  const [{ message: { session } }] = await requester.ask(Op.proxyRequest, target.id)
  const message = { op: Op.dataRequest, id: requester.id, target: target.id, seq: 1, ts: requester.ts, data: randomBytes(100), dataHash: randomBytes(32), sign: randomBytes(32) }
  for (let i = 0; i < 500; i++) {
    forger.send({ ...message, session: randomBytes(16) })
    forger.send({ ...message, session })
    requester.send({ ...message, session, sign: identity('a').sign(randomBytes(8)) })
    forger.send({ op: Op.dataAck, session: randomBytes(16), seq: 1, ts: 1 })
  }
  await lab.settle()
  t.same([target.take(), forger.take()], [[], []])
  t.match(lab.drops, { session: 1000, endpoint: 500, hash: 500 })
  t.equal(lab.server.status().sessions, 1)
})

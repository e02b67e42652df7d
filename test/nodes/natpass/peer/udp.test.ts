/** Datagrams through two peers and a relay, and where one end is not of tunpipe (natpass protocol, section 6.5). */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { ManualClock } from '../../../helpers/clock.ts'
import { bytes, until } from '../../../helpers/ends.ts'
import { join } from '../../../helpers/natpass/client.ts'
import { isType, LINK, UNKNOWN } from '../../../helpers/natpass/messages.ts'
import { portOf, startPeer } from '../../../helpers/natpass/peers.ts'
import { serve } from '../../../helpers/natpass/serve.ts'
import { RateLimitedLog } from '../../../../src/limits/rate-limited-log.ts'
import { silent } from '../../../../src/log.ts'
import { LostDatagrams } from '../../../../src/nodes/natpass/peer/datagrams.ts'
import { RuleListener } from '../../../../src/nodes/natpass/peer/rule-listener.ts'
import { consume } from '../../../../src/streams/consume.ts'
import { decodeMessage, frameOf, type Message, type MessageInit } from '../../../../src/nodes/natpass/protocol/messages.ts'
import { LengthPrefixDecoder } from '../../../../src/transforms/length-prefix.ts'
import { u16be } from '../../../../src/transforms/length-codecs.ts'
import { dialUdp } from '../../../../src/transports/udp/dial.ts'
import type { UdpLink } from '../../../../src/transports/udp/flow.ts'
import { bindUdp } from '../../../../src/transports/udp/bind.ts'
import type { UdpSocket } from '../../../../src/transports/udp/socket.ts'

const LARGEST = 64_512

async function bound (t: Test): Promise<UdpSocket> {
  const socket = await bindUdp({ host: '127.0.0.1', port: 0 })
  t.teardown(() => { socket.close() })
  return socket
}

/** Sends each datagram back. */
async function echo (t: Test): Promise<number> {
  const socket = await bound(t)
  void consume(socket, (batch) => { socket.port.send(batch) })
  return socket.local.port
}

async function user (t: Test, port: number): Promise<UdpLink> {
  const link = await dialUdp({ host: '127.0.0.1', port })
  t.teardown(() => { link.abort(new Error('the test is over')) })
  return link
}

async function some (link: UdpLink, count: number): Promise<Uint8Array[]> {
  const heard: Uint8Array[] = []
  const reads = link.source[Symbol.asyncIterator]()
  while (heard.length < count) heard.push(...(await reads.next()).value)
  return heard
}

const rule = (remotePort: number) => ({ name: 'dns', target: 'nas', type: 'udp' as const, remotePort })
const forwarded = (to: string, data: Uint8Array, link = LINK): MessageInit => ({ _type: 6, to, link_id: link, _data: { data } })
const dataOf = ({ _data }: Message): Uint8Array => _data?.data ?? bytes(0)

t.test('a link for each source, datagrams whole, empty and of any size that a frame holds', async (t) => {
  const { server, port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['udp@laptop'] })
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [rule(await echo(t))] })
  t.match(laptop.status().rules[0].url, /^udp:\/\/127\.0\.0\.1:\d+$/)
  const users = await Promise.all(Array.from({ length: 5 }, () => user(t, portOf(laptop))))
  const echoes = async (user: UdpLink, size: number, fill: number): Promise<void> => {
    user.port.send([bytes(size, fill)])
    const [echoed] = await some(user, 1)
    t.ok(Buffer.from(echoed).equals(bytes(size, fill)), `user ${fill}, ${size} bytes`)
  }
  for (const size of [0, 1, 1400, 9000]) await Promise.all(users.map((user, i) => echoes(user, size, i)))
  for (const size of [49_153, LARGEST]) await echoes(users[4], size, 4) // the system would lose several at once
  t.match([server.status().links, nas.status(), laptop.status()], [{ udp: 5 }, { links: 5, accepted: 5 }, { rules: [{ links: 5, opened: 5 }] }])
  users[0].port.send([bytes(LARGEST + 1)])
  await until(() => laptop.stats.lostDatagrams.size === 1)
  users[0].port.send([bytes(2)])
  t.equal((await some(users[0], 1))[0].length, 2, 'the link goes on')
})

/** A relay that knows no field 100 of requests and answers. Returns its port, and the types of messages that it has passed on. */
async function oldRelay (t: Test, port: number): Promise<{ port: number, types: Set<unknown> }> {
  const types = new Set<unknown>()
  const pass = (from: Socket, to: Socket): void => {
    const decoder = new LengthPrefixDecoder(u16be, { adjust: 4 })
    from.on('data', (read) => {
      for (const frame of decoder.push([read])) {
        const message = decodeMessage(frame.subarray(4))
        types.add(message._type)
        for (const part of [message.creq, message.crep]) if (part != null) part.link = null
        to.write(frameOf(message))
      }
    }).on('error', () => {}).on('close', () => { to.destroy() })
  }
  const server = createServer((client) => {
    const relay = connect(port, '127.0.0.1')
    pass(client, relay)
    pass(relay, client)
  }).listen(0, '127.0.0.1')
  t.teardown(() => { server.close() })
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, types }
}

t.test('through a relay that drops what it does not know: without credit', async (t) => {
  const { port } = await serve(t)
  const old = await oldRelay(t, port)
  await startPeer(t, port, { allow: ['udp@laptop'] })
  const laptop = await startPeer(t, old.port, { id: 'laptop', rules: [rule(await echo(t))] })
  const one = await user(t, portOf(laptop))
  for (const size of [5, 0, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 5]) {
    one.port.send([bytes(size)])
    t.equal((await some(one, 1))[0].length, size)
  }
  t.same([...old.types].sort(), [1, 3, 4, 6], 'no message that only ends of tunpipe know')
  t.match(laptop.stats.lostDatagrams, { size: 0, credit: 0, queue: 0 })
})

t.test('what is not allowed or not there, and a rule whose target does not answer', async (t) => {
  const clock = new ManualClock({ date: Date.now() })
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: [{ types: ['udp'], ports: ['127.0.0.1:53'] }] })
  const closed = await bound(t)
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [rule(closed.local.port)], clock })
  const [one] = [await user(t, portOf(laptop))]
  one.port.send([bytes(1)])
  await until(() => laptop.status().rules[0].problem !== undefined)
  t.equal(laptop.status().rules[0].problem, `udp to 127.0.0.1:${closed.local.port} is not allowed here`)
  one.port.send([bytes(1), bytes(1)])
  await until(() => laptop.stats.lostDatagrams.refused === 3)
  t.equal(nas.status().refused, 1, 'asked once')
  await clock.pass(1001)
  one.port.send([bytes(1)])
  await until(() => nas.status().refused === 2)
})

t.test('a flood of sources asks for few links at one time, and for none whose source has ended', async (t) => {
  const clock = new ManualClock()
  const lost = new LostDatagrams()
  const asked: AbortSignal[] = []
  const given: Array<() => void> = []
  const listener = new RuleListener({
    rule: { ...rule(53), localAddr: '127.0.0.1', localPort: 0, remoteAddr: '127.0.0.1', exec: '', env: undefined, fps: 10 },
    opener: {
      open: async (_request, signal) => await new Promise((_resolve, reject) => {
        asked.push(signal as AbortSignal)
        given.push(() => { reject(new Error('refused')) })
        signal?.addEventListener('abort', () => { reject(signal.reason) })
      }),
      resize () {},
      askAgain () {},
      exitOf: () => undefined
    },
    pagePassword: undefined,
    lost,
    clock,
    log: new RateLimitedLog(silent)
  })
  const port = Number(new URL(await listener.listen()).port)
  const sources = await Promise.all(Array.from({ length: 40 }, () => user(t, port)))
  for (const source of sources) source.port.send([bytes(1)])
  await until(() => asked.length + lost.refused === 40)
  t.same([asked.length, lost.refused], [32, 8])
  given[0]()
  await until(() => lost.refused === 9)
  const late = await user(t, port)
  late.port.send([bytes(1)])
  await until(() => asked.length === 33)
  await clock.pass(1001)
  t.ok(asked.slice(1).every(({ aborted }) => !aborted))
  await listener.close(new Error('the test is over'))
  await until(() => asked.slice(1).every(({ aborted }) => aborted))
})

t.test('nobody at the port: counted, and the link goes on', async (t) => {
  const { port } = await serve(t)
  const [nas, closed] = [await startPeer(t, port, { allow: ['udp'] }), await bound(t)]
  closed.close()
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [rule(closed.local.port)] })
  const one = await user(t, portOf(laptop))
  one.port.send([bytes(1)])
  await until(() => nas.stats.lostDatagrams.unreachable > 0)
  const service = await bindUdp(closed.local)
  t.teardown(() => { service.close() })
  one.port.send([bytes(3)])
  const { value } = await service.source[Symbol.asyncIterator]().next()
  t.equal(value[0].data.length, 3)
  t.match(nas.status(), { links: 1, accepted: 1 })
})

t.test('an idle link ends at either end, and the next datagram makes another one', async (t) => {
  const clock = new ManualClock({ date: Date.now() })
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['udp'] })
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [rule(await echo(t))], clock })
  const [one, busy] = [await user(t, portOf(laptop)), await user(t, portOf(laptop))]
  const echoes = async (user: UdpLink, size: number): Promise<void> => {
    user.port.send([bytes(size)])
    t.equal((await some(user, 1))[0].length, size)
  }
  await echoes(one, 1)
  for (let i = 0; i < 6; i++) {
    t.equal(nas.status().links, i === 0 ? 1 : 2)
    await echoes(busy, i)
    await clock.pass(10_000)
  }
  await until(() => nas.status().links === 1)
  t.equal(laptop.status().rules[0].links, 1)
  await echoes(one, 2)
  t.equal(laptop.status().rules[0].opened, 3)
})

t.test('a controlled end for one that knows no credit: idle, empty, large', async (t) => {
  const clock = new ManualClock({ date: Date.now() })
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['udp'], clock })
  const other = await join(t, port, 'other')
  other.send({ _type: 3, to: 'nas', link_id: LINK, creq: { name: 'dns', _type: 1, caddr: { addr: 'localhost', port: await echo(t) } } })
  const answer = await other.next(isType('connectRep'))
  t.match(answer, { crep: { ok: true, msg: '' } })
  t.notOk(answer.crep?.link)
  for (const size of [0, 5, LARGEST]) {
    other.send(forwarded('nas', bytes(size, size)))
    t.ok(Buffer.from(dataOf(await other.next(isType('forward')))).equals(bytes(size, size)), `${size} bytes`)
  }
  other.send(forwarded('nas', bytes(65_400)))
  await until(() => nas.stats.lostDatagrams.size === 1) // the answer is too large for us
  for (let i = 0; i < 61; i++) {
    const heard = nas.stats.bytesIn
    other.send({ _type: UNKNOWN, to: 'nas' }) // so that the connection does not count as lost
    await until(() => nas.stats.bytesIn > heard)
    await clock.pass(1000)
  }
  t.match(await other.next(isType('disconnect')), { from: 'nas', link_id: LINK })
  await until(() => nas.status().links === 0)
})

t.test('a control end whose target knows no credit, or little of it: what there is no credit for is lost', async (t) => {
  const { port } = await serve(t)
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [rule(53)] })
  const nas = await join(t, port, 'nas')
  const opened = async (link?: { version: number, window: number }): Promise<[UdpLink, string]> => {
    const one = await user(t, portOf(laptop))
    one.port.send([bytes(5, 7)])
    const { creq, link_id: id } = await nas.next(isType('connectReq'))
    t.match(creq, { name: 'dns', _type: 1, caddr: { addr: '127.0.0.1', port: 53 }, link: { version: 1 } })
    nas.send({ _type: 4, to: 'laptop', link_id: id, crep: { ok: true, link } })
    const first = await nas.next(isType('forward'))
    t.same([first.link_id, ...dataOf(first)], [id, 7, 7, 7, 7, 7], 'what came before is sent')
    return [one, id]
  }
  const [one, id] = await opened()
  nas.send(forwarded('laptop', bytes(0), id), forwarded('laptop', bytes(60_000), id))
  t.same((await some(one, 2)).map(({ length }) => length), [0, 60_000])
  const [two, second] = await opened({ version: 1, window: 100 })
  two.port.send([bytes(60), bytes(50), bytes(30), bytes(6), bytes(0), bytes(5)])
  const lengths = []
  for (let i = 0; i < 4; i++) lengths.push(dataOf(await nas.next(isType('forward'))).length)
  t.same(lengths, [60, 30, 0, 5], '95 bytes of credit are left')
  t.equal(laptop.stats.lostDatagrams.credit, 2)
  nas.send({ _type: 100 as MessageInit['_type'], to: 'laptop', link_id: second, window: 50 })
  nas.send({ _type: 5, to: 'laptop', link_id: id })
  await until(() => laptop.status().rules[0].links === 1)
  two.port.send([bytes(50)])
  t.equal(dataOf(await nas.next(isType('forward'))).length, 50)
})

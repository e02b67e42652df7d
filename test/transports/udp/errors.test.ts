/** What the system says of datagrams is counted, once each where that can be told, and the socket goes on. */
import t, { type Test } from 'tap'
import { bytes, turn, until } from '../../helpers/ends.ts'
import { bound, heard, ifNative, NOT_NATIVE, textOf, to } from '../../helpers/transports/udp-sockets.ts'
import { dialUdp } from '../../../src/transports/udp/dial.ts'
import { MAX_DATAGRAM, type UdpIo, type UdpSocket } from '../../../src/transports/udp/socket.ts'
import { OptionError } from '../../../src/errors.ts'
import type { Endpoint } from '../../../src/types.ts'

const NONE = { unreachable: 0, tooLarge: 0, noRoom: 0, waits: 0, other: 0 }

/** A port of an address that nobody has. */
async function deadEnd (t: Test, host = '127.0.0.1'): Promise<Endpoint> {
  const socket = await bound(t, { host })
  socket.close()
  await turn()
  return socket.local
}

/** Long enough for what the system may still say. */
const quiet = async (): Promise<void> => { for (let i = 0; i < 50; i++) await turn() }

/** It still sends and reads. */
async function goesOn (t: Test, socket: UdpSocket): Promise<void> {
  const other = await bound(t, { host: socket.local.host })
  socket.port.send([to(other.local, 'ping')])
  t.same(await heard(other, 1), ['ping'])
  other.port.send([to(socket.local, 'pong')])
  t.same(await heard(socket, 1), ['pong'])
}

const NATIVE: UdpIo[] = ['offload', 'batch']

for (const [host, toHost] of [['127.0.0.1', '127.0.0.1'], ['::1', '::1'], ['::', '127.0.0.1']]) {
  for (const io of NATIVE) {
    t.test(`nobody at the port of ${toHost}, from ${host}, ${io}: each datagram is counted once, sent alone or with others, read or not`, ifNative, async (t) => {
      const nobody = await deadEnd(t, toHost)
      const socket = await bound(t, { host, io })
      for (let i = 0; i < 5; i++) socket.port.send([to(nobody, 'x')])
      await until(() => socket.errors.unreachable >= 5)
      socket.port.send(Array.from({ length: 15 }, (_, i) => to(nobody, bytes(i)))) // no two are grouped, as each is larger
      await until(() => socket.errors.unreachable >= 20)
      await quiet()
      t.same(socket.errors, { ...NONE, unreachable: 20 })
      await goesOn(t, socket)
      t.same(socket.errors, { ...NONE, unreachable: 20 })
    })
  }
}

t.test('those to others of the same batch arrive', ifNative, async (t) => {
  for (const io of NATIVE) {
    const [nobody, socket, other] = [await deadEnd(t), await bound(t, { io }), await bound(t)]
    for (let round = 0; round < 10; round++) {
      socket.port.send(Array.from({ length: 40 }, (_, i) => to(i % 2 === 0 ? nobody : other.local, `${i}`.padEnd(i + 2))))
      t.same((await heard(other, 20)).map(Number), Array.from({ length: 20 }, (_, i) => i * 2 + 1))
    }
    await until(() => socket.errors.unreachable >= 200)
    await quiet()
    t.same(socket.errors, { ...NONE, unreachable: 200 })
  }
})

t.test('dialled links tell as well, those of node:dgram too', async (t) => {
  for (const io of ['offload', 'node'] as const) {
    const link = await dialUdp({ ...await deadEnd(t), io })
    t.teardown(() => { link.abort(new Error('the test is over')) })
    for (let i = 1; i <= 3; i++) {
      link.port.send([bytes(i)])
      await until(() => link.errors.unreachable >= i)
    }
    await quiet()
    t.same(link.errors, { ...NONE, unreachable: 3 })
    const back = await bound(t, { host: '127.0.0.1', port: link.remote.port })
    link.port.send([Buffer.from('now')])
    t.same(await heard(back, 1), ['now'])
    back.port.send([to(link.local, 'yes')])
    const { value } = await link.source[Symbol.asyncIterator]().next()
    t.equal(Buffer.from(value[0]).toString(), 'yes')
  }
})

t.test('addresses and ports that none can have, one by one and in a batch', async (t) => {
  for (const io of ['offload', 'batch', 'node'] as const) {
    const [socket, other] = [await bound(t, { io }), await bound(t)]
    const wrong = [
      { host: '', port: 9 }, { host: 'nowhere', port: 9 }, { host: '127.0.0.1.5', port: 9 }, { host: '::1', port: 9 }, { host: '300.1.1.1', port: 9 },
      ...[0, -1, 65_536, 70_000, 1.5, NaN].map((port) => ({ host: '127.0.0.1', port }))
    ]
    for (const at of wrong) t.equal(socket.port.send([to(at, 'x')]), 1)
    await until(() => socket.errors.other >= wrong.length)
    socket.port.send(wrong.flatMap((at, i) => [to(at, 'x'), to(at, 'x'), to(other.local, `${i}`)]))
    t.same(await heard(other, wrong.length), wrong.map((_, i) => `${i}`), io)
    await until(() => socket.errors.other >= 3 * wrong.length)
    await quiet()
    t.same(socket.errors, { ...NONE, other: 3 * wrong.length }, io)
    t.equal(socket.port.queued, 0)
  }
})

t.test('IPv4 on a socket of IPv6 arrives, and is answered', async (t) => {
  for (const io of ['offload', 'batch', 'node'] as const) {
    const [socket, other] = [await bound(t, { io, host: '::' }), await bound(t)]
    for (const host of ['127.0.0.1', '::ffff:127.0.0.1']) {
      socket.port.send([to({ host, port: other.local.port }, host)])
      const [{ port, host: from }] = (await other.source[Symbol.asyncIterator]().next()).value
      t.same([from, port], ['127.0.0.1', socket.local.port])
      other.port.send([to({ host: from, port }, 'back')])
      const [answer] = (await socket.source[Symbol.asyncIterator]().next()).value
      t.same([textOf(answer), answer.host, answer.port], ['back', '::ffff:127.0.0.1', other.local.port])
    }
    t.same(socket.errors, NONE)
  }
})

t.test('larger than IPv4 takes, on a socket of IPv6: counted once each', async (t) => {
  for (const io of ['offload', 'batch', 'node'] as const) {
    const [socket, other] = [await bound(t, { io, host: '::' }), await bound(t)]
    for (const count of [1, 3]) socket.port.send(Array.from({ length: count }, () => to(other.local, bytes(MAX_DATAGRAM.ipv4 + 1))))
    socket.port.send([to(other.local, 'small')])
    t.same(await heard(other, 1), ['small'])
    await until(() => socket.errors.tooLarge >= 4)
    await quiet()
    t.same(socket.errors, { ...NONE, tooLarge: 4 }, io)
  }
})

t.test('a flood of errors: datagrams still go both ways, and the event loop turns', ifNative, async (t) => {
  for (const io of NATIVE) {
    const [nobody, socket, other] = [await deadEnd(t), await bound(t, { io }), await bound(t)]
    let rounds = 0
    const echoing = (other as Required<UdpSocket>).flow((batch) => { other.port.send(batch.map((datagram) => ({ ...datagram, data: Buffer.from(datagram.data) }))) })
    for (; rounds < 50; rounds++) {
      socket.port.send(Array.from({ length: 20 }, (_, i) => to(nobody, bytes(i))))
      socket.port.send([to(other.local, `${rounds}`)])
      socket.port.send(Array.from({ length: 20 }, (_, i) => to(nobody, bytes(i))))
      t.same(await heard(socket, 1), [`${rounds}`])
    }
    await until(() => socket.errors.unreachable >= 2000)
    await quiet()
    t.same(socket.errors, { ...NONE, unreachable: 2000 })
    other.close()
    await echoing
    const before = process.cpuUsage()
    for (let i = 0; i < 20; i++) await new Promise((resolve) => { setTimeout(resolve, 5) })
    const { user, system } = process.cpuUsage(before)
    t.ok(user + system < 90_000, `it does not spin: ${user + system} µs of 100 ms`)
  }
})

t.test('whether there are fragments is told, and is yes or no', async (t) => {
  for (const [io, isWhole] of [['offload', NOT_NATIVE === undefined], ['batch', NOT_NATIVE === undefined], ['node', false]] as const) {
    t.equal((await bound(t, { io })).fragments, true, io)
    t.equal((await bound(t, { io, fragment: false })).fragments, !isWhole, io)
  }
  await t.rejects(bound(t, { fragment: 0 as unknown as boolean }), OptionError)
})

/** Where sockets can be, and what they say of it; the same for all ways to send and read. */
import { readdirSync } from 'node:fs'
import t, { type Test } from 'tap'
import { failureOf, until } from '../../helpers/ends.ts'
import { bound, heard, to } from '../../helpers/transports/udp-sockets.ts'
import { bindUdp } from '../../../src/transports/udp/bind.ts'
import { dialUdp } from '../../../src/transports/udp/dial.ts'
import type { UdpLink } from '../../../src/transports/udp/flow.ts'
import type { UdpIo } from '../../../src/transports/udp/socket.ts'

const IOS: UdpIo[] = ['offload', 'batch', 'node']

async function dialled (t: Test, host: string, port: number, io: UdpIo): Promise<UdpLink> {
  const link = await dialUdp({ host, port, io })
  t.teardown(() => { link.abort(new Error('the test is over')) })
  return link
}

for (const io of IOS) {
  t.test(`a port that is in use, an address of another machine, and one that is none, ${io}`, async (t) => {
    for (const [host, other] of [['127.0.0.1', '0.0.0.0'], ['::1', '::'], ['127.0.0.1', '::']]) {
      const { local: { port } } = await bound(t, { host, io })
      t.match(await failureOf(bindUdp({ host, port, io })), { code: 'EADDRINUSE', syscall: 'bind', address: host, port })
      t.match(await failureOf(bindUdp({ host: other, port, io })), { code: 'EADDRINUSE' }, `${other} when ${host} is in use`)
    }
    t.match(await failureOf(bindUdp({ host: '192.0.2.1', port: 0, io })), { code: 'EADDRNOTAVAIL', syscall: 'bind', address: '192.0.2.1' })
    t.match(await failureOf(bindUdp({ host: '2001:db8::1', port: 0, io })), { code: 'EADDRNOTAVAIL' })
    t.match(await failureOf(bindUdp({ host: 'fe80::1%nowhere', port: 0, io })), { code: 'EINVAL' })
  })

  t.test(`what was not bound leaves nothing behind, ${io}`, async (t) => {
    const { local: { host, port } } = await bound(t, { io })
    const count = (): number => readdirSync('/proc/self/fd').length
    const before = count()
    for (let i = 0; i < 50; i++) {
      await failureOf(bindUdp({ host, port, io }))
      const link = await dialUdp({ host, port, io })
      link.abort(new Error('enough'))
    }
    await until(() => count() <= before + 2)
  })

  t.test(`all addresses, and the one that a datagram came from, ${io}`, async (t) => {
    for (const [any, host, seen] of [['0.0.0.0', '127.0.0.1', '127.0.0.1'], ['::', '::1', '::1'], ['::', '127.0.0.1', '::ffff:127.0.0.1']]) {
      const [socket, other] = [await bound(t, { host: any, io }), await bound(t, { host, io })]
      t.equal(socket.local.host, any)
      other.port.send([to({ host, port: socket.local.port }, 'hello')])
      const { value: [datagram] } = await socket.source[Symbol.asyncIterator]().next()
      t.same([datagram.host, datagram.port], [seen, other.local.port])
      socket.port.send([to(datagram, 'back')])
      t.same(await heard(other, 1), ['back'])
    }
  })

  t.test(`a link has an address of its own, and that of the other side as Node gives it, ${io}`, async (t) => {
    for (const [host, local, remote] of [
      ['127.0.0.1', '127.0.0.1', '127.0.0.1'], ['127.0.0.2', '127.0.0.1', '127.0.0.2'], ['::1', '::1', '::1'], ['0:0:0:0:0:0:0:1', '::1', '::1'],
      ['::ffff:127.0.0.1', '::ffff:127.0.0.1', '::ffff:127.0.0.1'], ['0.0.0.0', '127.0.0.1', '127.0.0.1'], ['::', '::1', '::1']
    ]) {
      const server = await bound(t, { host: host === '::' ? '::1' : host === '0.0.0.0' ? '127.0.0.1' : host, io })
      const link = await dialled(t, host, server.local.port, io)
      t.same([link.local.host, link.remote], [local, { host: remote, port: server.local.port }], host)
      t.ok(link.local.port > 0)
      link.port.send([Buffer.from('hello')])
      const { value: [{ host: from, port }] } = await server.source[Symbol.asyncIterator]().next()
      const stranger = await bound(t, { host: local, io })
      stranger.port.send([to(link.local, 'not of this link')])
      server.port.send([to({ host: from, port }, 'welcome')])
      const { value: [answer] } = await link.source[Symbol.asyncIterator]().next()
      t.equal(Buffer.from(answer).toString(), 'welcome', host)
    }
  })
}

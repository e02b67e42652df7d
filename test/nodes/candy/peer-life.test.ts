/** A peer from its start to its end: servers that are away, that refuse it, that come back; and what it leaves behind. */
import { EventEmitter, once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import t, { type Test } from 'tap'
import { CandyPeer, joinCandy, serveCandy, type CandyPeerInit, type CandyServer, type CandyServerInit } from '../../../src/nodes/candy/index.ts'
import { MessageType } from '../../../src/nodes/candy/protocol/messages.ts'
import { OptionError } from '../../../src/errors.ts'
import { TunError } from '../../../src/tun/device.ts'
import { userspaceTun } from '../../../src/tun/index.ts'
import { ca, cert, key } from '../../helpers/certificates.ts'
import { PASSWORD } from '../../helpers/candy/client.ts'
import { failureOf, turn, until } from '../../helpers/ends.ts'
import { actAsCacao, actAsCandy, handles, scriptedServer, startPeer } from '../../helpers/candy/scripted-server.ts'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'
import { outputOf } from '../../helpers/programs/program.ts'

async function relayOn (t: Test, init: Partial<CandyServerInit> = {}): Promise<CandyServer> {
  const server = await serveCandy({ listen: 'ws://127.0.0.1:0', password: PASSWORD, dhcp: '10.77.0.0/24', ...init })
  t.teardown(() => server.close())
  return server
}

/** A server that takes connections and says nothing. */
async function blackHole (t: Test): Promise<{ url: string, connected: Promise<unknown>, stop (): Promise<void> }> {
  const sockets: Socket[] = []
  const server = createServer((socket) => { sockets.push(socket.on('error', () => {})) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  t.teardown(stop)
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, connected: once(server, 'connection'), stop }
}

t.test('a server that is not there yet', async (t) => {
  const nobody = await scriptedServer(t)
  await nobody.stop()
  const { peer, reasons } = startPeer(t, { url: nobody.url })
  await until(() => reasons.length >= 5)
  t.match(reasons, Array(5).fill(/ECONNREFUSED/))
  const server = await relayOn(t, { listen: `ws://127.0.0.1:${nobody.port}` })
  t.same(await once(peer, 'online'), ['10.77.0.1/24'])
  t.equal(peer.stats.failures, reasons.length)
  t.equal(server.relay.stats.peers, 1)
  await peer.close()
})

t.test('what has no server behind it is told in words', async (t) => {
  const plain = createServer((socket) => { socket.on('error', () => {}).resume().end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n') }).listen(0, '127.0.0.1')
  await once(plain, 'listening')
  t.teardown(() => { plain.close() })
  const { peer } = startPeer(t, { url: `ws://127.0.0.1:${(plain.address() as AddressInfo).port}/` })
  t.match(await once(peer, 'offline'), [{ message: /404/ }, Number])
  // Its addresses are all tried, and the error around their errors has no text.
  const nowhere = startPeer(t, { url: 'ws://localhost:1/' })
  t.match(await once(nowhere.peer, 'offline'), [{ message: /ECONNREFUSED/ }])
})

t.test('a server that goes and comes back: the same address, and the interface has stayed open', async (t) => {
  const first = await relayOn(t)
  const listen = first.url
  const other = startPeer(t, first, { stop: undefined, address: '10.77.0.200/24' } as object)
  await once(other.peer, 'online')
  const { peer, tun } = startPeer(t, { url: listen }, { remembered: '10.77.0.50/24' })
  t.same(await once(peer, 'online'), ['10.77.0.50/24'])
  await tun.ping('10.77.0.200')

  const gone = [once(peer, 'offline'), once(other.peer, 'offline')]
  await first.close()
  t.match(await Promise.all(gone), [[{ message: 'the server has ended the connection' }, Number], [Error, Number]])
  const socket = tun.udp()
  const { offline } = peer.stats.drops
  for (let i = 0; i < 7; i++) socket.send({ address: '10.77.0.200', port: 9, data: new Uint8Array(10) })
  await until(() => peer.stats.drops.offline > offline)
  t.equal(peer.stats.drops.offline, offline + 7)

  const back = [once(peer, 'online'), once(other.peer, 'online')]
  const second = await relayOn(t, { listen })
  t.same(await Promise.all(back), [['10.77.0.50/24'], ['10.77.0.200/24']])
  await tun.ping('10.77.0.200')
  t.equal(second.relay.stats.peers, 2)
  await Promise.all([peer.close(), other.peer.close()])
})

t.test('a connection that is cut in the middle of everything is made again', async (t) => {
  let cuts = 0
  const server = await scriptedServer(t, {
    serve: async (visitor) => {
      const count = cuts++
      await actAsCandy(visitor, {
        password: PASSWORD,
        offer: '10.77.0.2/24',
        onFrame: () => { if (visitor.socket.bytesRead % 5 >= count) visitor.socket.resetAndDestroy() }
      })
    }
  })
  const { peer } = startPeer(t, server)
  t.same(await once(peer, 'online'), ['10.77.0.2/24'])
})

for (const [how, init] of [['dynamic', {}], ['static', { address: '10.77.0.9/24' }]] as const) {
  t.test(`a wrong password, told by a relay of this library (${how})`, async (t) => {
    const server = await relayOn(t)
    const { peer, reasons } = startPeer(t, server as { url: string }, { password: 'wrong', ...init })
    peer.on('online', () => { t.fail('refused, so never online') })
    await until(() => reasons.length >= 10)
    for (const reason of reasons) t.match(reason, /wrong password/)
    await peer.close()
  })

  t.test(`a wrong password, not told by a server that just ends the connection (${how})`, async (t) => {
    const server = await scriptedServer(t, { serve: (visitor) => actAsCandy(visitor, { password: 'right', offer: '10.77.0.2/24' }) })
    const { peer, reasons } = startPeer(t, server, init)
    peer.on('online', () => { t.fail('refused, so never online') })
    await until(() => reasons.length >= 10)
    for (const reason of reasons) t.match(reason, /^refused: wrong password/)
  })
}

t.test('refused after AUTH, by the end of TCP and by a reset', async (t) => {
  let ends = 0
  const server = await scriptedServer(t, {
    serve: (visitor) => actAsCandy(visitor, {
      password: PASSWORD,
      offer: '10.77.0.2/24',
      onAuth: () => { if (ends++ % 2 === 0) visitor.end(); else visitor.socket.resetAndDestroy() }
    })
  })
  const { reasons } = startPeer(t, server)
  await until(() => reasons.length >= 6)
  for (const reason of reasons) t.equal(reason, 'refused: wrong password, wrong clock, or an address that is not allowed')
})

t.test('addresses that a relay refuses never look accepted', async (t) => {
  const server = await relayOn(t, { takeover: 'same-device' })
  const holder = startPeer(t, server as { url: string }, { address: '10.77.0.7/24', vmac: 'fedcba9876543210' })
  await once(holder.peer, 'online')
  for (const [address, why] of [['10.77.0.7/24', /in use by another device/], ['10.78.0.7/24', /address not allowed/]] as const) {
    const { peer, reasons } = startPeer(t, server as { url: string }, { address })
    peer.on('online', () => { t.fail('refused, so never online') })
    await until(() => reasons.length >= 3)
    for (const reason of reasons) t.match(reason, why)
    await peer.close()
  }
  t.equal(holder.peer.state, 'online')
  await holder.peer.close()
})

/** Brings a peer into a state; the server is stopped after the peer has been closed. */
const states: Record<string, (t: Test, make: (init: Partial<CandyPeerInit> & { url: string }) => CandyPeer) => Promise<{ peer: CandyPeer, stop (): Promise<void> }>> = {
  async idle (_t, make) {
    return { peer: make({ url: 'ws://127.0.0.1:1/' }), stop: async () => {} }
  },
  async 'just started' (_t, make) {
    const peer = make({ url: 'ws://127.0.0.1:1/' })
    peer.start()
    return { peer, stop: async () => {} }
  },
  async 'connecting to a black hole' (t, make) {
    const hole = await blackHole(t)
    const peer = make({ url: hole.url })
    peer.start()
    await hole.connected
    t.equal(peer.state, 'connecting')
    return { peer, stop: hole.stop }
  },
  async 'connecting with TLS to a black hole' (t, make) {
    const hole = await blackHole(t)
    const peer = make({ url: hole.url.replace('ws:', 'wss:') })
    peer.start()
    await hole.connected
    return { peer, stop: hole.stop }
  },
  async waiting (_t, make) {
    const peer = make({ url: 'ws://127.0.0.1:1/', backoff: { first: 1e9, longest: 1e9 } })
    peer.start()
    await once(peer, 'offline')
    return { peer, stop: async () => {} }
  },
  async 'waiting for DHCP' (t, make) {
    const server = await scriptedServer(t)
    const peer = make({ url: server.url })
    peer.start()
    await (await server.next()).message(MessageType.VMAC)
    return { peer, stop: server.stop }
  },
  async 'sent AUTH' (t, make) {
    const server = await scriptedServer(t)
    const peer = make({ url: server.url, address: '10.77.0.2/24' })
    peer.start()
    const visitor = await server.next()
    await visitor.message(MessageType.VMAC)
    await visitor.message(MessageType.AUTH)
    return { peer, stop: server.stop }
  },
  async 'online at a relay' (_t, make) {
    const server = await serveCandy({ listen: 'ws://127.0.0.1:0', password: PASSWORD, dhcp: '10.77.0.0/24' })
    const peer = make({ url: server.url })
    peer.start()
    await once(peer, 'online')
    return { peer, stop: () => server.close() }
  },
  async 'online at a relay with TLS' (_t, make) {
    const server = await serveCandy({ listen: 'wss://127.0.0.1:0', tls: { cert, key }, password: PASSWORD, dhcp: '10.77.0.0/24' })
    const peer = make({ url: server.url, ca })
    peer.start()
    await once(peer, 'online')
    return { peer, stop: () => server.close() }
  },
  async 'online at a server that answers no close frame' (t, make) {
    const server = await scriptedServer(t, { serve: (visitor) => actAsCandy(visitor, { password: PASSWORD, offer: '10.77.0.2/24' }) })
    const peer = make({ url: server.url })
    peer.start()
    await once(peer, 'online')
    return { peer, stop: server.stop }
  },
  async failed (_t, make) {
    const tun = userspaceTun()
    const peer = make({ url: 'ws://127.0.0.1:1/', tun })
    peer.start()
    const failed = once(peer, 'failed')
    await tun.close()
    await failed
    return { peer, stop: async () => {} }
  }
}

for (const [name, reach] of Object.entries(states)) {
  t.test(`close, ${name}: it settles, nothing is left and nothing follows`, async (t) => {
    await until(() => handles() === '') // of other tests
    const tun = userspaceTun()
    const { peer, stop } = await reach(t, (init) => new CandyPeer({ password: PASSWORD, tun, ...init }))
    const events: string[] = []
    for (const event of ['address', 'online', 'offline', 'failed'] as const) peer.on(event, () => { events.push(event) })
    const closing = peer.close()
    t.equal(peer.state, 'stopped')
    peer.start()
    await Promise.all([closing, peer.close()])
    await peer.close()
    peer.start()
    t.equal(peer.state, 'stopped', 'a start after the end changes nothing')
    await tun.setAddress('10.77.0.2/24') // rejects when the interface is closed
    await stop()
    await until(() => handles() === '')
    t.same(events, [])
  })
}

t.test('close from within an event', async (t) => {
  const server = await relayOn(t)
  for (const event of ['address', 'online', 'offline'] as const) {
    const { peer, tun } = startPeer(t, { url: event === 'offline' ? 'ws://127.0.0.1:1/' : server.url })
    const events: string[] = []
    for (const each of ['address', 'online', 'offline', 'failed'] as const) peer.on(each, () => { events.push(each) })
    await new Promise((resolve) => { peer.once(event, () => { resolve(peer.close()) }) })
    t.equal(peer.state, 'stopped')
    t.same(events, event === 'online' ? ['address', 'online'] : [event])
    await tun.setAddress('10.77.0.3/24')
  }
  await until(() => server.relay.stats.connections === 0)
})

t.test('what a listener throws is an uncaught exception, and the peer goes on', async (t) => {
  // In a process of its own, since tap wants to hear of those itself.
  const script = `
    import { userspaceTun } from '${new URL('../../../src/tun/userspace.ts', import.meta.url).href}'
    import { CandyPeer, serveCandy } from '${new URL('../../../src/nodes/candy/index.ts', import.meta.url).href}'
    process.on('uncaughtException', (err, origin) => { console.log(origin + ': ' + err.message) })
    const listen = 'ws://127.0.0.1:0'
    const init = { password: 'secret', dhcp: '10.77.0.0/24' }
    const first = await serveCandy({ listen, ...init })
    const tun = userspaceTun()
    const peer = new CandyPeer({ url: first.url, password: 'secret', tun, backoff: { first: 1, longest: 20 } })
    for (const event of ['address', 'online', 'failed']) peer.on(event, () => { throw new Error(event) })
    peer.once('offline', ({ message }) => { throw new Error('offline, ' + message) })
    const next = (event) => new Promise((resolve) => { peer.prependOnceListener(event, resolve) })
    peer.start()
    await next('online')
    const offline = next('offline')
    await first.close()
    await offline
    const online = next('online')
    const second = await serveCandy({ listen: first.url, ...init })
    await online
    const failed = next('failed')
    await tun.close()
    await failed
    await peer.close()
    await second.close()
    console.log(peer.state)
  `
  const lines = (await outputOf(t, [...STRIP_TYPES, '--input-type=module', '-e', script])).trimEnd().split('\n')
  t.same(lines, [
    ...['address', 'online', 'offline, the server has ended the connection', 'address', 'online', 'failed'].map((what) => `uncaughtException: ${what}`),
    'stopped'
  ])
})

t.test('start, twice', async (t) => {
  const server = await relayOn(t)
  const { peer } = startPeer(t, { url: server.url })
  peer.start()
  await once(peer, 'online')
  peer.start()
  t.equal(peer.state, 'online')
  await peer.close()
  t.equal(server.relay.stats.accepted, 1)
})

t.test('another peer takes the interface over, and no packet is lost between them', async (t) => {
  const server = await relayOn(t)
  const tun = userspaceTun()
  const target = startPeer(t, { url: server.url }, { address: '10.77.0.9/24' })
  await once(target.peer, 'online')
  const arrived: string[] = []
  void (async () => {
    for await (const batch of target.tun.udp(7)) arrived.push(...batch.map(({ data }) => Buffer.from(data).toString()))
  })()
  const socket = tun.udp()
  for (let round = 0; round < 3; round++) {
    const peer = new CandyPeer({ url: server.url, password: PASSWORD, tun, address: '10.77.0.2/24' })
    peer.start()
    await once(peer, 'online')
    socket.send({ address: '10.77.0.9', port: 7, data: Buffer.from(`while ${round}`) })
    await until(() => arrived.at(-1) === `while ${round}`)
    t.equal(peer.stats.packetsOut, 1)
    await peer.close()
    socket.send({ address: '10.77.0.9', port: 7, data: Buffer.from('between') })
    const next = new CandyPeer({ url: 'ws://127.0.0.1:1/', password: PASSWORD, tun })
    next.start()
    await until(() => next.stats.drops.offline === 1)
    await next.close()
  }
  t.same(arrived, ['while 0', 'while 1', 'while 2'])
  await target.peer.close()
})

t.test('the interface is closed underneath', async (t) => {
  const server = await relayOn(t)
  for (const end of ['close', 'abort'] as const) {
    const { peer, tun, reasons } = startPeer(t, { url: server.url })
    await once(peer, 'online')
    const failed = once(peer, 'failed') as Promise<[TunError]>
    if (end === 'close') await tun.close()
    else tun.abort(new TunError('ERR_TUN_GONE', 'pulled out'))
    t.match(await failed, [{ code: end === 'close' ? 'ERR_TUN_CLOSED' : 'ERR_TUN_GONE' }])
    t.equal(peer.state, 'stopped')
    await peer.close()
    t.same(reasons, [])
    await until(() => server.relay.stats.connections === 0)
  }
})

t.test('the interface is closed before there is an address', async (t) => {
  const { peer, tun } = startPeer(t, { url: 'ws://127.0.0.1:1/' })
  const failed = once(peer, 'failed')
  await tun.close()
  t.match(await failed, [{ code: 'ERR_TUN_CLOSED' }])
})

t.test('an address of our own that the system refuses ends the peer', async (t) => {
  const server = await scriptedServer(t, { serve: (visitor) => actAsCacao(visitor, { password: PASSWORD }) })
  for (const err of [new TunError('ERR_TUN_SYSTEM', 'SIOCSIFADDR: not permitted'), new OptionError('no')]) {
    const tun = userspaceTun()
    tun.setAddress = async () => { throw err }
    const { peer } = startPeer(t, { url: server.url }, { tun, address: '10.77.0.2/24' })
    t.same(await once(peer, 'failed'), [err])
    t.equal(peer.state, 'stopped')
    await peer.close()
  }
})

t.test('an interface that breaks otherwise is tried again', async (t) => {
  const server = await relayOn(t)
  const tun = userspaceTun()
  const { setAddress } = tun
  let tries = 0
  tun.setAddress = async (cidr) => {
    if (++tries < 3) throw new Error('not now')
    await setAddress.call(tun, cidr)
  }
  const { peer, reasons } = startPeer(t, { url: server.url }, { tun })
  await once(peer, 'online')
  t.same(reasons, ['not now', 'not now'])
  await peer.close()
})

t.test('an address that comes up after the connection has gone, or the peer, is not told', async (t) => {
  const server = await scriptedServer(t)
  const tun = userspaceTun()
  const calls = new EventEmitter()
  tun.setAddress = (cidr) => new Promise((resolve) => { calls.emit('call', cidr, resolve) })
  const { peer } = startPeer(t, server, { tun, address: '10.77.0.2/24' })
  peer.on('address', () => { t.fail('no connection has this address') })
  const [, first] = await once(calls, 'call')
  const offline = once(peer, 'offline')
  const again = once(calls, 'call')
  server.visitors[0].socket.resetAndDestroy()
  await offline
  first()
  const [, second] = await again
  const closing = peer.close()
  second()
  await server.stop()
  await closing
  await turn()
  t.equal(peer.state, 'stopped')
})

t.test('joinCandy settles once the server has accepted', async (t) => {
  const server = await relayOn(t)
  const tun = userspaceTun()
  const peer = await joinCandy({ url: server.url, password: PASSWORD, tun, signal: new AbortController().signal })
  t.match(peer, { state: 'online', address: '10.77.0.1/24' })
  t.equal(peer.listenerCount('online'), 0)
  await peer.close()
})

t.test('joinCandy ends with its signal', async (t) => {
  await until(() => handles() === '')
  const tun = userspaceTun()
  const init = { url: 'ws://127.0.0.1:1/', password: PASSWORD, tun }
  const reason = new Error('changed my mind')
  t.equal(await failureOf(joinCandy({ ...init, signal: AbortSignal.abort(reason) })), reason)

  const hole = await blackHole(t)
  for (const url of [init.url, hole.url]) {
    const controller = new AbortController()
    const joining = failureOf(joinCandy({ ...init, url, signal: controller.signal }))
    if (url === hole.url) await hole.connected
    else await turn()
    controller.abort(reason)
    t.equal(await joining, reason)
  }
  await hole.stop()
  await until(() => handles() === '')
  await tun.setAddress('10.77.0.2/24') // rejects when the interface is closed
})

t.test('joinCandy rejects with what made the interface fail', async (t) => {
  const tun = userspaceTun()
  const joining = failureOf(joinCandy({ url: 'ws://127.0.0.1:1/', password: PASSWORD, tun }))
  await tun.close()
  t.match(await joining, { code: 'ERR_TUN_CLOSED' })
  t.match(await failureOf(joinCandy({ url: 'nonsense', password: PASSWORD, tun })), { code: 'ERR_OPTION' })
})

t.test('wss: a certificate that nobody trusts is refused, unless one says otherwise', async (t) => {
  const server = await relayOn(t, { listen: 'wss://127.0.0.1:0', tls: { cert, key } })
  t.match(server.url, /^wss:\/\/127\.0\.0\.1:\d+$/)
  const doubtful = startPeer(t, { url: server.url })
  t.match(await once(doubtful.peer, 'offline'), [/certificate/])
  await doubtful.peer.close()
  t.equal(server.relay.stats.accepted, 0)
  for (const trust of [{ ca }, { ca: Buffer.from(ca) }, { insecure: true }]) {
    const { peer, tun } = startPeer(t, { url: server.url }, trust)
    await once(peer, 'online')
    t.ok(await tun.ping((peer.address as string).split('/')[0]) >= 0, 'a packet to oneself goes through the relay')
    await peer.close()
  }
})

const ipv6 = Object.values(networkInterfaces()).flat().some((found) => found?.address === '::1')

t.test('wss: the certificate has to be for the address', { skip: ipv6 ? false : 'no IPv6 here' }, async (t) => {
  const server = await relayOn(t, { listen: 'wss://[::1]:0', tls: { cert, key } })
  const { peer } = startPeer(t, { url: server.url }, { ca })
  t.match(await once(peer, 'offline'), [/does not match certificate/])
  await peer.close()
})

t.test('waits grow while a server is away and are short again once it was there for long enough', async (t) => {
  const server = await scriptedServer(t, { serve: (visitor) => actAsCandy(visitor, { password: PASSWORD, offer: '10.77.0.2/24' }) })
  const waits: number[] = []
  const { peer } = startPeer(t, server, { url: server.url, backoff: { first: 2, longest: 16, steady: 0 } })
  peer.on('offline', (_reason, wait) => { waits.push(wait) })
  await once(peer, 'online')
  for (let i = 0; i < 3; i++) {
    const back = once(peer, 'online')
    ;(server.visitors.at(-1) as { socket: Socket }).socket.resetAndDestroy()
    await back
  }
  t.ok(waits.length === 3 && waits.every((wait) => wait <= 2), 'each loss was the first one')
  await server.stop()
  await until(() => waits.length === 12)
  t.ok(waits.slice(-5).every((wait) => wait >= 8 && wait <= 16))
})

t.test('two peers that have one address take it from each other more and more slowly', async (t) => {
  const server = await relayOn(t)
  const rivals = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb'].map((vmac) => {
    const { peer } = startPeer(t, { url: server.url }, { address: '10.77.0.9/24', vmac, backoff: { first: 2, longest: 1e6, steady: 1e6 } })
    const losses: Array<{ reason: string, wait: number }> = []
    peer.on('offline', ({ message: reason }, wait) => { losses.push({ reason, wait }) })
    return { peer, losses }
  })
  await until(() => rivals.every(({ losses }) => losses.length >= 5))
  await Promise.all(rivals.map(({ peer }) => peer.close()))
  for (const { losses } of rivals) {
    for (const [i, { reason, wait }] of losses.entries()) {
      t.match(reason, /taken over/)
      t.ok(wait >= 2 ** i, `loss ${i + 1} is followed by a wait of ${wait} ms`)
    }
  }
})

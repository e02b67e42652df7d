/** What a peer leaves when it is closed: nothing, in whatever it was doing. In a simulated network. */
import t from 'tap'
import { PORT, USER_PORT, World } from '../../../helpers/rustdesk/world.ts'
import { meet } from '../../../../src/nodes/rustdesk/peer/meeting.ts'
import { RustdeskPeer } from '../../../../src/nodes/rustdesk/peer/peer.ts'
import type { PeerTransport } from '../../../../src/nodes/rustdesk/peer/transport.ts'
import { LinkClosedError } from '../../../../src/errors.ts'
import { acceptEach } from '../../../../src/transports/acceptor.ts'
import { VirtualClock } from '../../../../src/streams/virtual-clock.ts'
import type { Link } from '../../../../src/types.ts'

const ID = '123456789'

/** Milliseconds in which what was closed is gone at the other side as well. */
const SOON = 1000

/** A server that takes connections and says nothing: how many are open, and were. */
function silentServer (world: World): { open: number, all: number } {
  const counts = { open: 0, all: 0 }
  for (const port of [PORT, PORT - 1]) {
    const listener = world.server.transport().listen({ host: '::', port })
    acceptEach(listener, (link) => {
      counts.open++
      counts.all++
      void ended(link).then(() => { counts.open-- })
    }, () => {}).catch(() => {})
  }
  return counts
}

async function ended (link: Link): Promise<void> {
  try {
    for await (const batch of link.source) void batch
  } catch {
    // it was aborted
  }
}

t.test('closed while the server does not answer: the test of the NAT, the question for the other peer', async (t) => {
  for (const connections of [1, 3]) {
    const world = await World.open(t)
    await world.stop()
    const server = silentServer(world)
    const host = world.host('none')
    const peer = await world.peer(t, host, { connect: [{ id: ID, listen: `127.0.0.1:${USER_PORT}` }] })
    const user = await world.clock.until(world.user(host))
    let isUserGone = false
    void ended(user).then(() => { isUserGone = true })
    await world.clock.until(() => server.all === connections)
    await world.clock.pass(100)
    const told: string[] = []
    for (const event of ['nat', 'offline', 'unregistered'] as const) peer.on(event, () => { told.push(event) })
    await peer.close()
    await world.clock.until(() => server.open === 0 && isUserGone, { within: SOON })
    await world.clock.pass(SOON)
    t.same(told, [], 'no event')
    t.pass(`after ${connections}`)
  }
})

t.test('closed while it listens for users', async (t) => {
  const world = await World.open(t)
  const host = world.host('none')
  const transport: PeerTransport = host.transport()
  const listeners = new Set<unknown>()
  let heard = (): void => {}
  const first = new Promise<void>((resolve) => { heard = resolve })
  let go = (): void => {}
  const held = new Promise<void>((resolve) => { go = resolve })
  const peer = new RustdeskPeer({
    server: `198.51.100.1:${PORT}`,
    key: world.key,
    clock: world.clock,
    lookup: async (name) => name,
    connect: [USER_PORT, USER_PORT + 1].map((port) => ({ id: ID, listen: `127.0.0.1:${port}` })),
    transport: {
      dial: (to) => transport.dial(to),
      listen (at) {
        const listener = transport.listen(at)
        listeners.add(listener)
        heard()
        return { ...listener, port: async () => await held.then(() => listener.port()), close () { listeners.delete(listener); listener.close() }, [Symbol.asyncIterator]: () => listener[Symbol.asyncIterator]() }
      }
    }
  })
  const starting = peer.start().catch((err: Error) => err)
  await first
  await peer.close()
  go()
  t.match(await starting, { code: 'ERR_LINK_CLOSED' })
  t.equal(listeners.size, 0)
})

t.test('no port is listened on for another peer once it is closed', async (t) => {
  const clock = new VirtualClock()
  const stop = new AbortController()
  stop.abort(new LinkClosedError('closed'))
  let isOpen = false
  const transport: PeerTransport = {
    dial: async () => await Promise.reject(new Error('nobody')),
    listen () {
      isOpen = true
      let close = (): void => {}
      const closed = new Promise<void>((resolve) => { close = resolve })
      return { port: async () => 1, close () { isOpen = false; close() }, async * [Symbol.asyncIterator] () { await closed; yield * [] } }
    }
  }
  const meeting = meet({ transport, clock, at: { host: '192.0.2.1', port: 1 }, signal: stop.signal, announce: async () => {}, onLink: async () => true }).catch(() => {})
  await clock.until(meeting, { within: SOON })
  t.notOk(isOpen)
})

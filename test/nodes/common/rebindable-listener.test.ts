/** A listener that moves while it runs, over TCP and TLS. */
import t, { type Test } from 'tap'
import { ca, cert, key, second } from '../../helpers/certificates.ts'
import { endsWith, failureOf, talk, until } from '../../helpers/ends.ts'
import { freePort } from '../../helpers/free-ports.ts'
import { rawTcp } from '../../helpers/raw-sockets.ts'
import { RebindableListener, type BindOptions } from '../../../src/nodes/common/rebindable-listener.ts'
import { dialTcp, dialTls, listenTcp, listenTls, type AcceptedLink, type TlsServerInit } from '../../../src/transports/index.ts'
import type { Link, Listener } from '../../../src/types.ts'

const host = '127.0.0.1'
/** No address of this machine (RFC 5737). */
const NOWHERE = '192.0.2.1'
const renewed: TlsServerInit = { cert: second.cert, key: second.key }
const REFUSED = { code: 'ECONNREFUSED' }
const UNVERIFIED = { code: /^UNABLE_TO_/ }

interface Watched {
  listener: RebindableListener<AcceptedLink>
  /** Links that came in, in order. */
  links: AcceptedLink[]
  /** A client, and the link that it has become. */
  connect (port?: number, trust?: string, to?: string): Promise<[client: Link, server: AcceptedLink]>
}

/** @param before called when it is about to listen */
function watch (t: Test, options: BindOptions, before: (at: BindOptions) => void = () => {}): Watched {
  const links: AcceptedLink[] = []
  const listener = new RebindableListener<AcceptedLink>(options, {
    listen ({ tls, ...at }) {
      before(at)
      return tls === undefined ? listenTcp(at) : listenTls({ ...at, ...tls })
    },
    accept: (link) => { links.push(endsWith(t, link)) }
  })
  t.teardown(() => { listener.close() })
  return {
    listener,
    links,
    async connect (port = listener.port, trust = ca, to = host) {
      if (port === undefined) throw new Error('it listens nowhere')
      const before = links.length
      const client = endsWith(t, await (listener.options.tls === undefined ? dialTcp({ host: to, port }) : dialTls({ host: to, port, ca: trust, servername: 'localhost' })))
      await until(() => links.length > before)
      return [client, links[before]]
    }
  }
}

/** A port that somebody has. */
async function taken (t: Test): Promise<number> {
  const listener = listenTcp({ host, port: 0 })
  t.teardown(() => { listener.close() })
  return await listener.port()
}

const kinds: Record<string, Pick<BindOptions, 'tls'>> = { tcp: {}, tls: { tls: { cert, key } } }

for (const [name, common] of Object.entries(kinds)) {
  t.test(`${name}: opens where it is told`, async (t) => {
    const place = { host, port: 0, ...common }
    const { listener, connect } = watch(t, place)
    t.same([listener.options, listener.port], [place, undefined])
    await listener.open()
    t.ok(listener.port)
    await talk(...await connect())

    const busy = watch(t, { host, port: await taken(t), ...common })
    t.match(await failureOf(busy.listener.open()), { code: 'EADDRINUSE' })
    t.equal(busy.listener.port, undefined)
    busy.listener.close()
  })

  t.test(`${name}: to another port`, async (t) => {
    const { listener, connect } = watch(t, { host, port: 0, ...common })
    await listener.open()
    const before = listener.port as number
    const old = await connect()
    const port = await freePort()
    const place = { host, port, ...common }
    await listener.rebind(place)
    t.same([listener.port, listener.options], [port, place])
    t.match(await failureOf(dialTcp({ host, port: before })), REFUSED, 'the old one is free')
    await talk(...old)
    await talk(...await connect())
    await listener.rebind({ host, port: 0, ...common })
    t.not(listener.port, port)
    await talk(...await connect())
    await talk(...old)
  })

  t.test(`${name}: to a port in use, or a place that cannot be: it stays where it is`, async (t) => {
    const { listener, connect } = watch(t, { host, port: 0, ...common })
    await listener.open()
    const { port, options } = listener
    const old = await connect()
    const bad: Array<[place: BindOptions, code: string]> = [
      [{ host, port: await taken(t), ...common }, 'EADDRINUSE'],
      [{ host: NOWHERE, port: 0, ...common }, 'EADDRNOTAVAIL'],
      [{ host: 'no.such.name.invalid', port: 0, ...common }, '^(?:ENOTFOUND|EAI_AGAIN)$'],
      [{ host, port: 0, ...common, trustedProxies: ['nonsense'] }, 'ERR_OPTION']
    ]
    for (const [to, code] of bad) {
      t.match(await failureOf(listener.rebind(to)), { code: new RegExp(code) }, code)
      t.same([listener.port, listener.options], [port, options])
      await talk(...await connect())
    }
    await talk(...old)
  })

  t.test(`${name}: another address, same port`, async (t) => {
    const { listener, connect } = watch(t, { host, port: await freePort(), ...common })
    await listener.open()
    const port = listener.port as number
    const old = await connect()
    await listener.rebind({ host: '0.0.0.0', port, ...common })
    t.equal(listener.port, port)
    const [, server] = await connect(port, ca, '127.0.0.2')
    t.equal(server.local.host, '127.0.0.2')
    await talk(...old)
    await listener.rebind({ host, port, ...common })
    t.match(await failureOf(dialTcp({ host: '127.0.0.2', port })), REFUSED)
    await talk(...await connect())

    t.match(await failureOf(listener.rebind({ host: NOWHERE, port, ...common })), { code: 'EADDRNOTAVAIL' })
    t.same([listener.port, listener.options.host], [port, host], 'back where it was, after it had to let go')
    await talk(...await connect())
    await talk(...old)
  })

  t.test(`${name}: other proxies, same port`, async (t) => {
    const { listener, links } = watch(t, { host, port: await freePort(), ...common })
    await listener.open()
    const port = listener.port as number
    await listener.rebind({ host, port, ...common, trustedProxies: [host] })
    if (common.tls === undefined) {
      const { socket } = await rawTcp(port)
      socket.write('PROXY TCP4 192.0.2.1 198.51.100.1 5 443\r\n')
      await until(() => links.length === 1)
      t.equal(links[0].remote.host, '192.0.2.1')
      socket.destroy()
    }
    await listener.rebind({ host, port, ...common, trustedProxies: [] })
    t.equal(listener.port, port)
  })

  t.test(`${name}: the same again changes nothing`, async (t) => {
    const { listener, connect } = watch(t, { host, port: 0, ...common })
    await listener.open()
    const { port } = listener
    await listener.rebind({ host, port: 0, ...common, trustedProxies: [] })
    t.equal(listener.port, port, 'a free port that it has is kept')
    await talk(...await connect())
  })

  t.test(`${name}: closed`, async (t) => {
    const { listener, connect } = watch(t, { host, port: 0, ...common })
    await listener.open()
    const { port } = listener
    const old = await connect()
    listener.close()
    listener.close()
    t.match(await failureOf(dialTcp({ host, port: port as number })), REFUSED)
    await talk(...old)
  })
}

t.test('another certificate, on the spot', async (t) => {
  const { listener, connect } = watch(t, { host, port: await freePort(), tls: { cert, key } })
  await listener.open()
  const { port } = listener
  const old = await connect()
  const place = { host, port: port as number, tls: renewed }
  await listener.rebind(place)
  t.same([listener.port, listener.options], [port, place])
  t.match(await failureOf(connect(port, ca)), UNVERIFIED)
  await talk(...await connect(port, second.ca))
  await talk(...old)
  for (const tls of [{ cert: 'none', key }, { cert, key: second.key }, { cert, key, ca }]) {
    t.match(await failureOf(listener.rebind({ ...place, tls })), { code: /^ERR_/ })
    t.same(listener.options, place, 'what cannot be used changes nothing')
    await talk(...await connect(port, second.ca))
  }
})

t.test('another certificate and another port at once', async (t) => {
  const { listener, connect } = watch(t, { host, port: 0, tls: { cert, key } })
  await listener.open()
  const { port } = listener
  t.match(await failureOf(listener.rebind({ host, port: await freePort(), tls: { cert: 'none', key } })), { code: /^ERR_/ })
  t.equal(listener.port, port)
  await talk(...await connect())
  await listener.rebind({ host, port: await freePort(), tls: renewed })
  await talk(...await connect(listener.port, second.ca))
})

t.test('TLS where there was none, and none where there was', async (t) => {
  const { listener, connect } = watch(t, { host, port: await freePort() })
  await listener.open()
  const port = listener.port as number
  const old = await connect()
  await listener.rebind({ host, port, tls: { cert, key } })
  t.equal(listener.port, port)
  await talk(...await connect())
  t.match(await failureOf(listener.rebind({ host, port, tls: { cert, key: second.key }, trustedProxies: [host] })), { code: /^ERR_/ })
  t.equal(listener.port, port)
  await talk(...await connect())
  await listener.rebind({ host, port })
  await talk(...await connect())
  await talk(...old)
})

t.test('somebody else takes the port in the middle of a change: the next one tries again', async (t) => {
  const port = await freePort()
  let thief: Listener | undefined
  const { listener, connect } = watch(t, { host, port }, ({ host: to }) => {
    // It has let go of the port by now, and cannot have the address.
    if (to === NOWHERE) thief ??= listenTcp({ host, port })
  })
  await listener.open()
  const old = await connect()
  t.match(await failureOf(listener.rebind({ host: NOWHERE, port })), { code: 'EADDRNOTAVAIL' })
  t.equal(listener.port, undefined, 'it listens nowhere')
  await talk(...old)
  thief?.close()
  await listener.rebind({ host, port })
  t.equal(listener.port, port)
  await talk(...await connect())
})

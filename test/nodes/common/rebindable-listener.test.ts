/** A listener that moves while it runs, over TCP and TLS. */
import t, { type Test } from 'tap'
import { ca, cert, key, second } from '../../helpers/certificates.ts'
import { endsWith, failureOf, talk, until } from '../../helpers/ends.ts'
import { freePort } from '../../helpers/free-ports.ts'
import { rawTcp } from '../../helpers/raw-sockets.ts'
import { Site, type Place } from '../../../src/nodes/common/rebindable-listener.ts'
import { dialTcp, dialTls, listenTcp, listenTls, type AcceptedLink, type TlsServerInit } from '../../../src/transports/index.ts'
import type { Link, Listener } from '../../../src/types.ts'

const host = '127.0.0.1'
/** No address of this machine (RFC 5737). */
const NOWHERE = '192.0.2.1'
const renewed: TlsServerInit = { cert: second.cert, key: second.key }
const REFUSED = { code: 'ECONNREFUSED' }
const UNVERIFIED = { code: /^UNABLE_TO_/ }

interface Watched {
  site: Site<AcceptedLink>
  /** Links that came in, in order. */
  links: AcceptedLink[]
  /** A client, and the link that it has become. */
  connect (port?: number, trust?: string, to?: string): Promise<[client: Link, server: AcceptedLink]>
}

/** @param before called when it is about to listen */
function watch (t: Test, place: Place, before: (at: Place) => void = () => {}): Watched {
  const links: AcceptedLink[] = []
  const site = new Site<AcceptedLink>(place, {
    listen ({ tls, ...at }) {
      before(at)
      return tls === undefined ? listenTcp(at) : listenTls({ ...at, ...tls })
    },
    accept: (link) => { links.push(endsWith(t, link)) }
  })
  t.teardown(() => { site.close() })
  return {
    site,
    links,
    async connect (port = site.port, trust = ca, to = host) {
      if (port === undefined) throw new Error('it listens nowhere')
      const before = links.length
      const client = endsWith(t, await (site.place.tls === undefined ? dialTcp({ host: to, port }) : dialTls({ host: to, port, ca: trust, servername: 'localhost' })))
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

const kinds: Record<string, Pick<Place, 'tls'>> = { tcp: {}, tls: { tls: { cert, key } } }

for (const [name, common] of Object.entries(kinds)) {
  t.test(`${name}: opens where it is told`, async (t) => {
    const place = { host, port: 0, ...common }
    const { site, connect } = watch(t, place)
    t.same([site.place, site.port], [place, undefined])
    await site.open()
    t.ok(site.port)
    await talk(...await connect())

    const busy = watch(t, { host, port: await taken(t), ...common })
    t.match(await failureOf(busy.site.open()), { code: 'EADDRINUSE' })
    t.equal(busy.site.port, undefined)
    busy.site.close()
  })

  t.test(`${name}: to another port`, async (t) => {
    const { site, connect } = watch(t, { host, port: 0, ...common })
    await site.open()
    const before = site.port as number
    const old = await connect()
    const port = await freePort()
    const place = { host, port, ...common }
    await site.move(place)
    t.same([site.port, site.place], [port, place])
    t.match(await failureOf(dialTcp({ host, port: before })), REFUSED, 'the old one is free')
    await talk(...old)
    await talk(...await connect())
    await site.move({ host, port: 0, ...common })
    t.not(site.port, port)
    await talk(...await connect())
    await talk(...old)
  })

  t.test(`${name}: to a port in use, or a place that cannot be: it stays where it is`, async (t) => {
    const { site, connect } = watch(t, { host, port: 0, ...common })
    await site.open()
    const { port, place } = site
    const old = await connect()
    const bad: Array<[place: Place, code: string]> = [
      [{ host, port: await taken(t), ...common }, 'EADDRINUSE'],
      [{ host: NOWHERE, port: 0, ...common }, 'EADDRNOTAVAIL'],
      [{ host: 'no.such.name.invalid', port: 0, ...common }, '^(?:ENOTFOUND|EAI_AGAIN)$'],
      [{ host, port: 0, ...common, trustedProxies: ['nonsense'] }, 'ERR_OPTION']
    ]
    for (const [to, code] of bad) {
      t.match(await failureOf(site.move(to)), { code: new RegExp(code) }, code)
      t.same([site.port, site.place], [port, place])
      await talk(...await connect())
    }
    await talk(...old)
  })

  t.test(`${name}: another address, same port`, async (t) => {
    const { site, connect } = watch(t, { host, port: await freePort(), ...common })
    await site.open()
    const port = site.port as number
    const old = await connect()
    await site.move({ host: '0.0.0.0', port, ...common })
    t.equal(site.port, port)
    const [, server] = await connect(port, ca, '127.0.0.2')
    t.equal(server.local.host, '127.0.0.2')
    await talk(...old)
    await site.move({ host, port, ...common })
    t.match(await failureOf(dialTcp({ host: '127.0.0.2', port })), REFUSED)
    await talk(...await connect())

    t.match(await failureOf(site.move({ host: NOWHERE, port, ...common })), { code: 'EADDRNOTAVAIL' })
    t.same([site.port, site.place.host], [port, host], 'back where it was, after it had to let go')
    await talk(...await connect())
    await talk(...old)
  })

  t.test(`${name}: other proxies, same port`, async (t) => {
    const { site, links } = watch(t, { host, port: await freePort(), ...common })
    await site.open()
    const port = site.port as number
    await site.move({ host, port, ...common, trustedProxies: [host] })
    if (common.tls === undefined) {
      const { socket } = await rawTcp(port)
      socket.write('PROXY TCP4 192.0.2.1 198.51.100.1 5 443\r\n')
      await until(() => links.length === 1)
      t.equal(links[0].remote.host, '192.0.2.1')
      socket.destroy()
    }
    await site.move({ host, port, ...common, trustedProxies: [] })
    t.equal(site.port, port)
  })

  t.test(`${name}: the same again changes nothing`, async (t) => {
    const { site, connect } = watch(t, { host, port: 0, ...common })
    await site.open()
    const { port } = site
    await site.move({ host, port: 0, ...common, trustedProxies: [] })
    t.equal(site.port, port, 'a free port that it has is kept')
    await talk(...await connect())
  })

  t.test(`${name}: closed`, async (t) => {
    const { site, connect } = watch(t, { host, port: 0, ...common })
    await site.open()
    const { port } = site
    const old = await connect()
    site.close()
    site.close()
    t.match(await failureOf(dialTcp({ host, port: port as number })), REFUSED)
    await talk(...old)
  })
}

t.test('another certificate, on the spot', async (t) => {
  const { site, connect } = watch(t, { host, port: await freePort(), tls: { cert, key } })
  await site.open()
  const { port } = site
  const old = await connect()
  const place = { host, port: port as number, tls: renewed }
  await site.move(place)
  t.same([site.port, site.place], [port, place])
  t.match(await failureOf(connect(port, ca)), UNVERIFIED)
  await talk(...await connect(port, second.ca))
  await talk(...old)
  for (const tls of [{ cert: 'none', key }, { cert, key: second.key }, { cert, key, ca }]) {
    t.match(await failureOf(site.move({ ...place, tls })), { code: /^ERR_/ })
    t.same(site.place, place, 'what cannot be used changes nothing')
    await talk(...await connect(port, second.ca))
  }
})

t.test('another certificate and another port at once', async (t) => {
  const { site, connect } = watch(t, { host, port: 0, tls: { cert, key } })
  await site.open()
  const { port } = site
  t.match(await failureOf(site.move({ host, port: await freePort(), tls: { cert: 'none', key } })), { code: /^ERR_/ })
  t.equal(site.port, port)
  await talk(...await connect())
  await site.move({ host, port: await freePort(), tls: renewed })
  await talk(...await connect(site.port, second.ca))
})

t.test('TLS where there was none, and none where there was', async (t) => {
  const { site, connect } = watch(t, { host, port: await freePort() })
  await site.open()
  const port = site.port as number
  const old = await connect()
  await site.move({ host, port, tls: { cert, key } })
  t.equal(site.port, port)
  await talk(...await connect())
  t.match(await failureOf(site.move({ host, port, tls: { cert, key: second.key }, trustedProxies: [host] })), { code: /^ERR_/ })
  t.equal(site.port, port)
  await talk(...await connect())
  await site.move({ host, port })
  await talk(...await connect())
  await talk(...old)
})

t.test('somebody else takes the port in the middle of a change: the next one tries again', async (t) => {
  const port = await freePort()
  let thief: Listener | undefined
  const { site, connect } = watch(t, { host, port }, ({ host: to }) => {
    // It has let go of the port by now, and cannot have the address.
    if (to === NOWHERE) thief ??= listenTcp({ host, port })
  })
  await site.open()
  const old = await connect()
  t.match(await failureOf(site.move({ host: NOWHERE, port })), { code: 'EADDRNOTAVAIL' })
  t.equal(site.port, undefined, 'it listens nowhere')
  await talk(...old)
  thief?.close()
  await site.move({ host, port })
  t.equal(site.port, port)
  await talk(...await connect())
})

/** Another certificate while a listener runs. */
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect, type ConnectionOptions } from 'node:tls'
import t, { type Test } from 'tap'
import { ca, cert, key, second } from '../helpers/certificates.ts'
import { accept, endsWith, failureOf, first, listening, talk, texts } from '../helpers/ends.ts'
import { dialTls, dialWebSocket, listenTls, listenWebSocket, type TlsClientInit, type TlsListener, type TlsServerInit } from '../../src/transports/index.ts'
import type { Link } from '../../src/types.ts'

const host = '127.0.0.1'
const both = [ca, second.ca]
const renewed = { cert: second.cert, key: second.key }
const UNVERIFIED = { code: /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY)$/ }

interface Subject {
  name: string
  listen (init: TlsServerInit, at: { host: string, port: number }): TlsListener
  dial (port: number, init: TlsClientInit): Promise<Link>
}

const subjects: Subject[] = [
  {
    name: 'tls',
    listen: (init, at) => listenTls({ ...at, ...init }),
    dial: (port, init) => dialTls({ host, port, ...init })
  },
  {
    name: 'wss',
    listen: (tls, at) => listenWebSocket({ ...at, tls }),
    dial: (port, init) => dialWebSocket(`wss://${host}:${port}`, init)
  }
]

interface Handshake {
  /** The ticket that the server gave. */
  session: Buffer
  isReused: boolean
  /** Whose certificate it was; with a ticket that is taken none is shown. */
  commonName?: string
}

/** A TLS connection as far as the ticket, and no further. */
async function handshake (t: Test, port: number, version: 'TLSv1.2' | 'TLSv1.3', options: ConnectionOptions = {}): Promise<Handshake> {
  const socket = connect({ host, port, ca: both, minVersion: version, maxVersion: version, ...options })
  t.teardown(() => { socket.destroy() })
  await once(socket, 'secureConnect')
  const isReused = socket.isSessionReused()
  if (version === 'TLSv1.3' && !isReused) await once(socket, 'session') // with 1.2 it was part of the handshake
  const found = { session: socket.getSession() as Buffer, isReused, commonName: socket.getPeerCertificate().subject?.CN as string | undefined }
  socket.destroy()
  return found
}

for (const { name, listen, dial } of subjects) {
  const start = async (t: Test, init: Partial<TlsServerInit> = {}) => {
    const { listener, port, incoming } = await listening(t, (at) => listen({ cert, key, ...init }, at))
    return { listener: listener as TlsListener, port, incoming }
  }

  t.test(`${name}: new handshakes get the new certificate, links live on`, async (t) => {
    const { listener, port, incoming } = await start(t)
    const old = endsWith(t, await dial(port, { ca }))
    const oldServer = await accept(t, incoming)
    await talk(old, oldServer)
    listener.setCertificate(renewed)
    t.match(await failureOf(dial(port, { ca })), UNVERIFIED)
    const fresh = endsWith(t, await dial(port, { ca: second.ca }))
    await talk(fresh, await accept(t, incoming))
    await talk(old, oldServer)
    listener.setCertificate({ cert: Buffer.from(cert), key: Buffer.from(key) })
    await talk(endsWith(t, await dial(port, { ca })), await accept(t, incoming))
    await talk(old, oldServer)
  })

  t.test(`${name}: what cannot be used changes nothing`, async (t) => {
    const { listener, port, incoming } = await start(t)
    const otherKind = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    for (const [what, bad] of Object.entries({
      'no certificate': { cert: 'no certificate', key },
      'no key': { cert, key: 'no key' },
      'nothing at all': { cert: '', key: '' },
      'key of another certificate': { cert: second.cert, key },
      'another key': { cert, key: second.key },
      'a key of another kind': { cert, key: otherKind },
      'a certificate that is cut': { cert: cert.slice(0, 300), key },
      'an authority where there was none': { cert, key, ca }
    })) {
      t.throws(() => { listener.setCertificate(bad) }, { code: /^ERR_/ }, what)
      if (what !== 'an authority where there was none') t.throws(() => listen(bad, { host, port: 0 }), { code: /^ERR_/ }, `${what}, from the start`)
      const client = endsWith(t, await dial(port, { ca }))
      await talk(client, await accept(t, incoming))
    }
    t.throws(() => { listener.setCertificate({ cert, key: otherKind }) }, { code: 'ERR_OPTION' }, 'which OpenSSL takes')
  })

  t.test(`${name}: a ticket of the old certificate is worth nothing`, async (t) => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { listener, port } = await start(t)
      const { session } = await handshake(t, port, version)
      t.match(await handshake(t, port, version, { session }), { isReused: true }, `${version}: it is worth something before`)
      listener.setCertificate(renewed)
      const fresh = await handshake(t, port, version, { session })
      t.match(fresh, { isReused: false, commonName: /second$/ }, version)
      t.match(await handshake(t, port, version, { session: fresh.session }), { isReused: true }, `${version}: new ones are`)
      t.match(await handshake(t, port, version, { session }), { isReused: false, commonName: /second$/ }, `${version}: nor later`)
    }
  })

  t.test(`${name}: another authority for the certificates of clients`, async (t) => {
    const { listener, port } = await start(t, { ca })
    void (async () => {
      for await (const link of listener) endsWith(t, link).port.send(texts('welcome'))
    })()
    // With TLS 1.3 a client is done before the server has looked at its certificate: it may have a link, which ends.
    const isWelcome = (init: TlsClientInit): Promise<boolean> => dial(port, init).then((link) => first(endsWith(t, link).source)).then(() => true, () => false)
    const one = { ca: both, cert, key }
    const two = { ca: both, ...renewed }
    t.same([await isWelcome(one), await isWelcome(two)], [true, false])
    listener.setCertificate(renewed)
    t.same([await isWelcome(one), await isWelcome(two)], [true, false], 'without an authority the last one stays')
    const tickets = [await handshake(t, port, 'TLSv1.2', one), await handshake(t, port, 'TLSv1.3', one)]
    listener.setCertificate({ cert, key, ca: second.ca })
    t.same([await isWelcome(one), await isWelcome(two)], [false, true], 'another one counts at once')
    for (const { session } of tickets) {
      const socket = connect({ host, port, ...one, session })
      t.teardown(() => { socket.destroy() })
      let isReused = false
      socket.once('secureConnect', () => { isReused = socket.isSessionReused() })
      socket.on('error', () => {}).resume()
      await once(socket, 'close')
      t.notOk(isReused, 'a ticket does not let in whom the old one vouched for')
    }
    listener.setCertificate({ cert, key, ca: both })
    t.same([await isWelcome(one), await isWelcome(two)], [true, true])
  })

  t.test(`${name}: a handshake that is under way when it changes`, async (t) => {
    const { listener, port, incoming } = await start(t)
    const tcp = connectTcp({ host, port })
    t.teardown(() => { tcp.destroy() })
    await once(tcp, 'connect')
    await talk(endsWith(t, await dial(port, { ca })), await accept(t, incoming)) // so the one before it was accepted
    listener.setCertificate(renewed)
    const socket = connect({ socket: tcp, ca: both, servername: 'localhost' })
    await once(socket, 'secureConnect')
    t.match(socket.getPeerCertificate().subject.CN, /test only$/, 'it goes on as it began')
  })

  t.test(`${name}: many changes, many clients`, async (t) => {
    const { listener, port, incoming } = await start(t)
    for (let i = 0; i < 20; i++) {
      const dialling = [1, 2, 3].map(() => dial(port, { ca: both }))
      listener.setCertificate(i % 2 === 0 ? renewed : { cert, key })
      const clients = await Promise.all(dialling)
      for (const client of clients) {
        endsWith(t, client)
        await accept(t, incoming)
      }
      for (const client of clients) client.abort(new Error('enough'))
    }
    t.pass('all of them have come in')
  })
}

t.test('a listener without TLS', async (t) => {
  const { listener } = await listening(t, (at) => listenWebSocket(at))
  t.throws(() => { (listener as TlsListener).setCertificate({ cert, key }) }, { code: 'ERR_OPTION' })
})

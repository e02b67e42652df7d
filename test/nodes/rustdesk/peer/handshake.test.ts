/** The handshake of two peers: golden bytes, cuts, truncations, mutations, and each refusal (RustDesk protocol, sections 1.5 and 11.1). */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { loadNacl } from '../../../../src/crypto/nacl/index.ts'
import { LinkClosedError } from '../../../../src/errors.ts'
import { over } from '../../../../src/layer.ts'
import { openCertificate } from '../../../../src/nodes/rustdesk/peer/certificate.ts'
import { connectSession, acceptSession, type ConnectSessionInit, type AcceptSessionInit, type PeerCredentials } from '../../../../src/nodes/rustdesk/peer/handshake.ts'
import { newIdentity } from '../../../../src/nodes/rustdesk/peer/identity.ts'
import { isProof, proofOf, sessionKeys } from '../../../../src/nodes/rustdesk/peer/session-keys.ts'
import { inTime } from '../../../../src/nodes/rustdesk/peer/session.ts'
import { ReceptionResult } from '../../../../src/nodes/rustdesk/protocol/enums.ts'
import { frames, idPk, introduction, peerMessage, reception } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { systemClock } from '../../../../src/streams/clock.ts'
import { VirtualClock } from '../../../../src/streams/virtual-clock.ts'
import { memoryPair } from '../../../../src/transports/memory/index.ts'
import type { Batch, Clock, Link } from '../../../../src/types.ts'
import { sample } from '../../../helpers/sample.ts'

const vectors = JSON.parse(readFileSync(new URL('../../../vectors/rustdesk-sessions.json', import.meta.url), 'utf8'))
const bytes = (hex: string): Uint8Array => Buffer.from(hex, 'hex')
const nacl = await loadNacl()

const ID = '123456789'
const [server, a, b] = [nacl.signKeys(), newIdentity(nacl), newIdentity(nacl)]
const certificate = nacl.sign(idPk.encode({ id: '987654321', pk: a.pair.publicKey }), server.secretKey)
const handshake: ConnectSessionInit = { nacl, id: ID, publicKey: b.pair.publicKey, identity: a, certificate }

function receive (credentials: PeerCredentials[] = [], result: number = ReceptionResult.accepted): AcceptSessionInit {
  return {
    nacl,
    id: ID,
    identity: b,
    serverKey: server.publicKey,
    authorize (peer) {
      credentials.push(peer)
      return result
    }
  }
}

/** What each side has come to: a link of sealed frames, or an error. Both links are ended. */
async function meet (ofA: ConnectSessionInit, ofB: AcceptSessionInit, change = (link: Link): Link => link, clock: Clock = systemClock): Promise<{ a: Link | Error, b: Link | Error }> {
  const [left, right] = memoryPair()
  const { signal } = new AbortController()
  const ended = (work: Promise<Link>): Promise<Link | Error> => work.catch((err: Error) => err)
  const [resultA, resultB] = await Promise.all([
    ended(inTime(clock, left, signal, () => connectSession(over(change(left), frames), ofA))),
    ended(inTime(clock, right, signal, async () => (await acceptSession(over(change(right), frames), ofB)).link))
  ])
  return { a: resultA, b: resultB }
}

t.test('golden bytes', async (t) => {
  const { sessionKey, controlling, controlled, forth, back, binding, seeds } = vectors
  const keys = sessionKeys({ key: bytes(sessionKey), controlling: bytes(controlling), controlled: bytes(controlled), identity: nacl.signKeys(bytes(seeds['Ed25519 of B'])).publicKey })
  t.same([keys.forth, keys.back, keys.binding].map((key) => Buffer.from(key).toString('hex')), [forth, back, binding])
  const [signedId, publicKey, introduced, accepted, refused] = vectors.frames.map(({ hex }: { hex: string }) => bytes(hex))
  const ofA = nacl.signKeys(bytes(seeds['Ed25519 of A']))
  const ofServer = nacl.signKeys(bytes(seeds['Ed25519 of the server']))
  const named = nacl.openSigned(peerMessage.decode(signedId).signed_id?.id as Uint8Array, nacl.signKeys(bytes(seeds['Ed25519 of B'])).publicKey)
  t.match(idPk.decode(named as Uint8Array), { id: ID, pk: bytes(controlled), tunpipe: 1 })
  const { asymmetric_value: x, symmetric_value: box, tunpipe } = peerMessage.decode(publicKey).public_key ?? {}
  t.same([Buffer.from(x as Uint8Array).toString('hex'), tunpipe], [controlling, 1])
  t.same(nacl.openBox(box as Uint8Array, x as Uint8Array, nacl.boxKeys(bytes(seeds['X25519 of B'])).secretKey), bytes(sessionKey))
  const { pk, certificate, proof } = introduction.decode(introduced)
  t.same(pk, ofA.publicKey)
  t.same(openCertificate(nacl, certificate, ofServer.publicKey), { id: '987654321', publicKey: Uint8Array.from(ofA.publicKey) })
  t.ok(isProof(nacl, proof, pk, keys.binding))
  t.same(Buffer.from(proof).toString('hex'), Buffer.from(proofOf(nacl, ofA, keys.binding)).toString('hex'))
  t.same([reception.decode(accepted).result, reception.decode(refused).result], [ReceptionResult.accepted, ReceptionResult.notAllowed])
})

t.test('both agree, and what they send is sealed', async (t) => {
  const credentials: PeerCredentials[] = []
  const seen: Batch[] = []
  const watched = (link: Link): Link => ({ ...link, source: link.source, sink: link.sink, abort: (err) => { link.abort(err) }, port: { queued: 0, limit: 1, send (batch) { seen.push(batch.map((part) => Buffer.from(part))); return link.port.send(batch) } } })
  const { a: ofA, b: ofB } = await meet(handshake, receive(credentials), watched)
  if (ofA instanceof Error || ofB instanceof Error) throw new Error('no session', { cause: [ofA, ofB] })
  t.match(credentials, [{ id: '987654321' }])
  t.same(credentials[0].publicKey, Uint8Array.from(a.pair.publicKey))
  const text = Buffer.from('the same text in both directions')
  ofA.port.send([text])
  ofB.port.send([text])
  for (const link of [ofA, ofB]) {
    const { value } = await link.source[Symbol.asyncIterator]().next()
    t.same(Buffer.concat(value as Batch), text)
  }
  const sealed = seen.slice(-2).map((batch) => Buffer.concat(batch))
  t.notOk(sealed.some((part) => part.includes(text)))
  t.not(sealed[0].toString('hex'), sealed[1].toString('hex'), 'two keys')
  ofA.abort(new LinkClosedError('the test is over'))
})

t.test('who is refused, and what each side is told', async (t) => {
  const other = newIdentity(nacl)
  const cases: Array<[name: string, ofA: Partial<ConnectSessionInit>, ofB: Partial<AcceptSessionInit>, a: RegExp, b: RegExp]> = [
    ['another key of B', { publicKey: other.pair.publicKey }, {}, /has not the key of 123456789/, /./],
    ['another id of B', { id: '111111111' }, {}, /has not the key of 111111111/, /./],
    ['not allowed', {}, receive([], ReceptionResult.notAllowed), /not on the list/, /987654321: it is not on the list/],
    ['too many', {}, receive([], ReceptionResult.tooMany), /too many others/, /too many others/]
  ]
  for (const [name, ofA, ofB, textOfA, textOfB] of cases) {
    const { a: resultA, b: resultB } = await meet({ ...handshake, ...ofA }, { ...receive(), ...ofB })
    t.match((resultA as Error).message, textOfA, name)
    t.match((resultB as Error).message, textOfB, name)
  }
})

t.test('certificates that count, and those that do not', async (t) => {
  const idOf = async (certificate: Uint8Array | undefined, serverKey: Uint8Array | undefined = server.publicKey): Promise<string | undefined> => {
    const credentials: PeerCredentials[] = []
    await meet({ ...handshake, certificate }, { ...receive(credentials), serverKey })
    t.same(credentials[0].publicKey, Uint8Array.from(a.pair.publicKey))
    return credentials[0].id
  }
  t.equal(await idOf(certificate), '987654321')
  t.equal(await idOf(undefined), undefined)
  t.equal(await idOf(certificate.subarray(1)), undefined)
  t.equal(await idOf(nacl.sign(idPk.encode({ id: '987654321', pk: b.pair.publicKey }), server.secretKey)), undefined, 'of another key')
  t.equal(await idOf(nacl.sign(idPk.encode({ id: '987654321', pk: a.pair.publicKey }), a.pair.secretKey)), undefined, 'signed by itself')
  t.equal(await idOf(nacl.sign(Buffer.from('no message'), server.secretKey)), undefined, 'signed, and of another form')
})

t.test('a client that shows its screen, on either side', async (t) => {
  const [left, right] = memoryPair()
  const client = over(left, frames)
  const { publicKey, secretKey } = nacl.boxKeys()
  const receiving = acceptSession(over(right, frames), receive()).catch((err: Error) => err)
  const { value } = await client.source[Symbol.asyncIterator]().next()
  const offered = idPk.decode((peerMessage.decode((value as Batch)[0]).signed_id?.id as Uint8Array).subarray(64))
  client.port.send([peerMessage.encode({ public_key: { asymmetric_value: publicKey, symmetric_value: nacl.box(new Uint8Array(32), offered.pk, secretKey) } })])
  t.match(await receiving, { reason: 'not-tunpipe', message: 'a RustDesk client: this peer shows no screen' })

  for (const [answer, reason] of [[new Uint8Array(0), 'untrusted'], [Buffer.from('2200', 'hex'), 'untrusted']] as const) {
    const [left, right] = memoryPair()
    const receiving = acceptSession(over(right, frames), receive()).catch((err: Error) => err)
    over(left, frames).port.send([answer])
    t.match(await receiving, { reason })
  }

  const [one, two] = memoryPair()
  over(two, frames).port.send([peerMessage.encode({ signed_id: { id: nacl.sign(idPk.encode({ id: ID, pk: publicKey }), b.pair.secretKey) } })])
  t.match(await connectSession(over(one, frames), handshake).catch((err: Error) => err), { reason: 'not-tunpipe', message: /123456789 is a RustDesk client/ })
})

/** A link whose bytes are cut, and changed, on their way. */
const changed = (link: Link, change: (bytes: Uint8Array) => Uint8Array[]): Link => ({
  source: (async function * () { for await (const batch of link.source) for (const part of batch) yield change(part) })(),
  sink: link.sink,
  port: link.port,
  abort: (err) => { link.abort(err) }
})

t.test('bytes one by one, and in all sizes of reads', async () => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 300 }), async (size) => {
    const cut = (bytes: Uint8Array): Uint8Array[] => Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
    const { a, b } = await meet(handshake, receive(), (link) => changed(link, cut))
    if (a instanceof Error || b instanceof Error) throw new Error('no session', { cause: [a, b] })
    a.abort(new LinkClosedError('done'))
  }), { numRuns: 20, examples: [[1]] })
})

t.test('whatever is changed on the way, nobody takes another one for the peer', async (t) => {
  const known = new Set<unknown>(['ERR_RUSTDESK_CONNECT', 'ERR_LINK_CLOSED', 'ERR_PROTOBUF', 'ERR_FRAME_SIZE', 'ERR_TRUNCATED', 'ERR_SECRETBOX_SHORT', 'ERR_SECRETBOX_FORGED'])
  let sessions = 0
  await fc.assert(fc.asyncProperty(fc.nat(360), fc.integer({ min: 1, max: 255 }), fc.boolean(), fc.boolean(), async (at, mask, isOfB, isCut) => {
    const clock = new VirtualClock()
    let seen = 0
    const strike = (bytes: Uint8Array): Uint8Array[] => {
      const copy = Uint8Array.from(bytes)
      const here = at - seen
      seen += bytes.length
      if (here < 0 || here >= bytes.length) return [copy]
      if (isCut) return [copy.subarray(0, here)]
      copy[here] ^= mask
      return [copy]
    }
    let side = 0
    const credentials: PeerCredentials[] = []
    const hit = (link: Link): Link => (side++ === 0) === isOfB ? changed(link, strike) : link
    const { a: ofA, b: ofB } = await clock.until(meet(handshake, receive(credentials), hit, clock))
    for (const result of [ofA, ofB]) {
      if (!(result instanceof Error)) result.abort(new LinkClosedError('done'))
      else if (!known.has((result as { code?: unknown }).code)) throw result
    }
    if (credentials.some(({ publicKey }) => Buffer.compare(publicKey, a.pair.publicKey) !== 0)) throw new Error('another one was let in')
    if (!(ofA instanceof Error) && !(ofB instanceof Error)) sessions++
  }), { numRuns: sample('handshakes that are changed', { short: 300, long: 10_000 }) })
  t.comment(`${sessions} sessions, where what was changed does not count`)
})

t.test('a peer cannot pass on who connects to it to another peer', async (t) => {
  const c = newIdentity(nacl)
  const credentials: PeerCredentials[] = []
  const [ofA, toA] = memoryPair()
  const [ofC, toC] = memoryPair()
  const [left, right] = [over(toA, frames), over(toC, frames)]
  const connecting = connectSession(over(ofA, frames), handshake).catch((err: Error) => err)
  const receiving = acceptSession(over(ofC, frames), { ...receive(credentials), id: '555555555', identity: c }).catch((err: Error) => err)
  const { value } = await right.source[Symbol.asyncIterator]().next()
  const { pk } = idPk.decode((peerMessage.decode((value as Batch)[0]).signed_id?.id as Uint8Array).subarray(64))
  left.port.send([peerMessage.encode({ signed_id: { id: nacl.sign(idPk.encode({ id: ID, pk, tunpipe: 1 }), b.pair.secretKey) } })]) // B says as its own what C has said
  right.sink(left.source).catch(() => {})
  t.match(await receiving, { code: 'ERR_SECRETBOX_FORGED' })
  t.same(credentials, [])
  ofA.abort(new LinkClosedError('the test is over'))
  t.type(await connecting, Error)
})

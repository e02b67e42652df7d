/** How two peers agree on a session, on a connection of any kind (RustDesk protocol, sections 1.5 and 11.1). */
import { randomBytes } from 'node:crypto'
import { openCertificate } from './certificate.ts'
import { ConnectError } from './errors.ts'
import { FrameReader } from './frame-reader.ts'
import type { PeerIdentity } from './identity.ts'
import { isProof, proofOf, sessionKeys, SESSION_VERSION } from './session-keys.ts'
import { ReceptionResult } from '../protocol/enums.ts'
import { idPk, introduction, peerMessage, reception } from '../protocol/messages.ts'
import { keyText } from '../keys/key-text.ts'
import { BOX_TAG_BYTES, NACL_KEY_BYTES, SIGNATURE_BYTES, type Nacl } from '../../../crypto/nacl/index.ts'
import { LinkClosedError } from '../../../errors.ts'
import { over } from '../../../layer.ts'
import { secretbox } from '../../../transforms/secretbox/index.ts'
import type { Link } from '../../../types.ts'

/** Frames without a payload pass in the clear: signs of life. */
const CLEAR = 0

const NOTHING = new Uint8Array(0)

const REFUSALS: Readonly<Record<number, string>> = {
  [ReceptionResult.notAllowed]: 'it is not on the list of those that may',
  [ReceptionResult.notProven]: 'its key is not proven',
  [ReceptionResult.tooMany]: 'too many others are connected'
}

/** Who comes in. */
export interface PeerCredentials {
  /** Ed25519, proven. */
  readonly publicKey: Uint8Array
  /** As the server has certified it; undefined: it has shown no certificate. */
  readonly id: string | undefined
}

export interface AcceptSessionInit {
  nacl: Nacl
  /** Of this peer. */
  id: string
  identity: PeerIdentity
  /** What the server signs with; undefined: it signs nothing, so nobody is known by an id. */
  serverKey: Uint8Array | undefined
  /** The answer, one of `ReceptionResult`. */
  authorize (peer: PeerCredentials): number
}

/** A link of sealed frames to another peer. */
export interface AcceptedSession {
  link: Link
  peer: PeerCredentials
}

/**
 * The side of the controlled peer.
 *
 * @param frames a link of frames, of which nothing was read
 * @throws {ConnectError} `not-tunpipe`, `refused`; an error of the link. The link is not aborted
 */
export async function acceptSession (frames: Link, { nacl, id, identity, serverKey, authorize }: AcceptSessionInit): Promise<AcceptedSession> {
  const own = nacl.boxKeys()
  const named = idPk.encode({ id, pk: own.publicKey, tunpipe: SESSION_VERSION })
  sendFrame(frames, peerMessage.encode({ signed_id: { id: nacl.sign(named, identity.pair.secretKey) } }))
  const reader = new FrameReader(frames)
  const { public_key: answer } = peerMessage.decode(await reader.next())
  const [controlling, box, version] = [answer?.asymmetric_value ?? NOTHING, answer?.symmetric_value ?? NOTHING, answer?.tunpipe ?? 0]
  if (controlling.length === 0) throw new ConnectError('untrusted', 'the other peer does not trust the key of this one')
  if (version !== SESSION_VERSION) throw new ConnectError('not-tunpipe', version === 0 ? 'a RustDesk client: this peer shows no screen' : `the other peer has version ${version} of sessions, this one ${SESSION_VERSION}`)
  const key = openKey(nacl, box, controlling, own.secretKey)
  if (key === undefined) throw new ConnectError('untrusted', 'the session key is not for this peer')
  const keys = sessionKeys({ key, controlling, controlled: own.publicKey, identity: identity.pair.publicKey })
  const sealed = new FrameReader(over(reader.rest(), secretbox({ nacl, keys: { send: keys.back, receive: keys.forth }, clear: CLEAR })))
  const { pk, certificate, proof } = introduction.decode(await sealed.next())
  const isProven = isProof(nacl, proof, pk, keys.binding)
  const certified = serverKey === undefined ? undefined : openCertificate(nacl, certificate, serverKey)
  const isOwn = certified !== undefined && Buffer.compare(certified.publicKey, pk) === 0
  const peer: PeerCredentials = { publicKey: Uint8Array.from(pk), id: isOwn ? certified.id : undefined }
  const result = isProven ? authorize(peer) : ReceptionResult.notProven
  const link = sealed.rest()
  sendFrame(link, reception.encode({ result }))
  if (result === ReceptionResult.accepted) return { link, peer }
  await sealed.next().catch(() => {}) // until the other peer has read that, and leaves: an abort could overtake it
  throw new ConnectError('refused', `${nameOf(peer)}: ${REFUSALS[result] ?? 'refused'}`)
}

export interface ConnectSessionInit {
  nacl: Nacl
  /** Of the peer that is wanted. */
  id: string
  /** Its key, as the server has certified it. */
  publicKey: Uint8Array
  identity: PeerIdentity
  /** What the server has signed of this peer; undefined: it has no id. */
  certificate: Uint8Array | undefined
}

/**
 * The side of the controlling peer.
 *
 * @param frames a link of frames, of which nothing was read
 * @returns a link of sealed frames
 * @throws {ConnectError} `untrusted`, `not-tunpipe`, `refused`; an error of the link. The link is not aborted
 */
export async function connectSession (frames: Link, { nacl, id, publicKey, identity, certificate = NOTHING }: ConnectSessionInit): Promise<Link> {
  const reader = new FrameReader(frames)
  const { signed_id: offered } = peerMessage.decode(await reader.next())
  const named = offered == null ? undefined : openSignedId(nacl, offered.id ?? NOTHING, publicKey)
  if (named === undefined || named.id !== id) throw new ConnectError('untrusted', `who has answered has not the key of ${id}`)
  if (named.tunpipe !== SESSION_VERSION) throw new ConnectError('not-tunpipe', named.tunpipe === 0 ? `${id} is a RustDesk client: it shows a screen, which this peer does not` : `${id} has version ${named.tunpipe} of sessions, this peer ${SESSION_VERSION}`)
  const own = nacl.boxKeys()
  const key = randomBytes(NACL_KEY_BYTES)
  sendFrame(frames, peerMessage.encode({ public_key: { asymmetric_value: own.publicKey, symmetric_value: nacl.box(key, named.pk, own.secretKey), tunpipe: SESSION_VERSION } }))
  const keys = sessionKeys({ key, controlling: own.publicKey, controlled: named.pk, identity: publicKey })
  const sealed = over(reader.rest(), secretbox({ nacl, keys: { send: keys.forth, receive: keys.back }, clear: CLEAR }))
  sendFrame(sealed, introduction.encode({ pk: identity.pair.publicKey, certificate, proof: proofOf(nacl, identity.pair, keys.binding) }))
  const answers = new FrameReader(sealed)
  const { result } = reception.decode(await answers.next())
  if (result !== ReceptionResult.accepted) throw new ConnectError('refused', `${id} does not let this peer in: ${REFUSALS[result] ?? `answer ${result}`}`)
  return answers.rest()
}

function sendFrame (link: Link, frame: Uint8Array): void {
  if (link.port.send([frame]) === 0) throw new LinkClosedError('the connection takes nothing')
}

/** For messages and logs. */
const nameOf = ({ id, publicKey }: PeerCredentials): string => id ?? `the key ${keyText(publicKey)}`

/** The name and the key of a session, signed by the peer that has it. */
function openSignedId (nacl: Nacl, signed: Uint8Array, publicKey: Uint8Array): { id: string, pk: Uint8Array, tunpipe: number } | undefined {
  if (signed.length <= SIGNATURE_BYTES) return undefined
  const message = nacl.openSigned(signed, publicKey)
  if (message === undefined) return undefined
  const { id, pk, tunpipe } = idPk.decode(message)
  return pk.length === NACL_KEY_BYTES ? { id, pk: Uint8Array.from(pk), tunpipe } : undefined
}

/** The session key in a box; undefined when it is not for this peer. */
function openKey (nacl: Nacl, box: Uint8Array, publicKey: Uint8Array, secretKey: Uint8Array): Uint8Array | undefined {
  if (publicKey.length !== NACL_KEY_BYTES || box.length !== BOX_TAG_BYTES + NACL_KEY_BYTES) return undefined
  return nacl.openBox(box, publicKey, secretKey)
}

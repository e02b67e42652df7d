/** What the signature of each message covers (SHOW CHAIN protocol, sections 2.1, 2.4 and 7.2). */
import { hash } from 'node:crypto'
import { bytesOf, CoveredValues, uintOf } from '../../../transforms/signed/covered-values.ts'
import type { PssKey } from '../../../transforms/signed/pss.ts'
import type { Identity } from './identity.ts'
import type { ShowchainMessage } from './messages.ts'
import { Op } from './op.ts'

const PREFIX = 'SHOWCHAIN/1'
const OP_BYTES = 2
const NUMBER_BYTES = 8

const opCode = uintOf<ShowchainMessage>(OP_BYTES, (message) => SIGNED_AS.get(message.op) ?? message.op)
const id = bytesOf<ShowchainMessage>((message) => message.id)
const target = bytesOf<ShowchainMessage>((message) => message.target)
const session = bytesOf<ShowchainMessage>((message) => message.session)
const seq = uintOf<ShowchainMessage>(NUMBER_BYTES, (message) => message.seq)
const ts = uintOf<ShowchainMessage>(NUMBER_BYTES, (message) => message.ts)
const dataHash = bytesOf<ShowchainMessage>((message) => message.dataHash)
const ephemeral = bytesOf<ShowchainMessage>((message) => message.ephemeral)

/** Messages that are passed on with the signature of another one. */
const SIGNED_AS: ReadonlyMap<number, number> = new Map([[Op.passRequest, Op.natRequest], [Op.passResponseAck, Op.responseAck]])

const request = [opCode, target, seq, ts]
const ack = [opCode, session, seq, ts]

/** The values by op code. */
export const covered = new CoveredValues<ShowchainMessage>(PREFIX, {
  [Op.directRequest]: request,
  [Op.directResponse]: [opCode, id, seq, ts],
  [Op.natRequest]: request,
  [Op.passRequest]: request,
  [Op.response]: [opCode, target, id, seq, ts],
  [Op.responseAck]: ack,
  [Op.passResponseAck]: ack,
  [Op.proxyRequest]: [...request, ephemeral],
  [Op.proxyResponse]: [opCode, target, session, seq, ts, ephemeral],
  [Op.dataRequest]: [opCode, target, session, seq, ts, dataHash]
}, ({ op, id }) => op === Op.directResponse && id === undefined ? 'challenge' : op)

/**
 * The bytes that are signed.
 *
 * @throws {TypeError} for a message that has no signature
 */
export function signedBytes (message: ShowchainMessage): Uint8Array {
  const bytes = covered.of(message)
  if (bytes === undefined) throw new TypeError(`0x${message.op.toString(16)} is not signed`)
  return bytes
}

/** The message with its signature, and with the key where its kind carries one. */
export function signMessage (message: ShowchainMessage, identity: Identity): ShowchainMessage {
  return { ...message, sign: identity.sign(signedBytes(message)), key: message.op === Op.dataRequest ? undefined : identity.der }
}

/** Whether the signature of a message is that of a key. */
export const verifyMessage = (message: ShowchainMessage, key: PssKey): boolean => message.sign !== undefined && key.verify(signedBytes(message), message.sign)

/** SHA-256 of data, for `dataHash`. */
export const hashOf = (data: Uint8Array): Uint8Array => hash('sha256', data, 'buffer')

/** Whether the data of a message has the hash that it carries, if it carries one. */
export const isDataIntact = ({ data, dataHash }: ShowchainMessage): boolean =>
  data !== undefined && (dataHash === undefined || hash('sha256', data, 'buffer').equals(dataHash))

/** What both ends sign of a handshake. */
export interface HandshakeValues {
  /** Id of R. */
  readonly requester: Uint8Array
  /** Id of T. */
  readonly target: Uint8Array
  /** 8 bytes. */
  readonly handshake: Uint8Array
  /** Of the signer. */
  readonly index: number
  /** Of the signer, 32 bytes. */
  readonly ephemeral: Uint8Array
}

/** An offer is signed with its time, in milliseconds since 1970, an answer with SHA-256 of the offer. */
export interface OfferValues extends HandshakeValues { readonly ts: number }
export interface AnswerValues extends HandshakeValues { readonly offerHash: Uint8Array }

const INDEX_BYTES = 4

const handshakeValues = [
  bytesOf<HandshakeValues>((values) => values.requester), bytesOf<HandshakeValues>((values) => values.target), bytesOf<HandshakeValues>((values) => values.handshake),
  uintOf<HandshakeValues>(INDEX_BYTES, (values) => values.index), bytesOf<HandshakeValues>((values) => values.ephemeral)
]
const offer = new CoveredValues<OfferValues>(`${PREFIX} offer`, { offer: [...handshakeValues, uintOf<OfferValues>(NUMBER_BYTES, (values) => values.ts)] }, () => 'offer')
const answer = new CoveredValues<AnswerValues>(`${PREFIX} answer`, { answer: [...handshakeValues, bytesOf<AnswerValues>((values) => values.offerHash)] }, () => 'answer')

/** The bytes that R signs in an offer, and T in an answer (section 7.2). */
export const offerBytes = (values: OfferValues): Uint8Array => offer.of(values) as Uint8Array
export const answerBytes = (values: AnswerValues): Uint8Array => answer.of(values) as Uint8Array

/** Messages of RustDesk, by the static code that is generated from `proto/rustdesk.proto` (RustDesk protocol, section 2). */
import protobufjs from 'protobufjs/minimal.js'
import { rustdesk } from './generated/rustdesk.js'
import { schemas } from './generated/schema.js'
import { stack } from '../../../layer.ts'
import { decodeProtobuf, protobuf, ProtobufEncoder, type ProtobufInit } from '../../../transforms/protobuf/layer.ts'
import { next, ProtobufError, readTag, skipValue } from '../../../transforms/protobuf/wire.ts'
import { rustdeskLength } from '../../../transforms/length-codecs.ts'
import { lengthPrefix } from '../../../transforms/length-prefix.ts'

/** Maximum bytes of a message, and of a frame before two ends are paired: the longest is a question for thousands of peers. */
export const MAX_MESSAGE = 65536

/** A message to send, with one member; fields that are missing have their default. */
export type RendezvousInit = rustdesk.RendezvousMessage.$Properties

/**
 * A message that was received. In `request_relay` and `relay_response`, fields that are unknown here stay, and are written again when the
 * member is changed in place and encoded; a copy by spread loses them.
 */
export type RendezvousMessage = rustdesk.RendezvousMessage

/** The kind of a message, by which handlers are found: the name of its member. */
export type MemberName = NonNullable<RendezvousMessage['union']>

/** Messages by the name of the member; a member that was decoded has all of its fields. */
export interface Members {
  register_peer: rustdesk.RegisterPeer
  register_peer_response: rustdesk.RegisterPeerResponse
  punch_hole_request: rustdesk.PunchHoleRequest
  punch_hole: rustdesk.PunchHole
  punch_hole_sent: rustdesk.PunchHoleSent
  punch_hole_response: rustdesk.PunchHoleResponse
  fetch_local_addr: rustdesk.FetchLocalAddr
  local_addr: rustdesk.LocalAddr
  configure_update: rustdesk.ConfigUpdate
  register_pk: rustdesk.RegisterPk
  register_pk_response: rustdesk.RegisterPkResponse
  software_update: rustdesk.SoftwareUpdate
  request_relay: rustdesk.RequestRelay
  relay_response: rustdesk.RelayResponse
  test_nat_request: rustdesk.TestNatRequest
  test_nat_response: rustdesk.TestNatResponse
  peer_discovery: rustdesk.PeerDiscovery
  online_request: rustdesk.OnlineRequest
  online_response: rustdesk.OnlineResponse
  key_exchange: rustdesk.KeyExchange
  hc: rustdesk.HealthCheck
  http_proxy_request: rustdesk.HttpProxyRequest
  http_proxy_response: rustdesk.HttpProxyResponse
}

/** Both directions of one kind of message. */
export interface MessageCodec<Out extends object, In extends Out> {
  /** @throws {FrameSizeError} when it is longer than {@link MAX_MESSAGE} */
  encode (message: Out): Uint8Array
  /**
   * Fields of bytes are views of `bytes`.
   *
   * @throws {ProtobufError} when it is malformed, at any depth
   * @throws {FrameSizeError} when it is longer than {@link MAX_MESSAGE}
   */
  decode (bytes: Uint8Array): In
}

function codecOf<Out extends object, In extends Out> (init: ProtobufInit<Out, In>): MessageCodec<Out, In> {
  const encoder = new ProtobufEncoder(init)
  return {
    encode: (message) => encoder.push([message])[0],
    decode: (bytes) => decodeProtobuf(init, bytes)
  }
}

/** Members that a server changes and passes on, to clients that may be newer than it. */
const REQUEST_RELAY = 18
const RELAY_RESPONSE = 19

/** Maximum fields beside each other in a message, which has one member: decoding replaces it by each further one, and that is not cheap. */
const MAX_MEMBERS = 16

/** Whether unknown fields are to be kept. The message was checked. */
function isPassedOn (bytes: Uint8Array): boolean {
  let isOne = false
  for (let at = 0, count = 1; at < bytes.length; at = next, count++) {
    if (count > MAX_MEMBERS) throw new ProtobufError(`more than ${MAX_MEMBERS} members`)
    const tag = readTag(bytes, at, bytes.length)
    const number = tag >>> 3
    isOne ||= number === REQUEST_RELAY || number === RELAY_RESPONSE
    skipValue(bytes, next, bytes.length, tag)
  }
  return isOne
}

const rendezvousInit: ProtobufInit<RendezvousInit, RendezvousMessage> = {
  type: {
    encode: (message, writer) => rustdesk.RendezvousMessage.encode(message, writer),
    decode: (bytes) => {
      const reader = protobufjs.Reader.create(bytes)
      reader.discardUnknown = !isPassedOn(bytes)
      return rustdesk.RendezvousMessage.decode(reader)
    }
  },
  schema: schemas.RendezvousMessage,
  maxBytes: MAX_MESSAGE
}

/** One message of the rendezvous server, of the relay or of one of their clients: a datagram, or what is in a frame. */
export const rendezvous = codecOf(rendezvousInit)

/** An id with its key, as it is signed (RustDesk protocol, sections 1.5 and 4.7). */
export const idPk = codecOf<rustdesk.IdPk.$Properties, rustdesk.IdPk>({ type: rustdesk.IdPk, schema: schemas.IdPk, maxBytes: MAX_MESSAGE })

/** What two peers say to each other before their session (RustDesk protocol, section 1.5). */
export const peerMessage = codecOf<rustdesk.Message.$Properties, rustdesk.Message>({ type: rustdesk.Message, schema: schemas.Message, maxBytes: MAX_MESSAGE })

/** tunpipe's own: who a controlling peer is (RustDesk protocol, section 11). */
export const introduction = codecOf<rustdesk.Introduction.$Properties, rustdesk.Introduction>({ type: rustdesk.Introduction, schema: schemas.Introduction, maxBytes: MAX_MESSAGE })

/** tunpipe's own: whether it may come in. */
export const reception = codecOf<rustdesk.Reception.$Properties, rustdesk.Reception>({ type: rustdesk.Reception, schema: schemas.Reception, maxBytes: MAX_MESSAGE })

export const frameLimit = { maxFrame: MAX_MESSAGE }

/** Layer: frames of TCP, of at most {@link MAX_MESSAGE} bytes (RustDesk protocol, section 1.2). */
export const frames = lengthPrefix(rustdeskLength, frameLimit)

/** Layer: payloads of frames or messages of WebSocket below, messages above. */
export const rendezvousMessages = protobuf(rendezvousInit)

/** Layer: bytes of TCP below, messages above. */
export const framedMessages = stack(frames, rendezvousMessages)

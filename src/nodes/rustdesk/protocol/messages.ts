/** Messages of RustDesk, by the static code that is generated from `proto/rustdesk.proto` (RustDesk protocol, section 2). */
import protobufjs from 'protobufjs/minimal.js'
import { rustdesk } from './generated/rustdesk.js'
import { schemas } from './generated/schema.js'
import { stack } from '../../../layer.ts'
import { protobuf, ProtobufDecoder, ProtobufEncoder, type ProtobufInit } from '../../../transforms/protobuf/index.ts'
import { rustdeskLength } from '../../../transforms/length-codecs.ts'
import { lengthPrefix } from '../../../transforms/length-prefix.ts'

/** Maximum bytes of a message, and of a frame before two ends are paired: the longest is a question for thousands of peers. */
export const MAX_MESSAGE = 65536

/** A message to send, with one member; fields that are missing have their default. */
export type RendezvousInit = rustdesk.RendezvousMessage.$Properties

/**
 * A message that was received. Fields that are unknown here stay in it, in `$unknowns` of the message that has them, and are written
 * again when it is changed in place and encoded; a copy by spread loses them.
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

/** Static code whose decoder keeps unknown fields: a server passes messages on to clients that are newer than it. */
function keepingUnknown<Out extends object, In extends Out> (type: ProtobufInit<Out, In>['type'] & { decode (reader: protobufjs.Reader): In }): ProtobufInit<Out, In>['type'] {
  return {
    encode: (message, writer) => type.encode(message, writer),
    decode: (bytes) => {
      const reader = protobufjs.Reader.create(bytes)
      reader.discardUnknown = false
      return type.decode(reader)
    }
  }
}

function codecOf<Out extends object, In extends Out> (init: ProtobufInit<Out, In>): MessageCodec<Out, In> {
  const encoder = new ProtobufEncoder(init)
  return {
    encode: (message) => encoder.push([message])[0],
    decode: (bytes) => {
      const decoder = new ProtobufDecoder<In>(init) // one failure is its last
      const [message] = decoder.push([bytes])
      decoder.end()
      return message
    }
  }
}

const rendezvousInit = { type: keepingUnknown(rustdesk.RendezvousMessage), schema: schemas.RendezvousMessage, maxBytes: MAX_MESSAGE }

/** One message of the rendezvous server, of the relay or of one of their clients: a datagram, or what is in a frame. */
export const rendezvous = codecOf<RendezvousInit, RendezvousMessage>(rendezvousInit)

/** An id with its key, as it is signed (RustDesk protocol, sections 1.5 and 4.7). */
export const idPk = codecOf<rustdesk.IdPk.$Properties, rustdesk.IdPk>({ type: rustdesk.IdPk, schema: schemas.IdPk, maxBytes: MAX_MESSAGE })

/** What two peers say to each other before their session (RustDesk protocol, section 1.5). */
export const peerMessage = codecOf<rustdesk.Message.$Properties, rustdesk.Message>({ type: rustdesk.Message, schema: schemas.Message, maxBytes: MAX_MESSAGE })

/** Layer: frames of TCP, of at most {@link MAX_MESSAGE} bytes (RustDesk protocol, section 1.2). */
export const frames = lengthPrefix(rustdeskLength, { maxFrame: MAX_MESSAGE })

/** Layer: payloads of frames or messages of WebSocket below, messages above. */
export const rendezvousMessages = protobuf<RendezvousInit, RendezvousMessage>(rendezvousInit)

/** Layer: bytes of TCP below, messages above. */
export const framedMessages = stack(frames, rendezvousMessages)

/** Messages of natpass, by the static code that is generated from `proto/natpass.proto` (natpass protocol, section 1.5). */
import { natpass } from './generated/natpass.js'
import { schemas } from './generated/schema.js'
import { frameOfPayload, MAX_PAYLOAD } from './frames.ts'
import { MessageType, SERVER } from './message-types.ts'
import { FrameSizeError } from '../../../transforms/length-codecs.ts'
import { ProtobufError } from '../../../transforms/protobuf/wire.ts'

/** Text and messages in a message. */
export const msgSchema = schemas.msg

/** A message to send; fields that are missing have their default. */
export type MessageInit = natpass.msg.$Properties

/** A message that was received. */
export type Message = natpass.msg

/** Static code of a message, for `protobuf`. */
export const messageType = natpass.msg

/**
 * The frame of a message, with its length.
 *
 * @throws {FrameSizeError} when the message is too long
 */
export function frameOf (message: MessageInit): Buffer {
  const payload = natpass.msg.encode(message).finish()
  if (payload.length > MAX_PAYLOAD) throw new FrameSizeError(`message of ${payload.length} bytes, limit ${MAX_PAYLOAD}`)
  return frameOfPayload(payload)
}

/**
 * Decodes a message that was checked by its schema.
 *
 * @throws {ProtobufError} when a known field has another wire type
 */
export function decodeMessage (payload: Uint8Array): Message {
  try {
    return natpass.msg.decode(payload)
  } catch (cause) {
    throw new ProtobufError('not a message of natpass', { cause })
  }
}

/** A message without its addresses, as links of desktops and of code-server carry it: type and payload. */
export function bodyOf ({ from, to, link_id: _id, ...body }: MessageInit): Uint8Array { return natpass.msg.encode(body).finish() }

/**
 * The message of a body that `bodyOf` has written.
 *
 * @throws {ProtobufError} when it is none
 */
export const messageOfBody = (body: Uint8Array): MessageInit => decodeMessage(body)

/** Keeps a connection (section 3). */
export const keepalive = (to: string): Buffer => frameOf({ _type: MessageType.keepalive, from: SERVER, to })

/** The relay ends a link (section 3). */
export const disconnect = (to: string, link: string): Buffer => frameOf({ _type: MessageType.disconnect, from: SERVER, to, link_id: link })

/** The relay refuses a link (section 3). @param text - for people */
export const refusal = (to: string, link: string, text: string): Buffer =>
  frameOf({ _type: MessageType.connectRep, from: SERVER, to, link_id: link, crep: { ok: false, msg: text } })

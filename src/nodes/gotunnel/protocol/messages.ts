/**
 * The messages of gotunnel (gotunnel protocol, section 2): the fields of each, and the lenient rules by which the original reads them.
 * Names are those of the wire. Strict mode adds some (section 12).
 */
import { z } from 'zod'
import { parseJson } from '../../../transforms/json.ts'

/** Bytes of a frame before its sender has authenticated, and after. */
export const MAX_FIRST_FRAME = 4096
export const MAX_FRAME = 64 * 1024

/** Bytes of the longest control message that is parsed; those of the protocol have a few hundred. Longer ones are skipped, as unknown ones. */
export const MAX_MESSAGE = 4096

/** Version of the tunpipe extension: strict mode. Programs that do not know the key ignore it. */
export const STRICT = 1

const integer = z.int()
const text = z.string()
/** Keys of the tunpipe extension: the version of strict mode, and whether the opening of each user is acknowledged. */
const ours = { tunpipe: integer.optional(), acknowledge: integer.optional() }
const id = text.max(64).optional()

/** The six keys of a first frame and of `open_data_channel`, in the order of the wire. */
const request = {
  type: text,
  local_port: integer,
  remote_port: integer,
  protocol: text,
  token: text,
  name: text
}

/** Opens a control connection; any type but `data_channel`. Strict mode: `addresses` asks for the addresses of users. */
export const register = z.object({ ...request, ...ours, addresses: integer.optional() })

/** Opens a data connection. Strict mode: `id` is that of the `open_data_channel`, and replaces token and name. */
const dataChannel = z.object({ ...request, id })

/** Asks a client for a data connection. Strict mode: with an id. */
export const openDataChannel = z.object({ ...request, id })

/** Strict mode, ahead of the bytes of each user on a data connection: addresses of both ends, if the client asked for them. */
export const streamHeader = z.object({ source: text.max(64).optional(), destination: text.max(64).optional() })

/** Answers a first frame. `reason` is absent when there is none. */
const registerResp = z.object({ type: text, status: text, reason: text.optional(), ...ours })

/** From the client; the server answers `pong` with its own time. Unix seconds. */
export const ping = z.object({ type: text, time: integer })

/** From the client: `offline_port` and `online_port`. */
const portState = z.object({ type: text, port: integer })

/** From the client, strict mode: there will be no data connection for this id. */
export const dataChannelFailed = z.object({ type: text, id: text.max(64), reason: text.max(256) })

/** From the server, strict mode: why it is about to end the control connection. */
export const unregistered = z.object({ type: text, reason: text })

export type Register = z.output<typeof register>
export type DataChannel = z.output<typeof dataChannel>
export type OpenDataChannel = z.output<typeof openDataChannel>
export type StreamHeader = z.output<typeof streamHeader>
export type RegisterResp = z.output<typeof registerResp>
export type Ping = z.output<typeof ping>
export type PortState = z.output<typeof portState>
export type DataChannelFailed = z.output<typeof dataChannelFailed>
export type Unregistered = z.output<typeof unregistered>

/** Messages of a registered control connection, by type. */
const toServer = { ping, offline_port: portState, online_port: portState, data_channel_failed: dataChannelFailed }
const toClient = { pong: ping, open_data_channel: openDataChannel, unregistered }

export type ToServer =
  | (Ping & { type: 'ping' })
  | (PortState & { type: 'offline_port' | 'online_port' })
  | (DataChannelFailed & { type: 'data_channel_failed' })

export type ToClient =
  | (Ping & { type: 'pong' })
  | (OpenDataChannel & { type: 'open_data_channel' })
  | (Unregistered & { type: 'unregistered' })

/** What is sent on a control connection, in either direction. */
export type Message = Register | OpenDataChannel | RegisterResp | Ping | PortState | DataChannelFailed | Unregistered

/**
 * Reads an object as the original does: names are case-insensitive, unknown ones are ignored, the last of several wins. A field that is
 * missing or of another type is 0 or empty; one of the tunpipe extension is absent.
 *
 * @returns `faults`, the number of values of another type
 */
function lenient<S extends z.ZodRawShape> (schema: z.ZodObject<S>, value: unknown): { message: z.output<z.ZodObject<S>>, faults: number } {
  const message: Record<string, unknown> = {}
  let faults = isObject(value) ? 0 : 1
  for (const [key, field] of Object.entries<z.ZodType>(schema.shape as any)) message[key] = zeroOf(field)
  if (isObject(value)) {
    for (const [given, part] of Object.entries(value)) {
      const name = given.toLowerCase()
      const field = Object.hasOwn(message, name) ? schema.shape[name] as unknown as z.ZodType : undefined
      if (field === undefined || part === null) continue // null leaves the field unchanged
      const { success, data } = field.safeParse(part)
      if (success) message[name] = data
      else faults++
    }
  }
  return { message: message as z.output<z.ZodObject<S>>, faults }
}

function zeroOf (field: z.ZodType): 0 | '' | undefined {
  if (field === integer) return 0
  return field instanceof z.ZodOptional ? undefined : ''
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The first frame of a connection to a server. Invalid values count as zero. */
export function readFirst (frame: Uint8Array): Register | (DataChannel & { type: 'data_channel' }) {
  const value = parseJson(frame)
  const { message } = lenient(register, value)
  return message.type === 'data_channel' ? lenient(dataChannel, value).message as DataChannel & { type: 'data_channel' } : message
}

/** The header ahead of the bytes of a user. */
export const readStreamHeader = (bytes: Uint8Array): StreamHeader => lenient(streamHeader, parseJson(bytes)).message

/** The first frame of an answer: every status but `ok` is a rejection. */
export const readAnswer = (frame: Uint8Array): RegisterResp => lenient(registerResp, parseJson(frame)).message

/** Reads one of these types with all values of the right type; undefined for anything else, which the original server skips as well. */
function readOneOf<M> (schemas: Record<string, z.ZodObject>): (value: unknown) => M | undefined {
  return (value) => {
    const { type } = lenient(typed, value).message
    if (!Object.hasOwn(schemas, type)) return undefined
    const { message, faults } = lenient(schemas[type], value)
    return faults === 0 ? message as M : undefined
  }
}

const typed = z.object({ type: text })

export const readToServer = readOneOf<ToServer>(toServer)
export const readToClient = readOneOf<ToClient>(toClient)

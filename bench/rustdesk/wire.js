/** Messages of RustDesk as the loads send and read them. */
import { createHash } from 'node:crypto'
import { rendezvous } from '../../dist/src/nodes/rustdesk/protocol/messages.js'
import { rustdeskLength } from '../../dist/src/transforms/length-codecs.js'

const { lengthEncoder } = rustdeskLength()
/** Of a real client. */
export const VERSION = '1.4.9'
export const ASYMMETRIC = 1

export const encode = (message) => Buffer.from(rendezvous.encode(message))
export const decode = (bytes) => rendezvous.decode(bytes)

/** For TCP. */
export function frame (message) {
  const payload = encode(message)
  return Buffer.concat([lengthEncoder(payload.length), payload])
}

/** The messages of frames, all of which have been read to their ends. */
export function unframe (bytes) {
  const messages = []
  for (let at = 0; at < bytes.length;) {
    const head = 1 + (bytes[at] & 3)
    const end = at + head + (bytes.readUIntLE(at, head) >>> 2)
    messages.push(decode(bytes.subarray(at + head, end)))
    at = end
  }
  return messages
}

const hash = (text) => createHash('sha256').update(text).digest()

/** A peer by its number: its id, as real ones look, and an address that no other one has. */
export const idOf = (number) => String(100_000_000 + number)
export const hostOf = (number) => `10.${64 + (number >> 16)}.${number >> 8 & 255}.${number & 255}`
export const uuidOf = (id) => hash(`uuid ${id}`)
export const keyOf = (id) => hash(`key ${id}`)

export const registerPeer = (id) => encode({ register_peer: { id, serial: 3 } })
export const registerKey = (id) => encode({ register_pk: { id, uuid: uuidOf(id), pk: keyOf(id) } })

/**
 * An end of a pair, for a relay. It says nothing when it has it, and the original may let both ends wait for ever when they come at one
 * moment, so the other end comes that many milliseconds later.
 */
export const PAIR_PAUSE = 50
export const requestRelay = (uuid) => frame({ request_relay: { id: idOf(0), uuid } })

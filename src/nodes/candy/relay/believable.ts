/**
 * Recognises payloads of the original client, for {@link FrameResync}, which has to find the next frame after one that was cut.
 * Payloads are still masked here; a few bytes of each are unmasked one by one.
 *
 * The original sends messages of exact length, without confusion, and packets with a valid header checksum, as the kernel makes them.
 */
import { isUtf8 } from 'node:buffer'
import { isValidCloseCode, Opcode } from '../../../transforms/websocket-frames/protocol.ts'
import { HEADER_LENGTH, protocols } from '../../../net/ipv4.ts'
import { fold } from '../../../net/checksum.ts'
import { FORWARD_PACKET, OUTER_LENGTH } from '../protocol/forward.ts'
import { GREETED } from '../protocol/greeting.ts'
import { MessageType, MIN_LENGTH } from '../protocol/messages.ts'
import type { Plausible, Trusted } from '../../../transforms/websocket-frames/plausible.ts'

const GREETING = Buffer.from(GREETED)
/** Prefix of tunpipe's pings (`in-flight-estimator.ts`); a pong repeats its ping. */
const ACKNOWLEDGED = Buffer.from('sent')

/** Bytes of a GENERAL with a local endpoint. The original sends no other. */
const LOCAL_ENDPOINT = 18

const INNER_PACKET = FORWARD_PACKET + OUTER_LENGTH

/** Byte `i` of the payload that begins at `at`, unmasked. */
const byteOf = (bytes: Uint8Array, at: number, key: number, i: number): number => bytes[at + i] ^ (key >>> ((~i & 3) << 3) & 0xff)

const wordOf = (bytes: Uint8Array, at: number, key: number, i: number): number => byteOf(bytes, at, key, i) << 8 | byteOf(bytes, at, key, i + 1)

const addressOf = (bytes: Uint8Array, at: number, key: number, i: number): number =>
  (wordOf(bytes, at, key, i) << 16 | wordOf(bytes, at, key, i + 2)) >>> 0

function beginsWith (text: Uint8Array, bytes: Uint8Array, at: number, have: number, size: number, key: number): boolean {
  if (size < text.length) return false
  for (let i = 0; i < text.length && i < have; i++) {
    if (byteOf(bytes, at, key, i) !== text[i]) return false
  }
  return true
}

/** Whether an IPv4 packet starts at byte `i` of the payload and ends with it. */
function isPacket (bytes: Uint8Array, at: number, have: number, size: number, key: number, i: number): boolean {
  if (size - i < HEADER_LENGTH) return false
  if (have <= i) return true
  const first = byteOf(bytes, at, key, i)
  const header = (first & 0x0f) * 4
  if (first >>> 4 !== 4 || header < HEADER_LENGTH || header > size - i) return false
  return have < i + 4 || wordOf(bytes, at, key, i + 2) === size - i
}

/** Whether the header at the start of a FORWARD is the pseudo one of candy protocol, section 1.10, as far as it is present. */
function isOuter (bytes: Uint8Array, at: number, have: number, key: number): boolean {
  const end = Math.min(have, FORWARD_PACKET + 12)
  for (let i = FORWARD_PACKET; i < end; i++) {
    if (byteOf(bytes, at, key, i) !== (i === FORWARD_PACKET + 9 ? protocols.ipip : 0)) return false
  }
  return true
}

function isForward (bytes: Uint8Array, at: number, have: number, size: number, key: number): boolean {
  if (have <= FORWARD_PACKET) return size >= MIN_LENGTH.FORWARD
  if (byteOf(bytes, at, key, FORWARD_PACKET) !== 0) return isPacket(bytes, at, have, size, key, FORWARD_PACKET)
  return isPacket(bytes, at, have, size, key, INNER_PACKET) && isOuter(bytes, at, have, key)
}

function isMessage (bytes: Uint8Array, at: number, have: number, size: number, key: number): boolean {
  if (have === 0) return size > 0
  switch (byteOf(bytes, at, key, 0)) {
    case MessageType.FORWARD: return isForward(bytes, at, have, size, key)
    case MessageType.AUTH: return size === MIN_LENGTH.AUTH
    case MessageType.DHCP: return size === MIN_LENGTH.DHCP
    case MessageType.CONN: return size === MIN_LENGTH.CONN
    case MessageType.VMAC: return size === MIN_LENGTH.VMAC
    case MessageType.DISCOVERY: return size === MIN_LENGTH.DISCOVERY
    case MessageType.GENERAL: return size >= MIN_LENGTH.GENERAL
    default: return false
  }
}

/** Whether the payload is empty, or one that a strict decoder accepts. */
function isClose (bytes: Uint8Array, at: number, have: number, size: number, key: number): boolean {
  if (size < 2 || have < 2) return size !== 1
  if (!isValidCloseCode(wordOf(bytes, at, key, 0))) return false
  return have < size || isUtf8(Uint8Array.from({ length: size - 2 }, (_, i) => byteOf(bytes, at, key, 2 + i)))
}

/** Whether a payload looks like what the original client sends. */
export const plausible: Plausible = (opcode, bytes, at, have, size, key) => {
  switch (opcode) {
    case Opcode.BINARY: return isMessage(bytes, at, have, size, key)
    case Opcode.PING: return beginsWith(GREETING, bytes, at, have, size, key)
    case Opcode.PONG: return size === 0 || beginsWith(ACKNOWLEDGED, bytes, at, have, size, key)
    case Opcode.CLOSE: return isClose(bytes, at, have, size, key)
    default: return false
  }
}

/** Whether the header matches its checksum; undefined while bytes of it are missing. */
function headerChecks (bytes: Uint8Array, at: number, have: number, key: number, i: number): boolean | undefined {
  if (have <= i) return undefined
  const end = i + (byteOf(bytes, at, key, i) & 0x0f) * 4
  if (have < end) return undefined
  let sum = 0
  for (; i < end; i += 2) sum += wordOf(bytes, at, key, i)
  return fold(sum) === 0
}

/**
 * Recognises payloads that are certainly messages of a client: random bytes match, with their length, in at most one of 2^40 cases.
 *
 * @param ownAddress the client's virtual address, 0 while it has none
 */
export const trusted = (ownAddress: () => number): Trusted => (bytes, at, have, size, key) => {
  if (have === 0) return size < MIN_LENGTH.DISCOVERY ? false : undefined
  const own = ownAddress()
  const type = byteOf(bytes, at, key, 0)
  if (type === MessageType.FORWARD) {
    if (!isForward(bytes, at, have, size, key)) return false
    if (have <= FORWARD_PACKET) return undefined
    if (byteOf(bytes, at, key, FORWARD_PACKET) !== 0) return headerChecks(bytes, at, have, key, FORWARD_PACKET)
    if (own === 0 || (have >= INNER_PACKET && addressOf(bytes, at, key, FORWARD_PACKET + 12) !== own)) return false
    return headerChecks(bytes, at, have, key, INNER_PACKET)
  }
  const source = type === MessageType.GENERAL ? 4 : 1
  const isKnown = type === MessageType.CONN
    ? size === MIN_LENGTH.CONN
    : type === MessageType.DISCOVERY ? size === MIN_LENGTH.DISCOVERY : type === MessageType.GENERAL && size === LOCAL_ENDPOINT
  if (!isKnown || own === 0) return false
  return have < source + 4 ? undefined : addressOf(bytes, at, key, source) === own
}

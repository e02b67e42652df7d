/**
 * Messages of the candy protocol: constants common to all, and the messages without a hash that peers exchange through
 * the relay (CONN, DISCOVERY, GENERAL). AUTH, DHCP and VMAC are in `handshake.ts`, FORWARD in `forward.ts`, ROUTE in `routes.ts`.
 *
 * One message is one binary WebSocket frame. Byte 0 is the type, integers are big-endian, structures are packed. Addresses are
 * unsigned 32-bit numbers here and 4 bytes in network order on the wire. Bytes after the layout are *confusion*: receivers
 * ignore them, and a relay forwards them (candy protocol, section 1.2).
 */
import { OptionError } from '../../../errors.ts'
import { readU16, readU32, writeU16, writeU32 } from '../../../net/ipv4.ts'

/** Byte 0 of every message, candy protocol, section 1.2. */
export const MessageType = {
  AUTH: 0,
  FORWARD: 1,
  DHCP: 2,
  CONN: 3,
  VMAC: 4,
  DISCOVERY: 5,
  ROUTE: 6,
  GENERAL: 255
} as const

export type MessageName = keyof typeof MessageType

/** The shortest message of each type, in bytes; candy protocol, section 1.2. */
export const MIN_LENGTH: Readonly<Record<MessageName, number>> = {
  AUTH: 45,
  FORWARD: 21,
  DHCP: 73,
  CONN: 15,
  VMAC: 57,
  DISCOVERY: 9,
  ROUTE: 4,
  GENERAL: 12
}

/** Bytes of the longest message. Existing clients and servers close the connection on a longer frame (section 1.1). */
export const MAX_LENGTH = 1500

/** Subtypes of GENERAL. Existing clients read every GENERAL of 18 bytes or more as a local endpoint, so no other is sent. */
export const GeneralType = { LOCAL_ENDPOINT: 0 } as const

/** A malformed message: wrong type, too short, or an invalid field. */
export class CandyMessageError extends Error {
  override readonly name = 'CandyMessageError'
  readonly code = 'ERR_CANDY_MESSAGE'
}

/** @throws {CandyMessageError} unless the message is of this type and long enough for its layout */
export function checkMessage (message: Uint8Array, name: MessageName): void {
  if (message[0] !== MessageType[name]) throw new CandyMessageError(`a message of type ${message[0]}, expected ${MessageType[name]} (${name})`)
  if (message.length < MIN_LENGTH[name]) {
    throw new CandyMessageError(`${name} of ${message.length} bytes, expected at least ${MIN_LENGTH[name]}`)
  }
}

/** A zeroed message with its type byte set. `extra`: bytes in addition to the shortest layout. */
export function newMessage (name: MessageName, extra = 0): Uint8Array {
  const message = new Uint8Array(MIN_LENGTH[name] + extra)
  message[0] = MessageType[name]
  return message
}

/** @throws {OptionError} unless the value fits an unsigned field of that many bytes */
function checkUnsigned (what: string, value: number, bytes: 1 | 2 | 4): void {
  if (!Number.isInteger(value) || value < 0 || value >= 256 ** bytes) {
    throw new OptionError(`${what} is an unsigned integer of ${bytes} bytes, not ${value}`)
  }
}

/** Writes an address. @throws {OptionError} when it is not an unsigned 32-bit number */
export function writeAddress (message: Uint8Array, at: number, what: string, address: number): void {
  checkUnsigned(what, address, 4)
  writeU32(message, at, address)
}

function writePort (message: Uint8Array, at: number, port: number): void {
  checkUnsigned('port', port, 2)
  writeU16(message, at, port)
}

/** Virtual addresses of sender and receiver. The relay checks that `source` is the sender's own. */
export interface Addressed {
  source: number
  destination: number
}

/** CONN: the public UDP endpoint of `source`, from STUN; candy protocol, section 1.2. */
export interface Conn extends Addressed {
  address: number
  port: number
}

export function encodeConn ({ source, destination, address, port }: Conn): Uint8Array {
  const message = newMessage('CONN')
  writeAddress(message, 1, 'source', source)
  writeAddress(message, 5, 'destination', destination)
  writeAddress(message, 9, 'address', address)
  writePort(message, 13, port)
  return message
}

/** @throws {CandyMessageError} when malformed */
export function decodeConn (message: Uint8Array): Conn {
  checkMessage(message, 'CONN')
  return {
    source: readU32(message, 1),
    destination: readU32(message, 5),
    address: readU32(message, 9),
    port: readU16(message, 13)
  }
}

/** DISCOVERY: asks one peer, or all with destination 255.255.255.255, to connect directly; candy protocol, section 2.4. */
export function encodeDiscovery ({ source, destination }: Addressed): Uint8Array {
  const message = newMessage('DISCOVERY')
  writeAddress(message, 1, 'source', source)
  writeAddress(message, 5, 'destination', destination)
  return message
}

/** @throws {CandyMessageError} when malformed */
export function decodeDiscovery (message: Uint8Array): Addressed {
  checkMessage(message, 'DISCOVERY')
  return { source: readU32(message, 1), destination: readU32(message, 5) }
}

/** GENERAL: a header that the relay reads, and data that it does not; candy protocol, section 1.2. */
export interface General extends Addressed {
  /** One of {@link GeneralType}, 0 to 255. */
  subtype: number
  /** 0 to 65535; 0 in all existing subtypes. */
  extra: number
  /** At most 1488 bytes. After decoding it is a view of the message, confusion included. */
  data: Uint8Array
}

/** @throws {OptionError} when a field does not fit, or the message would exceed 1500 bytes */
export function encodeGeneral ({ subtype, extra, source, destination, data }: General): Uint8Array {
  checkUnsigned('subtype', subtype, 1)
  checkUnsigned('extra', extra, 2)
  if (MIN_LENGTH.GENERAL + data.length > MAX_LENGTH) {
    throw new OptionError(`GENERAL takes ${MAX_LENGTH - MIN_LENGTH.GENERAL} bytes of data, not ${data.length}`)
  }
  const message = newMessage('GENERAL', data.length)
  message[1] = subtype
  writeU16(message, 2, extra)
  writeAddress(message, 4, 'source', source)
  writeAddress(message, 8, 'destination', destination)
  message.set(data, 12)
  return message
}

/** @throws {CandyMessageError} when malformed */
export function decodeGeneral (message: Uint8Array): General {
  checkMessage(message, 'GENERAL')
  return {
    subtype: message[1],
    extra: readU16(message, 2),
    source: readU32(message, 4),
    destination: readU32(message, 8),
    data: message.subarray(12)
  }
}

/** GENERAL 0: the UDP endpoint of `source` in its own network, tried along with the public one; candy protocol, section 2.5. */
export function encodeLocalEndpoint ({ source, destination, address, port }: Conn): Uint8Array {
  const data = new Uint8Array(6)
  writeAddress(data, 0, 'address', address)
  writePort(data, 4, port)
  return encodeGeneral({ subtype: GeneralType.LOCAL_ENDPOINT, extra: 0, source, destination, data })
}

/** The local endpoint in a GENERAL; undefined when it is of another subtype or too short. */
export function localEndpoint ({ subtype, data }: General): { address: number, port: number } | undefined {
  if (subtype !== GeneralType.LOCAL_ENDPOINT || data.length < 6) return undefined
  return { address: readU32(data, 0), port: readU16(data, 4) }
}

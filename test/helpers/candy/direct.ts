/** What two members say to each other over UDP, made here from the description alone: the sources of this repository have no part in it. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { address } from './vectors.ts'

export const Kind = { HEARTBEAT: 0, FORWARD: 1, DELAY: 2, ROUTE: 4 } as const

const IV = 12
const TAG = 16

/** For everything that is sent to this virtual address. */
export function keyOf (password: string, receiver: string): Buffer {
  const reversed = Buffer.alloc(4)
  reversed.writeUInt32LE(address(receiver))
  return createHash('sha256').update(password).update(reversed).digest()
}

export function seal (key: Uint8Array, plaintext: Uint8Array, iv: Uint8Array = randomBytes(IV)): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), ciphertext])
}

/** Undefined for what was not sealed for this key. */
export function open (key: Uint8Array, datagram: Uint8Array): Buffer | undefined {
  if (datagram.length <= IV + TAG) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, datagram.subarray(0, IV)).setAuthTag(datagram.subarray(IV, IV + TAG))
  try {
    return Buffer.concat([decipher.update(datagram.subarray(IV + TAG)), decipher.final()])
  } catch {
    return undefined
  }
}

const addresses = (...all: string[]): Buffer => {
  const bytes = Buffer.alloc(4 * all.length)
  for (const [i, text] of all.entries()) bytes.writeUInt32BE(address(text), 4 * i)
  return bytes
}

/** @param noise the six bytes that nobody reads */
export const heartbeat = (sender: string, acknowledge: number, noise: Uint8Array = Buffer.alloc(6)): Buffer =>
  Buffer.concat([[Kind.HEARTBEAT], addresses(sender), noise, [acknowledge]].map((part) => Buffer.from(part)))

export function delay (source: string, destination: string, milliseconds: number): Buffer {
  const time = Buffer.alloc(8)
  time.writeBigInt64BE(BigInt(milliseconds))
  return Buffer.concat([Buffer.from([Kind.DELAY]), addresses(source, destination), time])
}

export interface DirectRoute {
  destination: string
  next: string
  rtt: number
}

const textAt = (bytes: Uint8Array, at: number): string => bytes.subarray(at, at + 4).join('.')

export const readRoute = (plaintext: Buffer): DirectRoute => ({ destination: textAt(plaintext, 1), next: textAt(plaintext, 5), rtt: plaintext.readInt32BE(9) })

function checksum (bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.length - at > 1 ? bytes.readUInt16BE(at) : bytes[at] << 8
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** A FORWARD with an ICMP echo request. */
export function echoRequest (source: string, destination: string, sequence = 1): Buffer {
  const message = Buffer.concat([Buffer.from([Kind.FORWARD]), Buffer.from('4500002000010000400100000000000000000000', 'hex'), Buffer.from('080000000001000174756e70', 'hex')])
  addresses(source, destination).copy(message, 13)
  message.writeUInt16BE(sequence, 27)
  message.writeUInt16BE(checksum(message.subarray(1, 21)), 11)
  message.writeUInt16BE(checksum(message.subarray(21)), 23)
  return message
}

const ECHO_REQUEST = 8
const ICMP = 1

/** The answer to a FORWARD with an echo request; undefined when it is none. */
export function echoReply (message: Uint8Array): Buffer | undefined {
  if (message[0] !== Kind.FORWARD || message[1] !== 0x45 || message[10] !== ICMP || message[21] !== ECHO_REQUEST) return undefined
  const reply = Buffer.from(message)
  Buffer.from(message).copy(reply, 13, 17, 21)
  Buffer.from(message).copy(reply, 17, 13, 17) // the sum of the header stays
  reply[21] = 0
  reply.writeUInt16BE(0, 23)
  reply.writeUInt16BE(checksum(reply.subarray(21)), 23)
  return reply
}

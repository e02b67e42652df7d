/** ICMP echo requests and replies (RFC 792). */
import { CodedError, OptionError } from '../errors.ts'
import { systemClock } from '../streams/clock.ts'
import { addWords, fold } from '../net/checksum.ts'
import { newPacket } from './device.ts'
import type { Clock } from '../types.ts'
import { destinationOf, HEADER_LENGTH, headerLengthOf, protocols, readU16, sourceOf, totalLengthOf, writeHeader, writeU16 } from '../net/ipv4.ts'

/** Bytes of an echo header: type, code, checksum, identifier, sequence number. */
const ECHO_HEADER = 8
const ECHO_REPLY = 0
const ECHO_REQUEST = 8

/** Default payload of `ping` programs. */
const DEFAULT_SIZE = 56
const DEFAULT_TIMEOUT = 1000 // ms

/** The codes of {@link PingError}. */
export type PingErrorCode =
  | 'ERR_PING_TIMEOUT'
  | 'ERR_PING_LIMIT' // too many pings are outstanding

/** A ping without an answer. */
export class PingError extends CodedError<PingErrorCode> {
  override readonly name = 'PingError'
}

/** Options of a ping. */
export interface PingInit {
  /** Payload in bytes. Default: 56. */
  size?: number
  /** Milliseconds to wait for the reply. Default: 1000. */
  timeout?: number
  signal?: AbortSignal
}

interface Pending {
  destination: number
  /** A copy, as the reader of a packet may change it. */
  payload: Uint8Array
  resolve (): void
  reject (err: Error): void
}

/** Whether the ICMP message of a whole packet is long enough, and its checksum correct. */
export function icmpChecks (packet: Uint8Array): boolean {
  const at = headerLengthOf(packet)
  const end = totalLengthOf(packet)
  return end - at >= ECHO_HEADER && fold(addWords(packet, at, end)) === 0
}

/** Encodes an echo request. */
function echoRequest (source: number, destination: number, id: number, sequence: number, size: number): Uint8Array {
  const packet = newPacket(HEADER_LENGTH + ECHO_HEADER + size)
  for (let i = 0; i < size; i++) packet[HEADER_LENGTH + ECHO_HEADER + i] = i
  writeHeader(packet, { protocol: protocols.icmp, source, destination, totalLength: packet.length })
  packet[HEADER_LENGTH] = ECHO_REQUEST
  writeU16(packet, HEADER_LENGTH + 4, id)
  writeU16(packet, HEADER_LENGTH + 6, sequence)
  writeU16(packet, HEADER_LENGTH + 2, fold(addWords(packet, HEADER_LENGTH)))
  return packet
}

/** The reply to a request that has passed `icmpChecks`: same identifier, sequence number and payload, without IP options. */
export function echoReply (request: Uint8Array): Uint8Array {
  const message = request.subarray(headerLengthOf(request), totalLengthOf(request))
  const packet = newPacket(HEADER_LENGTH + message.length)
  writeHeader(packet, { protocol: protocols.icmp, source: destinationOf(request), destination: sourceOf(request), totalLength: packet.length })
  packet.set(message, HEADER_LENGTH)
  writeU16(packet, HEADER_LENGTH, ECHO_REPLY << 8)
  writeU16(packet, HEADER_LENGTH + 2, 0)
  writeU16(packet, HEADER_LENGTH + 2, fold(addWords(packet, HEADER_LENGTH)))
  return packet
}

export function isEchoRequest (packet: Uint8Array): boolean {
  return readU16(packet, headerLengthOf(packet)) === ECHO_REQUEST << 8
}

export function isEchoReply (packet: Uint8Array): boolean {
  return readU16(packet, headerLengthOf(packet)) === ECHO_REPLY << 8
}

/** Sends echo requests and matches the replies. */
export class Pinger {
  readonly #transmit
  readonly #limit
  readonly #clock: Clock
  readonly #id = Math.floor(Math.random() * 0x10000)
  readonly #pending = new Map<number, Pending>()
  #sequence = 0

  constructor (transmit: (packet: Uint8Array) => boolean, limit: number, clock: Clock = systemClock) {
    this.#transmit = transmit
    this.#limit = limit
    this.#clock = clock
  }

  /** Resolves with the round trip in milliseconds. A request that could not be sent counts as unanswered. */
  ping (source: number, destination: number, maxSize: number, { size = DEFAULT_SIZE, timeout = DEFAULT_TIMEOUT, signal }: PingInit): Promise<number> {
    if (!Number.isInteger(size) || size < 0 || size > maxSize) throw new OptionError(`size is 0 to ${maxSize} bytes here, not ${size}`)
    if (!(timeout > 0 && timeout < 2 ** 31)) throw new OptionError(`timeout is a number of milliseconds, not ${timeout}`)
    signal?.throwIfAborted()
    if (this.#pending.size >= this.#limit) throw new PingError('ERR_PING_LIMIT', `${this.#limit} pings wait for an answer already`)
    const sequence = this.#nextSequence()
    const request = echoRequest(source, destination, this.#id, sequence, size)
    return new Promise((resolve, reject) => {
      const clock = this.#clock
      const start = clock.now()
      const settle = (): void => {
        clock.clear(timer)
        signal?.removeEventListener('abort', onAbort)
        this.#pending.delete(sequence)
      }
      const pending: Pending = {
        destination,
        payload: request.slice(HEADER_LENGTH + ECHO_HEADER),
        resolve: () => {
          settle()
          resolve(clock.now() - start)
        },
        reject: (err) => {
          settle()
          reject(err)
        }
      }
      const onAbort = (): void => { pending.reject(signal?.reason) }
      const timer = clock.set(timeout, () => { pending.reject(new PingError('ERR_PING_TIMEOUT', `no answer within ${timeout} ms`)) })
      signal?.addEventListener('abort', onAbort)
      this.#pending.set(sequence, pending)
      this.#transmit(request)
    })
  }

  /** Takes a reply that has passed `icmpChecks`. Returns false when it matches no outstanding request. */
  answered (packet: Uint8Array): boolean {
    const at = headerLengthOf(packet)
    const pending = readU16(packet, at + 4) === this.#id ? this.#pending.get(readU16(packet, at + 6)) : undefined
    if (pending === undefined || pending.destination !== sourceOf(packet)) return false
    const payload = packet.subarray(at + ECHO_HEADER, totalLengthOf(packet))
    if (Buffer.compare(payload, pending.payload) !== 0) return false
    pending.resolve()
    return true
  }

  /** Rejects all outstanding pings. */
  fail (err: Error): void {
    for (const pending of [...this.#pending.values()]) pending.reject(err)
  }

  #nextSequence (): number {
    do this.#sequence = (this.#sequence + 1) & 0xffff
    while (this.#pending.has(this.#sequence))
    return this.#sequence
  }
}

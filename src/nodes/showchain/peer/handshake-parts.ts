/** Offers and answers in parts of a datagram each (SHOW CHAIN protocol, section 7.2). */
import { FirstByte, LEAST_PACKET } from '../protocol/data-packets.ts'
import type { Batch } from '../../../types.ts'

export const Stage = { OFFER: 1, ANSWER: 2 } as const

/** Bytes of a handshake's name. */
export const HANDSHAKE_BYTES = 8

const MAX_PARTS = 4
const HEAD = 12
const MAX_PART = LEAST_PACKET - HEAD
/** Where the stage is, 1 byte. */
export const STAGE_AT = 9
const NUMBER_AT = 10
const PARTS_AT = 11

/** Handshakes whose parts are kept at one time. */
const MAX_INCOMPLETE = 4

/** Milliseconds that parts are kept. */
const KEEP = 15_000

/** Bytes of an offer or an answer. */
export const MAX_HANDSHAKE = MAX_PARTS * MAX_PART

/** One part, a view of its datagram. */
export interface HandshakePart {
  /** The name of the handshake as text. */
  handshake: string
  stage: number
  number: number
  parts: number
  bytes: Uint8Array
}

/** @param bytes at most {@link MAX_HANDSHAKE} */
export function cutParts (handshake: Uint8Array, stage: number, bytes: Uint8Array): Batch {
  const parts = Math.ceil(bytes.length / MAX_PART)
  return Array.from({ length: parts }, (_, number) => {
    const piece = bytes.subarray(number * MAX_PART, (number + 1) * MAX_PART)
    const packet = new Uint8Array(HEAD + piece.length)
    packet[0] = FirstByte.HANDSHAKE
    packet.set(handshake, 1)
    packet[STAGE_AT] = stage
    packet[NUMBER_AT] = number
    packet[PARTS_AT] = parts
    packet.set(piece, HEAD)
    return packet
  })
}

/** Undefined when it is none. */
export function readPart (packet: Uint8Array): HandshakePart | undefined {
  if (packet.length <= HEAD || packet.length > HEAD + MAX_PART || packet[0] !== FirstByte.HANDSHAKE) return undefined
  const stage = packet[STAGE_AT]
  const number = packet[NUMBER_AT]
  const parts = packet[PARTS_AT]
  if ((stage !== Stage.OFFER && stage !== Stage.ANSWER) || parts < 1 || parts > MAX_PARTS || number >= parts) return undefined
  if (number < parts - 1 && packet.length !== HEAD + MAX_PART) return undefined
  return { handshake: Buffer.from(packet.subarray(1, 1 + HANDSHAKE_BYTES)).toString('latin1'), stage, number, parts, bytes: packet.subarray(HEAD) }
}

interface Incomplete {
  readonly parts: Array<Uint8Array | undefined>
  missing: number
  readonly until: number
}

/** Puts parts of one stage together, of a few handshakes at one time. */
export class PartsAssembler {
  readonly #incomplete = new Map<string, Incomplete>()

  get size (): number { return this.#incomplete.size }

  /** The whole, once all parts have come. Of two parts with one number the first one counts; where that is wrong, R tries it again. */
  add ({ handshake, number, parts, bytes }: HandshakePart, now: number): Uint8Array | undefined {
    const entry = this.#entryFor(handshake, parts, now)
    if (entry === undefined || entry.parts[number] !== undefined) return undefined
    entry.parts[number] = Uint8Array.from(bytes) // kept
    if (--entry.missing > 0) return undefined
    this.#incomplete.delete(handshake)
    return Buffer.concat(entry.parts as Uint8Array[])
  }

  #entryFor (handshake: string, parts: number, now: number): Incomplete | undefined {
    const known = this.#incomplete.get(handshake)
    if (known !== undefined && now < known.until) return known.parts.length === parts ? known : undefined
    this.#incomplete.delete(handshake)
    if (this.#incomplete.size >= MAX_INCOMPLETE) this.#incomplete.delete(this.#incomplete.keys().next().value as string) // the oldest one
    const entry: Incomplete = { parts: Array(parts).fill(undefined), missing: parts, until: now + KEEP }
    this.#incomplete.set(handshake, entry)
    return entry
  }
}

/** That of a path, which is forgotten with it. */
export function assemblerOf (assemblers: WeakMap<object, PartsAssembler>, path: object): PartsAssembler {
  let assembler = assemblers.get(path)
  if (assembler === undefined) assemblers.set(path, assembler = new PartsAssembler())
  return assembler
}

/**
 * Structures for sendmmsg(2) and recvmmsg(2) in one memory that never moves: `struct mmsghdr`, `struct iovec`, and the addresses and control
 * messages that they point to. On processors with addresses of 64 bits, the lowest byte first.
 */
import { endianness } from 'node:os'
import type { MemoryAddresses } from '../../../net/native/memory-addresses.ts'

/** Whether the structures are laid out as here. */
export const isKnownLayout = (): boolean => endianness() === 'LE' && ['arm64', 'loong64', 'riscv64', 'x64'].includes(process.arch)

// In words of 4 bytes. `struct mmsghdr`: a `struct msghdr` of 56 bytes, and the length of the datagram.
const HEADER = 16
const NAME_LENGTH = 2
const VECTORS = 4
const VECTOR_COUNT = 6
const CONTROL = 8
const CONTROL_LENGTH = 10
const LENGTH = 14

const VECTOR = 4
const VECTOR_LENGTH = 2

/** Words for an address: more than any takes. */
const NAME = 8

/** Words of a control message with up to 8 bytes of data: `struct cmsghdr` of 16 bytes before it. */
const CONTROL_MESSAGE = 6
const CONTROL_LEVEL = 2
const CONTROL_TYPE = 3
/** The data of a control message. */
export const CONTROL_DATA = 4

/** Bytes of such a message with `data` bytes. */
export const controlLength = (data: number): number => 16 + data

const WORD = 4
const TWO_32 = 0x1_0000_0000

export interface MessageArrayInit {
  addresses: MemoryAddresses
  messages: number
  /** Pieces of memory of all messages together. */
  vectors: number
  /** Bytes of control messages of each. A multiple of 8. Default: those of one. */
  controlSize?: number
}

export class MessageArray {
  /** Of the first header. */
  readonly address: number
  readonly #bytes: Uint8Array
  readonly words: Uint32Array
  readonly #vectorsAt: number
  readonly #namesAt: number
  readonly #controlsAt: number
  readonly #controlWords: number

  constructor ({ addresses, messages, vectors, controlSize = CONTROL_MESSAGE * WORD }: MessageArrayInit) {
    this.#controlWords = controlSize / WORD
    this.#vectorsAt = messages * HEADER
    this.#namesAt = this.#vectorsAt + vectors * VECTOR
    this.#controlsAt = this.#namesAt + messages * NAME
    this.#bytes = new Uint8Array((this.#controlsAt + messages * this.#controlWords) * WORD)
    this.words = new Uint32Array(this.#bytes.buffer)
    this.address = addresses.of(this.#bytes)
    for (let i = 0; i < messages; i++) {
      this.#point(i * HEADER, this.nameAt(i))
      this.#point(i * HEADER + CONTROL, this.controlAt(i))
    }
  }

  /** Of the header of a message. */
  addressOf (message: number): number { return this.address + message * HEADER * WORD }

  /** Words, where an address begins. */
  nameAt (message: number): number { return this.#namesAt + message * NAME }

  nameOf (message: number): Uint8Array { return this.#bytes.subarray(this.nameAt(message) * WORD, this.nameAt(message + 1) * WORD) }

  /** Words, where control messages begin. */
  controlAt (message: number): number { return this.#controlsAt + message * this.#controlWords }

  setNameLength (message: number, bytes: number): void { this.words[message * HEADER + NAME_LENGTH] = bytes }

  setControlLength (message: number, bytes: number): void { this.words[message * HEADER + CONTROL_LENGTH] = bytes }

  controlLengthOf (message: number): number { return this.words[message * HEADER + CONTROL_LENGTH] }

  setVectors (message: number, first: number, count: number): void {
    this.#point(message * HEADER + VECTORS, this.#vectorsAt + first * VECTOR)
    this.words[message * HEADER + VECTOR_COUNT] = count
  }

  setVector (vector: number, address: number, length: number): void {
    const at = this.#vectorsAt + vector * VECTOR
    this.#setAddress(at, address)
    this.words[at + VECTOR_LENGTH] = length
  }

  /** Bytes that were received. */
  lengthOf (message: number): number { return this.words[message * HEADER + LENGTH] }

  /** Begins a control message with `data` bytes. */
  setControl (message: number, level: number, type: number, data: number): void {
    const at = this.controlAt(message)
    this.words[at] = controlLength(data)
    this.words[at + CONTROL_LEVEL] = level
    this.words[at + CONTROL_TYPE] = type
  }

  /** Words, where the data of the first control message of this kind is, if one with a word at least has come; else 0. */
  findControl (message: number, level: number, type: number): number {
    const begin = this.controlAt(message)
    const end = Math.min(this.controlLengthOf(message), this.#controlWords * WORD)
    for (let from = 0; from + controlLength(WORD) <= end;) {
      const at = begin + from / WORD
      const length = this.words[at]
      if (length < controlLength(0) || from + length > end) break
      if (length >= controlLength(WORD) && this.words[at + CONTROL_LEVEL] === level && this.words[at + CONTROL_TYPE] === type) return at + CONTROL_DATA
      from += Math.ceil(length / 8) * 8
    }
    return 0
  }

  /** Points to other words of this memory. */
  #point (at: number, words: number): void { this.#setAddress(at, this.address + words * WORD) }

  #setAddress (at: number, address: number): void {
    this.words[at] = address
    this.words[at + 1] = address / TWO_32
  }
}

/** Sealed packets of one session, in place (SHOW CHAIN protocol, section 7.3). */
import type { Sealing } from '../../../crypto/index.ts'
import { SealedPair, type Unopened } from '../../../crypto/sealed-pair.ts'
import { FirstByte, SEALED_HEAD, SEALED_LAYOUT, SEALED_TAIL } from '../protocol/data-packets.ts'
import type { Batch } from '../../../types.ts'
import type { Agreement } from './handshake.ts'

const SHORTEST = SEALED_HEAD + SEALED_TAIL

/** The cipher of each direction, and which counters have come. */
export class SealedChannel {
  readonly #pair: SealedPair

  /** Wipes the keys that it is given. @throws {SealingError} when OpenSSL has no memory */
  constructor (sealing: Sealing, { indexOut, keys }: Agreement) {
    this.#pair = new SealedPair({ sealing, keys, layout: SEALED_LAYOUT, sender: indexOut })
  }

  /** Counter of the newest packet that was opened; -1: none. */
  get newest (): number { return this.#pair.newest }

  /** Whether no packet that was opened has a higher counter than the last one. */
  get isNewest (): boolean { return this.#pair.last === this.#pair.newest }

  /** Seals contents of one type in place: each has 14 free bytes in front and 16 behind, and is not used afterwards. */
  sealAll (contents: Batch, type: number): Batch {
    const packets = Array<Uint8Array>(contents.length)
    for (let i = 0; i < contents.length; i++) {
      const content = contents[i]
      const packet = new Uint8Array(content.buffer, content.byteOffset - SEALED_HEAD, content.length + SHORTEST)
      this.#seal(packet, type)
      packets[i] = packet
    }
    return packets
  }

  /** A packet of its own memory. */
  seal (content: Uint8Array, type: number): Uint8Array {
    const packet = new Uint8Array(SHORTEST + content.length)
    packet.set(content, SEALED_HEAD)
    this.#seal(packet, type)
    return packet
  }

  /** Opens a packet in place; its type and content are between those of {@link SEALED_LAYOUT}. Undefined when that was done, else why it is dropped. */
  open (packet: Uint8Array): Unopened | 'short' | undefined { return packet.length < SHORTEST ? 'short' : this.#pair.open(packet) }

  close (): void { this.#pair.close() }

  #seal (packet: Uint8Array, type: number): void {
    packet[0] = FirstByte.SEALED
    packet[SEALED_LAYOUT.text] = type
    this.#pair.seal(packet)
  }
}

/** What is in a packet that was opened. */
export const typeOf = (packet: Uint8Array): number => packet[SEALED_LAYOUT.text]
export const contentOf = (packet: Uint8Array): Uint8Array => packet.subarray(SEALED_HEAD, packet.length - SEALED_TAIL)

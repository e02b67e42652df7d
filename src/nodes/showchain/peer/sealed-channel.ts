/** Sealed packets of one session, in place (SHOW CHAIN protocol, section 7.3). */
import { counterIvs, ReplayWindow, type DatagramCipher, type Sealing } from '../../../crypto/index.ts'
import { readU64 } from '../../../net/ipv4.ts'
import { COUNTER_AT, FirstByte, SEALED_HEAD, SEALED_LAYOUT, SEALED_TAIL } from '../protocol/data-packets.ts'
import type { Batch } from '../../../types.ts'
import type { Agreement } from './handshake.ts'

/** Why a packet is dropped. `sealed`: it is not authentic. */
export type Unopened = 'short' | 'replayed' | 'sealed'

const SHORTEST = SEALED_HEAD + SEALED_TAIL

/** The cipher of each direction, and which counters have come. */
export class SealedChannel {
  /** Counter of the newest packet that was opened, and of the last one. */
  newest = -1
  last = -1
  readonly #send: DatagramCipher
  readonly #receive: DatagramCipher
  readonly #replays = new ReplayWindow()

  /** Wipes the keys that it is given. @throws {SealingError} when OpenSSL has no memory */
  constructor (sealing: Sealing, { indexOut, keys }: Agreement) {
    this.#send = sealing.cipher({ key: keys.send, layout: SEALED_LAYOUT, ivs: counterIvs({ sender: indexOut }) })
    this.#receive = sealing.cipher({ key: keys.receive, layout: SEALED_LAYOUT })
    keys.send.fill(0)
    keys.receive.fill(0)
  }

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
  open (packet: Uint8Array): Unopened | undefined {
    if (packet.length < SHORTEST) return 'short'
    const counter = readU64(packet, COUNTER_AT)
    if (!this.#replays.check(counter)) return 'replayed'
    if (!this.#receive.open(packet)) return 'sealed'
    this.#replays.accept(counter)
    this.last = counter
    if (counter > this.newest) this.newest = counter
    return undefined
  }

  close (): void {
    this.#send.close()
    this.#receive.close()
  }

  #seal (packet: Uint8Array, type: number): void {
    packet[0] = FirstByte.SEALED
    packet[SEALED_LAYOUT.text] = type
    this.#send.seal(packet)
  }
}

/** What is in a packet that was opened. */
export const typeOf = (packet: Uint8Array): number => packet[SEALED_LAYOUT.text]
export const contentOf = (packet: Uint8Array): Uint8Array => packet.subarray(SEALED_HEAD, packet.length - SEALED_TAIL)

/** Reads packets from the kernel; a large packet is segmented. */
import { constants } from 'node:os'
import { PAGE, simdMemory } from '../buffers/simd/memory.ts'
import { HEADER_LENGTH } from '../net/ipv4.ts'
import type { Libc } from '../net/native/libc.ts'
import type { Batch } from '../types.ts'
import { HEADROOM, type TunCounters } from './device.ts'
import { complete, cut } from './offload/cut.ts'
import { Gso, gsoType, MAX_PACKET, VIRTIO_HEADER } from './offload/virtio.ts'
import { BURST } from './reading.ts'

const { EAGAIN, EINTR } = constants.errno

/** Bytes after which a burst ends. */
const BURST_BYTES = 128 * 1024

/** Bytes of the memory that packets are allocated from, one after the other. */
const SLAB_BYTES = 256 * 1024

/**
 * Reads go to the beginning of this memory. A packet begins at a multiple of four, as checksums over words are faster there. One byte more
 * than the longest packet detects truncation.
 */
const MEMORY_BYTES = 6 * PAGE
const PACKET_AT = 16
const READ_END = PACKET_AT + MAX_PACKET + 1

export interface PacketReaderInit {
  readonly libc: Libc
  readonly fd: number
  readonly mtu: number
  readonly counters: TunCounters
  /** The device is unusable. */
  onLost (errno: number): never
}

export class PacketReader {
  readonly #libc: Libc
  readonly #fd: number
  readonly #mtu: number
  readonly #counters: TunCounters
  readonly #onLost: (errno: number) => never
  /** A virtio header and the packet after it. */
  readonly #received: Uint8Array
  /** For packets that the reader does not keep: in the same memory, so that SIMD functions can access both. */
  readonly #reused: Uint8Array
  #slab: Uint8Array = Buffer.alloc(0)
  #slabUsed = 0

  constructor ({ libc, fd, mtu, counters, onLost }: PacketReaderInit) {
    this.#libc = libc
    this.#fd = fd
    this.#mtu = mtu
    this.#counters = counters
    this.#onLost = onLost
    const memory = new Uint8Array(simdMemory(MEMORY_BYTES) ?? new ArrayBuffer(MEMORY_BYTES))
    this.#received = memory.subarray(PACKET_AT - VIRTIO_HEADER, READ_END)
    this.#reused = memory.subarray(READ_END)
  }

  /** The next call reads into memory that is reused; the reader must have finished with the packets before. */
  reuse (): void {
    this.#slab = this.#reused
    this.#slabUsed = 0
  }

  /** Ends that mode: the last packets may still be in use. */
  keep (): void { this.#slab = Buffer.alloc(0) }

  /** Reads what the kernel has, up to `most` reads. */
  burst (most = BURST): Batch {
    const batch: Batch = []
    let bytes = 0
    for (let reads = 0; reads < most && bytes < BURST_BYTES; reads++) {
      const length = this.#libc.read(this.#fd, this.#received, this.#received.length)
      if (length < 0) {
        const errno = this.#libc.errno()
        if (errno !== EAGAIN && errno !== EINTR && batch.length === 0) this.#onLost(errno)
        break
      }
      if (!this.#take(length, batch)) this.#counters.droppedIn++
      bytes += length
    }
    for (const packet of batch) this.#counters.bytesIn += packet.length
    this.#counters.packetsIn += batch.length
    return batch
  }

  /** Appends the packets of one read. False when it is malformed. */
  #take (length: number, batch: Batch): boolean {
    const received = this.#received
    if (length < VIRTIO_HEADER + HEADER_LENGTH || length === received.length) return false
    const packet = received.subarray(VIRTIO_HEADER, length)
    if (gsoType(received) !== Gso.NONE) return cut(packet, received, this.#room, batch)
    if (packet.length > this.#mtu || !complete(packet, received)) return false
    const copy = this.#room(packet.length)
    copy.set(packet)
    batch.push(copy)
    return true
  }

  /** The reader owns the memory of packets, so it is not reused, except after `reuse`. */
  readonly #room = (length: number): Uint8Array => {
    if (this.#slab.length - this.#slabUsed < HEADROOM + length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, HEADROOM + length))
      this.#slabUsed = 0
    }
    const from = this.#slabUsed + HEADROOM
    this.#slabUsed = from + length
    return this.#slab.subarray(from, from + length)
  }
}

/** A TUN device of Linux that is open: packets of the kernel on one side, a {@link Tun} on the other. */
import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LinkBusyError } from '../errors.ts'
import { PAGE, simdMemory } from '../buffers/simd/memory.ts'
import type { Batch, PacketPort, Take } from '../types.ts'
import { HEADROOM, newCounters, type OccupiedNetwork, type Offload, type RefusedRoute, type Tun, TunError, type TunRoute, type TunWatcher, verifyInterfaceAddress, verifyRoutes } from './device.ts'
import { systemError } from './ifreq.ts'
import { HEADER_LENGTH } from '../net/ipv4.ts'
import { closed, KernelConfig } from './kernel-config.ts'
import type { Libc } from '../net/native/libc.ts'
import { occupiedNetworks } from './occupied.ts'
import { complete, cut } from './offload/cut.ts'
import { Joiner } from './offload/join.ts'
import { Gso, gsoType, MAX_PACKET, VIRTIO_HEADER } from './offload/virtio.ts'
import { BURST, BurstReader, type Reader } from './reading.ts'
import { holdProcess, type Poller, type Watch } from '../net/native/poller.ts'
import { Sinks } from './sinks.ts'

const { EAGAIN, EINTR } = constants.errno

/** Bytes after which a burst has no further read. */
const BURST_BYTES = 128 * 1024

/** Bytes of memory that packets are put into, one behind the other; when it is full there is new memory. */
const SLAB_BYTES = 256 * 1024

/**
 * What is read stands at the beginning of this memory until it is in packets. A packet begins at a multiple of four, as sums over
 * words are faster there. One byte more than a packet can have shows what the kernel had to cut.
 */
const MEMORY_BYTES = 6 * PAGE
const PACKET_AT = 16
const READ_END = PACKET_AT + MAX_PACKET + 1

/** `openLinuxTun` makes it. */
export class LinuxTun implements Tun {
  readonly name: string
  readonly mtu: number
  readonly counters = newCounters()
  readonly source: AsyncIterable<Batch>
  readonly port: PacketPort
  readonly #libc: Libc
  readonly #fd: number
  readonly #watch: Watch
  readonly offloads: readonly Offload[]
  readonly #joiner: Joiner
  /** A header and what is behind it. */
  readonly #received: Uint8Array
  /** For packets whose reader keeps none: in the same memory, so that SIMD functions reach both. */
  readonly #reused: Uint8Array
  #slab: Uint8Array = Buffer.alloc(0)
  #slabUsed = 0
  /** Whoever waits for packets. */
  #reader: Reader | undefined
  readonly #config: KernelConfig
  readonly #sinks = new Sinks()
  readonly #letGo: () => void
  #closing: Promise<void> | undefined
  #failure: Error | undefined

  constructor (libc: Libc, poller: Poller, fd: number, name: string, mtu: number, offloads: readonly Offload[]) {
    this.#libc = libc
    this.#fd = fd
    this.#config = new KernelConfig(libc, poller, name)
    this.#watch = poller.watch(fd, (err) => {
      if (err === undefined) this.#reader?.ready()
      else this.abort(err)
    })
    this.#letGo = holdProcess()
    const memory = new Uint8Array(simdMemory(MEMORY_BYTES) ?? new ArrayBuffer(MEMORY_BYTES))
    this.#received = memory.subarray(PACKET_AT - VIRTIO_HEADER, READ_END)
    this.#reused = memory.subarray(READ_END)
    this.name = name
    this.mtu = mtu
    this.offloads = offloads
    // refused: the interface is down (EIO), its queue is full (EAGAIN, ENOBUFS), or this is no packet (EINVAL)
    this.#joiner = new Joiner((bytes, length) => libc.write(fd, bytes, length) >= 0, offloads.includes('tcp'))
    this.source = this.#read()
    this.port = { send: (batch) => this.#send(batch), queued: 0, limit: Number.MAX_SAFE_INTEGER }
  }

  async flow (take: Take, signal?: AbortSignal): Promise<void> {
    const reader = new BurstReader(take, (most) => {
      this.#slab = this.#reused
      this.#slabUsed = 0
      return this.#burst(most)
    }, this.#watch)
    this.#wait(reader)
    try {
      await reader.until(signal)
    } finally {
      this.#slab = Buffer.alloc(0) // what was taken last may still be in use
      this.#rest()
    }
  }

  get sink (): Tun['sink'] { return (source) => this.#sinks.run(source, (batch) => { this.#send(batch) }) }

  async setAddress (cidr: string): Promise<void> { this.#config.setAddress(verifyInterfaceAddress(cidr)) }

  async clearAddress (): Promise<void> { this.#config.clearAddress() }

  async setRoutes (routes: readonly TunRoute[]): Promise<RefusedRoute[]> { return this.#config.setRoutes(verifyRoutes(routes)) }

  occupied (): OccupiedNetwork[] { return occupiedNetworks(this.#libc, this.name) }

  watch (watcher: TunWatcher): () => void { return this.#config.watch(watcher) }

  abort (err: Error): void {
    if (this.#closing !== undefined) return
    this.#failure = err
    void this.close()
  }

  close (): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = this.#close()
      this.#reader?.ended(this.#failure)
      this.#sinks.end(this.#failure ?? closed(this.name))
    }
    return this.#closing
  }

  async #close (): Promise<void> {
    await this.#config.close()
    await this.#watch.close()
    this.#config.removeRoutes()
    closeSync(this.#fd)
    this.#letGo()
  }

  async * #read (): AsyncGenerator<Batch> {
    while (this.#closing === undefined) {
      if (this.#reader !== undefined) throw busy()
      const batch = this.#burst()
      if (batch.length > 0) {
        yield batch
        // sockets get their turn too; and what has come meanwhile is read without asking whether there is something
        await nextTurn()
      } else {
        await this.#ready()
      }
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  #ready (): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#rest()
        resolve()
      }
      this.#wait({ ready: done, ended: done })
    })
  }

  /** From now on this one is told. */
  #wait (reader: Reader): void {
    if (this.#reader !== undefined) throw busy()
    this.#reader = reader
    if (this.#closing === undefined) this.#watch.start()
    else reader.ended(this.#failure)
  }

  #rest (): void {
    this.#reader = undefined
    this.#watch.stop()
  }

  /** Whatever the kernel has, up to so many reads. */
  #burst (most = BURST): Batch {
    const batch: Batch = []
    let bytes = 0
    for (let reads = 0; reads < most && bytes < BURST_BYTES; reads++) {
      const length = this.#libc.read(this.#fd, this.#received, this.#received.length)
      if (length < 0) {
        const errno = this.#libc.errno()
        if (errno !== EAGAIN && errno !== EINTR && batch.length === 0) this.#lost(errno)
        break
      }
      if (!this.#take(length, batch)) this.counters.droppedIn++
      bytes += length
    }
    for (const packet of batch) this.counters.bytesIn += packet.length
    this.counters.packetsIn += batch.length
    return batch
  }

  /** Makes packets of what was read. False when it is none. */
  #take (length: number, batch: Batch): boolean {
    const received = this.#received
    if (length < VIRTIO_HEADER + HEADER_LENGTH || length === received.length) return false
    const packet = received.subarray(VIRTIO_HEADER, length)
    if (gsoType(received) !== Gso.NONE) return cut(packet, received, this.#room, batch)
    if (packet.length > this.mtu || !complete(packet, received)) return false
    const copy = this.#room(packet.length)
    copy.set(packet)
    batch.push(copy)
    return true
  }

  /** Packets are handed over with their memory, so it is not used twice, except by `flow`; what is left of it goes when they go. */
  readonly #room = (length: number): Uint8Array => {
    if (this.#slab.length - this.#slabUsed < HEADROOM + length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, HEADROOM + length))
      this.#slabUsed = 0
    }
    const from = this.#slabUsed + HEADROOM
    this.#slabUsed = from + length
    return this.#slab.subarray(from, from + length)
  }

  /** Nothing will ever be read again: EBADFD, mostly, after somebody removed the interface. */
  #lost (errno: number): never {
    this.#failure = new TunError('ERR_TUN_GONE', `the interface ${this.name} is gone`, { cause: systemError('read', this.name, errno) })
    void this.close()
    throw this.#failure
  }

  #send (batch: Batch): number {
    if (this.#closing !== undefined) return 0
    const { counters } = this
    const { packets, bytes } = this.#joiner.push(batch)
    counters.packetsOut += packets
    counters.bytesOut += bytes
    counters.droppedOut += batch.length - packets
    return batch.length
  }
}

const busy = (): LinkBusyError => new LinkBusyError('an interface has one reader, and it is waiting already')

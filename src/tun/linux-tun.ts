/** An open TUN device of Linux. */
import { closeSync } from 'node:fs'
import { LinkBusyError } from '../errors.ts'
import { nextTurn } from '../streams/turns.ts'
import type { Batch, PacketPort, Take } from '../types.ts'
import { newCounters, type OccupiedNetwork, type Offload, type RefusedRoute, type Tun, TunError, type TunRoute, type TunWatcher, verifyInterfaceAddress, verifyRoutes } from './device.ts'
import { systemError } from './ifreq.ts'
import { closed, type InterfaceConfig } from './kernel-config.ts'
import type { Libc } from '../net/native/libc.ts'
import { Joiner } from './offload/join.ts'
import { PacketReader } from './packet-reader.ts'
import { BurstReader, type Reader } from './reading.ts'
import { holdProcess, type Poller, type PollHandle } from '../net/native/poller.ts'
import { Sinks } from './sinks.ts'

export interface LinuxTunInit {
  libc: Libc
  poller: Poller
  /** The device; closed with the interface. */
  fd: number
  name: string
  mtu: number
  offloads: readonly Offload[]
  config: InterfaceConfig
}

/** Created by `openLinuxTun`. */
export class LinuxTun implements Tun {
  readonly name: string
  readonly mtu: number
  readonly counters = newCounters()
  readonly source: AsyncIterable<Batch>
  readonly port: PacketPort
  readonly #fd: number
  readonly #pollHandle: PollHandle
  readonly offloads: readonly Offload[]
  readonly #packets: PacketReader
  readonly #joiner: Joiner
  /** The current reader. */
  #reader: Reader | undefined
  readonly #config: InterfaceConfig
  readonly #sinks = new Sinks()
  readonly #letGo: () => void
  #closing: Promise<void> | undefined
  #failure: Error | undefined

  constructor ({ libc, poller, fd, name, mtu, offloads, config }: LinuxTunInit) {
    this.#fd = fd
    this.#config = config
    // Linux wakes those that poll an interface before it detaches a removed one: they may find nothing to read and wait on.
    config.monitor({
      onChange: () => { this.#pollHandle.check() },
      onFailure: (err) => { this.abort(err) }
    })
    try {
      this.#pollHandle = poller.watch(fd, (err) => {
        if (err === undefined) this.#reader?.ready()
        else this.abort(err)
      })
    } catch (err) {
      void config.close()
      throw err
    }
    this.#letGo = holdProcess()
    this.name = name
    this.mtu = mtu
    this.offloads = offloads
    this.#packets = new PacketReader({ libc, fd, mtu, counters: this.counters, onLost: (errno) => this.#lost(errno) })
    // rejected: the interface is down (EIO), its queue is full (EAGAIN, ENOBUFS), or this is not a packet (EINVAL)
    this.#joiner = new Joiner((bytes, length) => libc.write(fd, bytes, length) >= 0 ? 0 : libc.errno(), offloads)
    this.source = this.#read()
    this.port = { send: (batch) => this.#send(batch), queued: 0, limit: Number.MAX_SAFE_INTEGER }
  }

  async flow (take: Take, signal?: AbortSignal): Promise<void> {
    const reader = new BurstReader(take, (most) => {
      this.#packets.reuse()
      return this.#packets.burst(most)
    }, this.#pollHandle)
    this.#wait(reader)
    try {
      await reader.until(signal)
    } finally {
      this.#packets.keep()
      this.#rest()
    }
  }

  get sink (): Tun['sink'] { return (source) => this.#sinks.run(source, (batch) => { this.#send(batch) }) }

  async setAddress (cidr: string): Promise<void> { this.#config.setAddress(verifyInterfaceAddress(cidr)) }

  async clearAddress (): Promise<void> { this.#config.clearAddress() }

  async setRoutes (routes: readonly TunRoute[]): Promise<RefusedRoute[]> { return this.#config.setRoutes(verifyRoutes(routes)) }

  occupied (): OccupiedNetwork[] { return this.#config.occupied() }

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
    await this.#pollHandle.close()
    this.#config.removeRoutes()
    closeSync(this.#fd)
    this.#letGo()
  }

  async * #read (): AsyncGenerator<Batch> {
    while (this.#closing === undefined) {
      if (this.#reader !== undefined) throw busy()
      const batch = this.#packets.burst()
      if (batch.length > 0) {
        yield batch
        // lets sockets have their turn; packets that have come meanwhile are read without polling
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

  /** Polls for this reader from now on. */
  #wait (reader: Reader): void {
    if (this.#reader !== undefined) throw busy()
    this.#reader = reader
    if (this.#closing === undefined) this.#pollHandle.start()
    else reader.ended(this.#failure)
  }

  #rest (): void {
    this.#reader = undefined
    this.#pollHandle.stop()
  }

  /** The device is unusable: mostly EBADFD, after another program has removed the interface. */
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

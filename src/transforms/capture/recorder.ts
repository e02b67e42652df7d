/**
 * Records packets as pcapng, for Wireshark and `tshark`. It only encodes; `write` gets the bytes. See `captureFile` for a file.
 *
 * ```ts
 * const recorder = new CaptureRecorder({ interfaces: [{ linkType: 'raw', name: 'packets' }], write: (bytes) => { chunks.push(bytes) } })
 * recorder.record(batch, 'in')
 * recorder.end()
 * ```
 */
import { machine, release, type } from 'node:os'
import { OptionError } from '../../errors.ts'
import { verifyBytes } from '../../options.ts'
import { systemClock } from '../../streams/clock.ts'
import type { Batch, Clock } from '../../types.ts'
import { version } from '../../version.ts'
import {
  captureLinkTypes, interfaceDescription, interfaceStatistics, packetLength, sectionHeader, STATISTICS_LENGTH, writePackets,
  type CaptureDirection, type CaptureInterface, type InterfaceCounts
} from './blocks.ts'
import { wallClock } from './clock.ts'

/** Options of all captures. */
export interface CaptureInit {
  /** The capture points; `record` refers to one by its index. At least one. */
  interfaces: readonly CaptureInterface[]
  /** Maximum bytes of the file; the packet that would exceed it ends the capture. Default: 64 MiB. */
  maxBytes?: number
  /** Maximum bytes kept of one packet: 1 to 262144, the maximum of Wireshark. Default: 262144. */
  snapLength?: number
  /** Maximum bytes queued to be written; beyond it packets are dropped and counted. Default: 4 MiB. */
  queueLimit?: number
  /** For timestamps: its `date`, refined by `now`; read once per batch. Default: that of the system. */
  clock?: Clock
}

/** Options of a {@link CaptureRecorder}. */
export interface CaptureRecorderInit extends CaptureInit {
  /** Takes the next bytes of the file, which are not changed any more. Must not block. An error ends the capture. */
  write: (bytes: Uint8Array) => void
  /** Bytes that `write` has taken and that are still in memory. Default: always 0. */
  queued?: () => number
}

export const DEFAULT_MAX_CAPTURE = 64 << 20
export const DEFAULT_CAPTURE_QUEUE = 4 << 20
export const MAX_SNAP_LENGTH = 262_144

/** Maximum bytes of an interface name. */
const MAX_NAME = 255

/**
 * Memory is allocated in pieces of this size, or of a larger batch. Queued writes then keep little other memory alive; in Node's shared
 * pool a small batch would hold 8 KiB that others use as well.
 */
const PIECE = 256 * 1024

const NOTHING = new Uint8Array(0)

/** Counters. */
export interface CaptureStats {
  /** Packets handed over to be written. */
  packets: number
  /** Bytes handed over to be written, with headers and statistics. */
  bytes: number
  /** Packets dropped, because too many bytes were queued. */
  dropped: number
}

/** Why a capture has ended: `end` was called, the file is full, or a write has failed. */
export type CaptureEnd =
  | { reason: 'ended' | 'full', error?: undefined }
  | { reason: 'failed', error: Error }

/** @throws {OptionError} when an option is out of range */
/** Checks the options of a capture. @throws {OptionError} when one is invalid */
export function verifyCapture (init: CaptureInit): void {
  const { interfaces, maxBytes = DEFAULT_MAX_CAPTURE, snapLength = MAX_SNAP_LENGTH, queueLimit = DEFAULT_CAPTURE_QUEUE } = init
  if (interfaces.length === 0) throw new OptionError('a capture has at least one interface')
  for (const { linkType, name } of interfaces) {
    if (!Object.hasOwn(captureLinkTypes, linkType)) throw new OptionError(`linkType is one of ${Object.keys(captureLinkTypes).join(', ')}, not ${String(linkType)}`)
    const size = typeof name === 'string' ? Buffer.byteLength(name) : 0
    if (size < 1 || size > MAX_NAME) throw new OptionError(`the name of an interface has 1 to ${MAX_NAME} bytes, not ${size}`)
  }
  verifyBytes('queueLimit', queueLimit)
  if (verifyBytes('snapLength', snapLength) > MAX_SNAP_LENGTH) throw new OptionError(`snapLength is at most ${MAX_SNAP_LENGTH} bytes, not ${snapLength}`)
  const least = header(interfaces, snapLength).length + interfaces.length * STATISTICS_LENGTH
  if (verifyBytes('maxBytes', maxBytes) < least) throw new OptionError(`maxBytes is at least ${least} with these interfaces, not ${maxBytes}`)
}

/** The first blocks of a file. */
function header (interfaces: readonly CaptureInterface[], snapLength: number): Uint8Array {
  const origin = { hardware: machine(), os: `${type()} ${release()}`, application: `tunpipe ${version}` }
  return Buffer.concat([sectionHeader(origin), ...interfaces.map((one) => interfaceDescription(one, snapLength))])
}

/**
 * Records the packets of any number of links in one file. `record` does not block, and throws only for an unknown interface: an error ends
 * the capture, after which `record` does nothing.
 */
export class CaptureRecorder {
  readonly interfaces: readonly CaptureInterface[]
  readonly stats: CaptureStats = { packets: 0, bytes: 0, dropped: 0 }
  /** The reason why the capture has ended. Never rejects. */
  readonly finished: Promise<CaptureEnd>
  readonly #write: (bytes: Uint8Array) => void
  readonly #queued: () => number
  readonly #queueLimit: number
  readonly #snapLength: number
  readonly #now: () => number
  readonly #counts: InterfaceCounts[]
  #onFinish: (end: CaptureEnd) => void = () => {}
  #over = false
  #full = false
  /** Bytes left for packets. */
  #room: number
  /** Memory for packets, and the bytes used of it. */
  #piece: Uint8Array = NOTHING
  #used = 0

  /**
   * Writes the first blocks.
   *
   * @throws {OptionError} when an option is out of range
   */
  constructor (init: CaptureRecorderInit) {
    verifyCapture(init)
    const { interfaces, write, queued = () => 0, maxBytes = DEFAULT_MAX_CAPTURE, snapLength = MAX_SNAP_LENGTH, queueLimit = DEFAULT_CAPTURE_QUEUE, clock = systemClock } = init
    this.interfaces = [...interfaces]
    this.#write = write
    this.#queued = queued
    this.#queueLimit = queueLimit
    this.#snapLength = snapLength
    this.#now = wallClock(clock)
    this.#counts = interfaces.map(() => ({ received: 0, dropped: 0 }))
    this.finished = new Promise((resolve) => { this.#onFinish = resolve })
    const beginning = header(interfaces, snapLength)
    this.#room = maxBytes - beginning.length - interfaces.length * STATISTICS_LENGTH
    try {
      this.#put(beginning)
    } catch (err) {
      this.fail(err as Error)
    }
  }

  /** The capture has ended. */
  get over (): boolean { return this.#over }

  /** The capture has ended because the file is full. */
  get full (): boolean { return this.#full }

  /**
   * Records a batch with one timestamp. The packets are copied, so they may change afterwards.
   *
   * @param interfaceId index into `interfaces`
   * @throws {OptionError} when there is no such interface
   */
  record (batch: Batch, direction: CaptureDirection, interfaceId = 0): void {
    if (this.#over || batch.length === 0) return
    const counts = this.#counts[interfaceId]
    if (counts === undefined) throw new OptionError(`there is no interface ${interfaceId}, only ${this.#counts.length}`)
    try {
      this.#record(batch, direction, interfaceId, counts)
    } catch (err) {
      this.fail(err as Error)
    }
  }

  /** Ends the capture, and writes the statistics. Does nothing once it has ended. */
  end (): void { this.#finish('ended') }

  /** Ends the capture without another write, as the output has failed. Does nothing once it has ended. */
  fail (error: Error): void {
    if (this.#over) return
    this.#over = true
    this.#piece = NOTHING
    this.#onFinish({ reason: 'failed', error })
  }

  #record (batch: Batch, direction: CaptureDirection, interfaceId: number, counts: InterfaceCounts): void {
    if (this.#queued() >= this.#queueLimit) { // not worth encoding
      counts.received += batch.length
      counts.dropped += batch.length
      this.stats.dropped += batch.length
      return
    }
    const snapLength = this.#snapLength
    let size = 0
    let count = 0
    for (; count < batch.length; count++) {
      const length = packetLength(Math.min(batch[count].length, snapLength))
      if (size + length > this.#room) break
      size += length
    }
    if (count > 0) {
      const start = this.#take(size)
      writePackets(this.#piece, start, batch, count, { interfaceId, direction, timestamp: this.#timestamp(), snapLength })
      this.#room -= size
      counts.received += count
      this.stats.packets += count
      this.#put(this.#piece.subarray(start, start + size))
    }
    if (count < batch.length) this.#finish('full')
  }

  #finish (reason: 'ended' | 'full'): void {
    if (this.#over) return
    this.#over = true
    this.#piece = NOTHING
    try {
      const timestamp = this.#timestamp()
      this.#put(Buffer.concat(this.#counts.map((counts, id) => interfaceStatistics(id, timestamp, counts))))
    } catch (err) {
      this.#onFinish({ reason: 'failed', error: err as Error })
      return
    }
    this.#full = reason === 'full'
    this.#onFinish({ reason })
  }

  #put (bytes: Uint8Array): void {
    this.stats.bytes += bytes.length
    this.#write(bytes)
  }

  /** The offset of `size` unused bytes. */
  #take (size: number): number {
    if (size > this.#piece.length - this.#used) {
      this.#piece = Buffer.allocUnsafeSlow(Math.max(PIECE, size))
      this.#used = 0
    }
    this.#used += size
    return this.#used - size
  }

  /** The time in microseconds; 0 when the clock is out of range. */
  #timestamp (): number {
    const time = Math.round(this.#now() * 1000)
    return time >= 0 && time <= Number.MAX_SAFE_INTEGER ? time : 0
  }
}

/**
 * Records packets as pcapng, which Wireshark and `tshark` read. It only encodes: where the bytes go is up to `write`; see
 * `captureFile` for a file.
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

export interface CaptureInit {
  /** Where packets are recorded; `record` names one by its place in this list. At least one. */
  interfaces: readonly CaptureInterface[]
  /** Bound of the whole file in bytes; the packet that does not fit any more ends the capture. Default: 64 MiB. */
  maxBytes?: number
  /** Most bytes that are kept of one packet: 1 to 262144, which is as much as Wireshark takes. Default: 262144. */
  snapLength?: number
  /** Bytes that may wait to be written; while there are as many, packets are dropped and counted. Default: 4 MiB. */
  queueLimit?: number
  /** Its date, in finer steps, is the time of packets; asked once a batch. It may jump. Default: that of the system. */
  clock?: Clock
}

export interface CaptureRecorderInit extends CaptureInit {
  /** Takes the next bytes of the file, which nobody changes any more. Must not wait. What it throws ends the capture. */
  write: (bytes: Uint8Array) => void
  /** Bytes that `write` has taken and that are still in memory. Default: there are none. */
  queued?: () => number
}

export const DEFAULT_MAX_CAPTURE = 64 << 20
export const DEFAULT_CAPTURE_QUEUE = 4 << 20
export const MAX_SNAP_LENGTH = 262_144

/** The name of an interface, in bytes. */
const MAX_NAME = 255

/**
 * Memory is taken in pieces of this size, or of one batch that is larger. What waits to be written then keeps little else
 * alive: of Node's shared pool, one small batch would hold 8 KiB that are in use by anybody.
 */
const PIECE = 256 * 1024

const NOTHING = new Uint8Array(0)

/** Plain numbers that only grow. */
export interface CaptureStats {
  /** Packets that were handed over to be written. */
  packets: number
  /** Bytes that were: with all that a file has around its packets. */
  bytes: number
  /** Packets that were not, since too much waited to be written. */
  dropped: number
}

/** Why a capture has ended: `end` was called, the file may not grow any more, or it could not be written. */
export type CaptureEnd =
  | { reason: 'ended' | 'full', error?: undefined }
  | { reason: 'failed', error: Error }

/** Throws `OptionError` for options that cannot work. */
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

/** What a file begins with. */
function header (interfaces: readonly CaptureInterface[], snapLength: number): Uint8Array {
  const origin = { hardware: machine(), os: `${type()} ${release()}`, application: `tunpipe ${version}` }
  return Buffer.concat([sectionHeader(origin), ...interfaces.map((one) => interfaceDescription(one, snapLength))])
}

/**
 * The packets of any number of links in one file. `record` never waits, and throws for nothing but an interface that does
 * not exist: a capture that fails ends, and that is all. After its end, whatever the reason, `record` does nothing.
 */
export class CaptureRecorder {
  readonly interfaces: readonly CaptureInterface[]
  readonly stats: CaptureStats = { packets: 0, bytes: 0, dropped: 0 }
  /** Why the capture has ended, once it has. Never rejects. */
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
  /** Bytes that are left for packets. */
  #room: number
  /** Memory for packets, and how much of it is in use. */
  #piece: Uint8Array = NOTHING
  #used = 0

  /** Writes the beginning of the file. Throws `OptionError` for options that cannot work. */
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

  /** Nothing is recorded any more. */
  get over (): boolean { return this.#over }

  /** It is over because the file has no room for the next packet. */
  get full (): boolean { return this.#full }

  /**
   * Records a batch in one piece and with one time. The packets are copied at once, so they may change afterwards.
   *
   * @param interfaceId its place in `interfaces`
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

  /** Ends the capture: writes how much was seen and dropped. Harmless when it is over. */
  end (): void { this.#finish('ended') }

  /** What is written to is broken: ends the capture without another byte. Harmless when it is over. */
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

  /** Where so many bytes begin that nobody has used yet. */
  #take (size: number): number {
    if (size > this.#piece.length - this.#used) {
      this.#piece = Buffer.allocUnsafeSlow(Math.max(PIECE, size))
      this.#used = 0
    }
    this.#used += size
    return this.#used - size
  }

  /** Now, in microseconds; 0 for a clock that says what cannot be. */
  #timestamp (): number {
    const time = Math.round(this.#now() * 1000)
    return time >= 0 && time <= Number.MAX_SAFE_INTEGER ? time : 0
  }
}

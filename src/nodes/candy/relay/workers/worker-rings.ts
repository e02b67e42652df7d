/** Rings that carry packets from one worker to the others. */
import type { MessagePort } from 'node:worker_threads'
import { acquire, release } from '../../../../buffers/buffer-pool.ts'
import { RingReader, RingWriter, type Label } from '../../../../buffers/shared-ring.ts'
import { FrameEncoder } from '../../../../transforms/websocket-frames/index.ts'
import type { Batch, PacketPort } from '../../../../types.ts'
import type { WorkerRingInit } from './messages.ts'

/** Messages from one worker to another, as frames ready to be sent. */
export interface Framed {
  frames: Uint8Array
  /** The number of messages, and their bytes without framing. */
  count: number
  bytes: number
}

export interface WorkerRingHandlers {
  /** Frames for a local member. Returns true when the memory of the frames is kept until they are sent. */
  onUnicast (network: number, to: number, from: number, framed: Framed): boolean
  /** Frames from a remote member for all local ones. Their memory is free when it returns. */
  onBroadcast (network: number, from: number, framed: Framed): void
}

/** The target of a block: one member of a network, or all except the sender. */
const TO_ALL = 1

/**
 * Frames are encoded into this buffer before they enter the ring: one copy for each message, and from then on the block is copied as a
 * whole.
 */
const scratch = Buffer.allocUnsafeSlow(RingWriter.MAX_BLOCK)
const encoder = new FrameEncoder('server', (length) => length > scratch.length ? Buffer.allocUnsafe(length) : scratch.subarray(0, length))

/** Notifications to another worker, whose thread may be asleep. */
const READ = 0
const ROOM = 1

/** Waiters for room that are resumed in one turn of the event loop. */
const MAX_WAKEUPS = 4

const framesOf = (messages: Batch): Uint8Array => encoder.push(messages)[0]

function sizeOf (messages: Batch): number {
  let bytes = 0
  for (let i = 0; i < messages.length; i++) bytes += messages[i].length
  return bytes
}

class WorkerRing {
  readonly #writer: RingWriter
  readonly #reader: RingReader
  readonly #port: MessagePort
  readonly #handlers: WorkerRingHandlers
  #isDirty = false
  /** Waiters for room. */
  readonly #waiting: Array<() => void> = []
  /** The other worker has been told that this one waits. */
  #isAwaited = false

  constructor ({ incoming, outgoing, port }: WorkerRingInit, handlers: WorkerRingHandlers) {
    this.#writer = new RingWriter(outgoing)
    this.#reader = new RingReader(incoming, acquire)
    this.#port = port
    this.#handlers = handlers
    port.on('message', (message) => {
      if (message === READ) this.#read()
      else this.#release()
    })
    // not before the construction is complete: the other worker may have written already
    setImmediate(this.#read)
  }

  get isCrowded (): boolean { return this.#writer.isCrowded }

  get isFull (): boolean { return this.#writer.isFull }

  write (label: Label, frames: Uint8Array): boolean {
    this.#isDirty = true
    return this.#writer.write(label, frames)
  }

  /** Publishes what was written. Called once for each read of a socket. */
  flush (): void {
    if (!this.#isDirty) return
    this.#isDirty = false
    if (this.#writer.wake()) this.#port.postMessage(READ)
  }

  /** Settles when the other worker has made room. */
  room (): Promise<void> {
    const room = new Promise<void>((resolve) => { this.#waiting.push(resolve) })
    this.#await()
    return room
  }

  readonly #await = (): void => {
    if (this.#isAwaited) return // set until the other worker answers, as other waiters may depend on it
    this.#isAwaited = this.#writer.wait()
    if (!this.#isAwaited) this.#release()
  }

  /** Resumes a few waiters at a time: if all were resumed, most would wait again with data that they have read meanwhile. */
  #release (): void {
    this.#isAwaited = false
    for (const resolve of this.#waiting.splice(0, MAX_WAKEUPS)) resolve()
    if (this.#waiting.length > 0) setImmediate(this.#await)
  }

  readonly #read = (): void => {
    this.#reader.read(this.#take)
    if (this.#reader.wake()) this.#port.postMessage(ROOM)
    // sockets have their turn before the next block
    if (!this.#reader.sleep()) setImmediate(this.#read)
  }

  readonly #take = ([tag, to, from, count, bytes]: Label, frames: Uint8Array): void => {
    const framed = { frames, count, bytes }
    if ((tag & TO_ALL) !== 0) this.#handlers.onBroadcast(tag >> 1, from, framed)
    else if (this.#handlers.onUnicast(tag >> 1, to, from, framed)) return
    release([frames])
  }
}

export class WorkerRings {
  /** The id of the member whose messages are being forwarded. */
  sender = 0
  readonly #rings: Array<WorkerRing | undefined>

  constructor (rings: ReadonlyArray<WorkerRingInit | undefined>, handlers: WorkerRingHandlers) {
    this.#rings = rings.map((ring) => ring && new WorkerRing(ring, handlers))
  }

  /** A port to a member of another worker. It accepts batches while the ring has room; it has no queue of its own. */
  port (network: number, id: number): PacketPort {
    const ring = this.#rings[id % this.#rings.length]
    return {
      send: (batch) => ring?.write([network << 1, id, this.sender, batch.length, sizeOf(batch)], framesOf(batch)) === true ? batch.length : 0,
      queued: 0,
      limit: RingWriter.MAX_BLOCK
    }
  }

  /** Sends to all remote members; returns the number of workers whose ring was full. */
  broadcast (network: number, message: Uint8Array): number {
    const label: Label = [network << 1 | TO_ALL, 0, this.sender, 1, message.length]
    const frames = framesOf([message])
    let full = 0
    for (const ring of this.#rings) if (ring?.write(label, frames) === false) full++
    return full
  }

  flush (): void {
    for (const ring of this.#rings) ring?.flush()
  }

  /** Whether a ring may lack room for the messages of one read. */
  get isFull (): boolean { return this.#rings.some((ring) => ring?.isFull === true) }

  /**
   * Settles when there is room in the rings; undefined when there is now. The wait is bounded by the CPU time of the other workers: they
   * empty their rings however slow their receivers are.
   */
  room (): Promise<void> | undefined {
    for (const ring of this.#rings) if (ring?.isCrowded === true) return ring.room()
    return undefined
  }
}

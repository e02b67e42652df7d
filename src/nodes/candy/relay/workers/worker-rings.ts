/** The ways of packets from one worker to the others. */
import type { MessagePort } from 'node:worker_threads'
import { acquire, release } from '../../../../buffers/buffer-pool.ts'
import { RingReader, RingWriter, type Label } from '../../../../buffers/shared-ring.ts'
import { FrameEncoder } from '../../../../transforms/websocket-frames/index.ts'
import type { Batch, PacketPort } from '../../../../types.ts'
import type { WorkerRingInit } from './messages.ts'

/** Messages that pass from one worker to another, as frames that are ready to be sent. */
export interface Framed {
  frames: Uint8Array
  /** How many messages, and bytes without what frames add. */
  count: number
  bytes: number
}

export interface WorkerRingHandlers {
  /** For a member that is here. True when the memory of the frames is in use from now on, by whoever sends them. */
  onUnicast (network: number, to: number, from: number, framed: Framed): boolean
  /** From a member that is elsewhere, for those that are here. It is done with the frames when it returns. */
  onBroadcast (network: number, from: number, framed: Framed): void
}

/** What a block is for: one member of a network, or all of it but the sender. */
const TO_ALL = 1

/**
 * Frames are made here, and not where they go out: that takes one copy of each message, on the way to a block that is copied as a
 * whole from then on.
 */
const scratch = Buffer.allocUnsafeSlow(RingWriter.MAX_BLOCK)
const encoder = new FrameEncoder('server', (length) => length > scratch.length ? Buffer.allocUnsafe(length) : scratch.subarray(0, length))

/** What a worker says to another one, whose thread may be asleep. */
const READ = 0
const ROOM = 1

/** How many of those who wait for room go on in one turn of the loop. */
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
  /** Those who wait for room. */
  readonly #waiting: Array<() => void> = []
  /** The other worker knows that somebody waits. */
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
    // not before whoever makes this is complete: another worker may have begun long ago, and have written
    setImmediate(this.#read)
  }

  get isCrowded (): boolean { return this.#writer.isCrowded }

  get isFull (): boolean { return this.#writer.isFull }

  write (label: Label, frames: Uint8Array): boolean {
    this.#isDirty = true
    return this.#writer.write(label, frames)
  }

  /** Whatever was written is to be read. Once a read of a socket. */
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
    if (this.#isAwaited) return // to take back that others wait could leave them waiting
    this.#isAwaited = this.#writer.wait()
    if (!this.#isAwaited) this.#release()
  }

  /** A few at a time: if all went on at once, most of them would come back with what they have read, and nowhere to put it. */
  #release (): void {
    this.#isAwaited = false
    for (const resolve of this.#waiting.splice(0, MAX_WAKEUPS)) resolve()
    if (this.#waiting.length > 0) setImmediate(this.#await)
  }

  readonly #read = (): void => {
    this.#reader.read(this.#take)
    if (this.#reader.wake()) this.#port.postMessage(ROOM)
    // what has come meanwhile waits until sockets have had their turn
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
  /** Whose messages pass to other workers now: the member that has sent them. */
  sender = 0
  readonly #rings: Array<WorkerRing | undefined>

  constructor (rings: ReadonlyArray<WorkerRingInit | undefined>, handlers: WorkerRingHandlers) {
    this.#rings = rings.map((ring) => ring && new WorkerRing(ring, handlers))
  }

  /** Leads to a member of another worker. It takes a batch as long as the way there has room, and nothing waits in it that this end could see. */
  port (network: number, id: number): PacketPort {
    const ring = this.#rings[id % this.#rings.length]
    return {
      send: (batch) => ring?.write([network << 1, id, this.sender, batch.length, sizeOf(batch)], framesOf(batch)) === true ? batch.length : 0,
      queued: 0,
      limit: RingWriter.MAX_BLOCK
    }
  }

  /** To all members that are not here; returns how many workers could not be told. */
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

  /** Whether there may be no room for what a read brings. */
  get isFull (): boolean { return this.#rings.some((ring) => ring?.isFull === true) }

  /**
   * Undefined when there is room for more; else settles when there is. Waiting is no worse than to be slow oneself: a worker empties
   * its rings whatever its receivers do, so it lasts only while its processor has no time.
   */
  room (): Promise<void> | undefined {
    for (const ring of this.#rings) if (ring?.isCrowded === true) return ring.room()
    return undefined
  }
}

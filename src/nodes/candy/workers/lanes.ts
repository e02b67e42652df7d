/** The ways of packets from one worker to the others. */
import type { MessagePort } from 'node:worker_threads'
import { RingReader, RingWriter } from '../../../shared-ring.ts'
import type { Batch, PacketPort } from '../../../types.ts'
import type { LaneInit } from './messages.ts'

/** What a record is for: one member of a network, or all of it but the sender. */
const TO_ALL = 1

export interface LaneHandlers {
  /** For a member that is here. */
  onUnicast (network: number, to: number, from: number, messages: Batch): void
  /** From a member that is elsewhere, for those that are here. */
  onBroadcast (network: number, from: number, messages: Batch): void
}

/** What a worker says to another one, whose thread may be asleep. */
const READ = 0
const ROOM = 1

class Lane {
  readonly #writer: RingWriter
  readonly #reader: RingReader
  readonly #port: MessagePort
  readonly #handlers: LaneHandlers
  #isDirty = false
  #room: Promise<void> | undefined
  #onRoom: (() => void) | undefined

  constructor ({ incoming, outgoing, port }: LaneInit, handlers: LaneHandlers) {
    this.#writer = new RingWriter(outgoing)
    this.#reader = new RingReader(incoming)
    this.#port = port
    this.#handlers = handlers
    port.on('message', (message) => {
      if (message === READ) this.#read()
      else this.#onRoom?.()
    })
    // not before whoever makes this is complete: another worker may have begun long ago, and have written
    setImmediate(this.#read)
  }

  get isCrowded (): boolean { return this.#writer.isCrowded }

  write (tag: number, to: number, from: number, messages: Batch): boolean {
    this.#isDirty = true
    return this.#writer.write(tag, to, from, messages)
  }

  /** Whatever was written is to be read. Once a read of a socket. */
  flush (): void {
    if (!this.#isDirty) return
    this.#isDirty = false
    if (this.#writer.wake()) this.#port.postMessage(READ)
  }

  /** Settles when the other worker has made room. */
  room (): Promise<void> {
    if (this.#room !== undefined) return this.#room // to take back that others wait could leave them waiting
    if (!this.#writer.wait()) return Promise.resolve()
    this.#room = new Promise((resolve) => {
      this.#onRoom = () => {
        this.#room = this.#onRoom = undefined
        resolve()
      }
    })
    return this.#room
  }

  readonly #read = (): void => {
    this.#reader.read(this.#take)
    if (this.#reader.wake()) this.#port.postMessage(ROOM)
    // what has come meanwhile waits until sockets have had their turn
    if (!this.#reader.sleep()) setImmediate(this.#read)
  }

  readonly #take = (tag: number, to: number, from: number, messages: Batch): void => {
    if ((tag & TO_ALL) === 0) this.#handlers.onUnicast(tag >> 1, to, from, messages)
    else this.#handlers.onBroadcast(tag >> 1, from, messages)
  }
}

export class Lanes {
  /** Whose messages pass to other workers now: the member that has sent them. */
  sender = 0
  readonly #lanes: Array<Lane | undefined>

  constructor (lanes: ReadonlyArray<LaneInit | undefined>, handlers: LaneHandlers) {
    this.#lanes = lanes.map((lane) => lane && new Lane(lane, handlers))
  }

  /** Leads to a member of another worker. It takes a batch as long as the way there has room, and nothing waits in it that this end could see. */
  port (network: number, id: number): PacketPort {
    const lane = this.#lanes[id % this.#lanes.length]
    return {
      send: (batch) => lane?.write(network << 1, id, this.sender, batch) === true ? batch.length : 0,
      queued: 0,
      limit: RingWriter.MAX_BATCH
    }
  }

  /** To all members that are not here; returns how many workers could not be told. */
  broadcast (network: number, message: Uint8Array): number {
    let full = 0
    for (const lane of this.#lanes) {
      if (lane?.write(network << 1 | TO_ALL, 0, this.sender, [message]) === false) full++
    }
    return full
  }

  flush (): void {
    for (const lane of this.#lanes) lane?.flush()
  }

  /**
   * Undefined when there is room for what a read brings; else settles when there may be. Waiting is no worse than to be slow oneself:
   * a worker empties its rings whatever its receivers do, so it lasts only while its processor has no time.
   */
  room (): Promise<void> | undefined {
    for (const lane of this.#lanes) if (lane?.isCrowded === true) return lane.room()
    return undefined
  }
}

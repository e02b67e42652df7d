/** Forwards messages between clients: one look at each, no decoding, one write for each receiver and read (natpass protocol, section 3). */
import type { Client } from './client.ts'
import type { LinkQueue } from './outbox.ts'
import type { Links } from './links.ts'
import { mayMessage } from './policy.ts'
import type { RelaySettings } from './settings.ts'
import type { MessageDrop, RelayTotals } from './stats.ts'
import type { Taps } from './taps.ts'
import type { VirtualLink } from './virtual-link.ts'
import { Envelope } from '../protocol/envelope.ts'
import { CHECKSUM_BYTES, LENGTH_BYTES, MAX_PAYLOAD, sealFrame, verifyChecksum } from '../protocol/frames.ts'
import { MessageType } from '../protocol/message-types.ts'
import { decodeMessage, msgSchema, type Message } from '../protocol/messages.ts'
import { ProtobufError } from '../../../transforms/protobuf/wire.ts'
import { release } from '../../../buffers/buffer-pool.ts'
import type { Batch, Clock } from '../../../types.ts'

/** Bytes of a frame in front of its message. */
const HEAD_BYTES = LENGTH_BYTES + CHECKSUM_BYTES

/** Bytes that other addresses may add to a message, besides their own. */
const ADDRESS_OVERHEAD = 20

export interface RouterContext {
  readonly settings: Pick<RelaySettings, 'rules' | 'stallTimeout'>
  readonly clock: Clock
  readonly totals: RelayTotals
  readonly links: Links
  readonly taps: Taps
  /** The client of an id. */
  find (id: string): Client | undefined
}

export class Router {
  readonly #context: RouterContext
  readonly #envelope = new Envelope(msgSchema)
  /** Queues with frames of the current read. */
  readonly #dirty: LinkQueue[] = []
  /** The clients of those. */
  readonly #receivers = new Set<Client>()
  /** Links of the current read whose receiver is slow. */
  readonly #full = new Map<LinkQueue, VirtualLink<Client>>()

  constructor (context: RouterContext) { this.#context = context }

  /**
   * Forwards the frames of one read, and releases their memory.
   *
   * @param frames with length and checksum
   * @returns a promise while the sender has to wait, as a receiver of its links is slow
   * @throws {ChecksumError} @throws {ProtobufError} for a frame that breaks the protocol, when those before it are forwarded
   */
  forward (client: Client, frames: Batch): Promise<void> | undefined {
    const { totals } = this.#context
    const { traffic } = client
    try {
      for (const frame of frames) {
        verifyChecksum(frame)
        traffic.framesIn++
        traffic.bytesIn += frame.length
        totals.framesIn++
        totals.bytesIn += frame.length
        this.#route(client, frame)
      }
    } finally {
      this.#flush()
      release(frames)
    }
    return this.#full.size === 0 ? undefined : this.#waitForRoom(client)
  }

  #route (client: Client, frame: Uint8Array): void {
    const envelope = this.#envelope.read(frame, HEAD_BYTES)
    const { type } = envelope
    if (type === MessageType.keepalive) return
    if (type === MessageType.handshake) return this.#drop('handshake')
    if (type === MessageType.connectReq) return this.#open(client, frame)
    if (envelope.linkStart === envelope.linkEnd) return this.#forwardUnlinked(client, frame)
    let link = client.lastLink
    if (link === undefined || !envelope.isOfLink(link.idBytes)) {
      link = this.#context.links.get(envelope.link)
      if (link === undefined) return this.#drop('unknown_link')
      if (!link.belongsTo(client)) return this.#drop('not_owner')
      client.lastLink = link
    }
    const receiver = link.otherEnd(client)
    if (!this.#enqueue(client, receiver, link.queueTo(receiver), frame)) return this.#drop('not_owner')
    if (type === MessageType.disconnect) this.#forget(client, link)
    else if (type === MessageType.connectRep && client === link.target) this.#answered(client, link, frame)
    this.#hold(receiver, link)
  }

  #open (client: Client, frame: Uint8Array): void {
    const envelope = this.#envelope
    const type = decode(frame).creq?._type
    const link = this.#context.links.open(client, { id: envelope.link, to: envelope.to, type: type ?? undefined })
    if (link === undefined) return
    this.#enqueue(client, link.target, link.queueTo(link.target), frame)
    this.#hold(link.target, link)
  }

  /** The sender has to wait when a link is full. A client for which too much waits, of links that are over as well, is ended. */
  #hold (receiver: Client, link: VirtualLink<Client>): void {
    const queue = link.queueTo(receiver)
    if (receiver.outbox.isExceeded) receiver.end('write_timeout')
    else if (queue.isFull && this.#context.links.get(link.id) === link) this.#full.set(queue, link)
  }

  /** A message of no link goes to the client that it names. */
  #forwardUnlinked (client: Client, frame: Uint8Array): void {
    const { settings: { rules } } = this.#context
    const receiver = this.#context.find(this.#envelope.to)
    if (receiver === undefined) this.#drop('unknown_client')
    else if (!mayMessage(rules, client.id, receiver.id)) this.#drop('policy')
    else if (receiver.outbox.isUnlinkedFull) this.#drop('queue')
    else this.#enqueue(client, receiver, receiver.outbox.unlinked, frame)
  }

  #answered (client: Client, link: VirtualLink<Client>, frame: Uint8Array): void {
    if (isAccepted(frame)) this.#context.links.accepted(link)
    else this.#forget(client, link)
  }

  /** The end that has ended a link gets nothing more of it. */
  #forget (client: Client, link: VirtualLink<Client>): void {
    this.#context.links.forget(link)
    if (link.opener !== link.target) link.queueTo(client).drop()
  }

  /** Adds a frame for a receiver, with the sender's true id. False when it is addressed to somebody else. */
  #enqueue (client: Client, receiver: Client, queue: LinkQueue, frame: Uint8Array): boolean {
    const envelope = this.#envelope
    if (!envelope.isAddressed(client.idBytes, receiver.idBytes)) {
      if (envelope.to !== receiver.id) return false
      frame = this.#readdressed(client, receiver, frame)
    }
    const { taps, totals } = this.#context
    if (taps.size > 0) taps.show(frame.subarray(HEAD_BYTES), client, receiver)
    if (queue.collect(frame)) this.#dirty.push(queue)
    this.#receivers.add(receiver)
    receiver.traffic.framesOut++
    receiver.traffic.bytesOut += frame.length
    totals.framesOut++
    totals.bytesOut += frame.length
    return true
  }

  #readdressed (client: Client, receiver: Client, frame: Uint8Array): Uint8Array {
    const into = Buffer.allocUnsafe(frame.length + client.idBytes.length + receiver.idBytes.length + ADDRESS_OVERHEAD)
    const end = this.#envelope.writeAddressed(client.idBytes, receiver.idBytes, into, HEAD_BYTES)
    if (end - HEAD_BYTES > MAX_PAYLOAD) throw new ProtobufError(`a message of ${end - HEAD_BYTES} bytes with the addresses of its ends, limit ${MAX_PAYLOAD}`)
    return sealFrame(into.subarray(0, end))
  }

  #drop (reason: MessageDrop): void { this.#context.totals.drops[reason]++ }

  /** Queues what was collected. */
  #flush (): void {
    for (const queue of this.#dirty) queue.pushCollected()
    this.#dirty.length = 0
    for (const { outbox } of this.#receivers) outbox.run()
    this.#receivers.clear()
  }

  /** Waits for slow receivers; then their links end, and the others go on. */
  #waitForRoom (client: Client): Promise<void> | undefined {
    const { links, clock, settings: { stallTimeout } } = this.#context
    const waiting = new Map<LinkQueue, VirtualLink<Client>>()
    for (const [queue, link] of this.#full) {
      if (!queue.isFull || client.ended !== undefined) continue
      if (queue.isStalled) links.end(link, 'stalled')
      else waiting.set(queue, link)
    }
    this.#full.clear()
    if (waiting.size === 0) return undefined
    return new Promise((resolve) => {
      const timer = clock.set(stallTimeout, () => {
        for (const link of waiting.values()) links.end(link, 'stalled')
        resolve()
      })
      for (const queue of waiting.keys()) {
        queue.whenRoom(() => {
          waiting.delete(queue)
          if (waiting.size > 0) return
          clock.clear(timer)
          resolve()
        })
      }
    })
  }
}

const decode = (frame: Uint8Array): Message => decodeMessage(frame.subarray(HEAD_BYTES))

const isAccepted = (frame: Uint8Array): boolean => decode(frame).crep?.ok === true

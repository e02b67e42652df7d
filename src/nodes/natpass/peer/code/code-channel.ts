/** What passes over a link of type `code`: requests and WebSockets, each with a credit of its own in both directions (natpass protocol, sections 4.2 and 6.6). */
import { Backlog } from './backlog.ts'
import { MessageType } from '../../protocol/message-types.ts'
import { bodyOf, messageOfBody, type MessageInit } from '../../protocol/messages.ts'
import { CodedError, LinkClosedError } from '../../../../errors.ts'
import { AsyncQueue } from '../../../../streams/async-queue.ts'
import { consume } from '../../../../streams/consume.ts'
import type { MuxLink } from '../../../../transforms/link-mux/index.ts'
import type { Batch } from '../../../../types.ts'

/** Bytes of a piece of a body or of a message of a WebSocket. */
export const MAX_PIECE = 32 << 10

/** Bytes of credit that each direction of a stream begins with, and what a piece costs beyond its bytes, so that many empty ones are bounded too. */
const WINDOW = 128 << 10
const OVERHEAD = 64

/** The largest credit. */
const MAX_CREDIT = 0xffffffff

/** Bytes that wait for the link: senders of pieces wait beyond it; so does the reader of the link, beyond the second one, as answers are not bounded. */
const QUEUE = 128 << 10
const MAX_QUEUE = 1 << 20

/** Bits of the field `mask` of bodies. */
export const Mask = { ok: 1, last: 2 } as const

/** The other end breaks the protocol, or messages are missing. */
export class CodeChannelError extends CodedError<'ERR_CODE_CHANNEL'> {
  override readonly name = 'CodeChannelError'

  constructor (text: string) { super('ERR_CODE_CHANNEL', text) }
}

/** What a stream does with what comes. */
export interface StreamEvents {
  /** A message of the stream, whose memory may be used until this returns. */
  take (message: MessageInit): void
  /** The link is over. */
  fail (err: Error): void
}

/** What the other end begins. */
export type TakeOpening = (message: MessageInit, id: number) => void

export class CodeChannel {
  /** The other end is one of tunpipe: it gives credit, and takes what section 6.6 has. */
  readonly isOurs: boolean
  /** What was sent and received: messages, and their bytes. */
  readonly counted = { sent: 0, sentBytes: 0, received: 0, receivedBytes: 0 }
  /** What readers of its streams have not taken yet. */
  readonly backlog = new Backlog()
  readonly #link: MuxLink
  readonly #queue: AsyncQueue
  readonly #streams = new Map<number, CodeStream>()
  #drained: { readonly promise: Promise<void>, resolve (): void } | undefined
  /** Why the link is over. */
  #over: Error | undefined
  #lastId = 0

  constructor (link: MuxLink) {
    this.#link = link
    this.isOurs = link.halfClose
    this.#queue = new AsyncQueue({ weigh: ({ length }) => length + OVERHEAD, onPull: () => { this.#wake() } })
    link.sink(this.#queue).catch(() => {}) // reading ends as well
  }

  /** Requests and WebSockets. */
  get size (): number { return this.#streams.size }

  /** Of a stream that this end begins. */
  nextId (): number { return ++this.#lastId }

  /** A stream; ends by `CodeStream.close`. When the link is over it fails at once, but not before this has returned. */
  add (id: number, events: StreamEvents): CodeStream {
    const stream: CodeStream = new CodeStream(id, this, events, () => { if (this.#streams.get(id) === stream) this.#streams.delete(id) })
    const over = this.#over
    if (over === undefined) this.#streams.set(id, stream)
    else queueMicrotask(() => { stream.fail(over) })
    return stream
  }

  /** Sends a message that costs no credit. */
  send (message: MessageInit): void {
    const body = bodyOf(message)
    this.counted.sent++
    this.counted.sentBytes += body.length
    this.#queue.push(body)
  }

  /** A promise while too much waits for the link. */
  drained (limit = QUEUE): Promise<void> | undefined {
    if (this.#queue.size < limit || this.#queue.closed) return undefined
    if (this.#drained === undefined) {
      let resolve = (): void => {}
      const promise = new Promise<void>((_resolve) => { resolve = _resolve })
      this.#drained = { promise, resolve }
    }
    return this.#drained.promise
  }

  /**
   * Reads the link until it is over, and ends it. Settles with the reason.
   *
   * @param open called with what begins a stream; not with an id that is in use
   */
  async run (open: TakeOpening = () => {}): Promise<Error> {
    let reason: Error = new LinkClosedError('the other end has left')
    try {
      await consume(this.#link, (batch) => this.#take(batch, open))
    } catch (err) {
      reason = err as Error
    }
    this.close(reason)
    return reason
  }

  /** Ends the link, and all streams. */
  close (reason: Error): void {
    this.#over ??= reason
    this.#link.abort(reason)
    this.#queue.discard()
    this.#queue.end()
    this.#wake()
    for (const stream of this.#streams.values()) stream.fail(reason)
    this.#streams.clear()
  }

  #take (batch: Batch, open: TakeOpening): Promise<void> | undefined {
    if (this.#link.dropped > 0) throw new CodeChannelError('messages of the link are lost, as too many came at once')
    for (const body of batch) {
      this.counted.received++
      this.counted.receivedBytes += body.length
      this.#dispatch(messageOfBody(body), open)
    }
    return this.drained(MAX_QUEUE)
  }

  #dispatch (message: MessageInit, open: TakeOpening): void {
    const type = message._type as number
    const { csreq, csconn, csrep_hdr: head, csrep_body: answer, csconn_rep: accepted, csdata: data, csreq_body: body, cswindow: window } = message
    const part = csreq ?? csconn ?? head ?? answer ?? accepted ?? data ?? body ?? window
    if (part == null) return
    const id = Number(part.request_id)
    const stream = this.#streams.get(id)
    if (type === MessageType.codeRequest || type === MessageType.codeConnect) {
      if (stream !== undefined) throw new CodeChannelError(`a second request with the id ${id}`)
      open(message, id)
    } else if (type === MessageType.codeWindow) {
      stream?.grant(window?.bytes ?? 0)
    } else {
      stream?.receive(message, pieceOf(answer) ?? pieceOf(body) ?? (data?.ok === true ? data.data : undefined))
    }
  }

  #wake (): void {
    this.#drained?.resolve()
    this.#drained = undefined
  }
}

/** What of a body costs credit. */
const pieceOf = (part: MessageInit['csrep_body']): Uint8Array | null | undefined => ((part?.mask ?? 0) & Mask.ok) === 0 ? undefined : part?.body

/** A request with its answer, or a WebSocket. */
export class CodeStream {
  readonly id: number
  readonly #channel: CodeChannel
  readonly #events: StreamEvents
  readonly #onClose: () => void
  #credit: number
  /** Of the other end. */
  #granted = WINDOW
  #consumed = 0
  #isOver = false
  #wake: (() => void) | undefined

  constructor (id: number, channel: CodeChannel, events: StreamEvents, onClose: () => void) {
    this.id = id
    this.#channel = channel
    this.#events = events
    this.#onClose = onClose
    this.#credit = channel.isOurs ? WINDOW : Infinity
  }

  get isOver (): boolean { return this.#isOver }

  /** Sends a message that costs no credit. */
  send (message: MessageInit): void { if (!this.#isOver) this.#channel.send(message) }

  /**
   * Sends a piece once there is credit, and room. One at a time.
   *
   * @param bytes - of its data
   * @returns false when the stream is over
   */
  async write (message: MessageInit, bytes: number): Promise<boolean> {
    const cost = bytes + OVERHEAD
    while (this.#credit < cost && !this.#isOver) await new Promise<void>((resolve) => { this.#wake = resolve })
    if (this.#isOver) return false
    this.#credit -= cost
    this.#channel.send(message)
    await this.#channel.drained()
    return !this.#isOver
  }

  /** Data of a piece was passed on: the other end may send as much again. */
  consumed (bytes: number): void {
    if (!this.#channel.isOurs || this.#isOver) return
    this.#consumed += bytes + OVERHEAD
    if (this.#consumed * 2 < WINDOW) return
    this.#channel.send({ _type: MessageType.codeWindow, cswindow: { request_id: this.id, bytes: this.#consumed } })
    this.#granted += this.#consumed
    this.#consumed = 0
  }

  /** A `code_window`. */
  grant (bytes: number): void {
    this.#credit += bytes
    if (this.#credit > MAX_CREDIT && this.#channel.isOurs) throw new CodeChannelError(`more credit than ${MAX_CREDIT} bytes`)
    this.#resume()
  }

  /** Any other message. @param data - what costs credit; undefined when it has none */
  receive (message: MessageInit, data: Uint8Array | null | undefined): void {
    if (data != null && this.#channel.isOurs) {
      this.#granted -= data.length + OVERHEAD
      if (this.#granted < 0) throw new CodeChannelError(`${-this.#granted} bytes beyond the credit of a request`)
    }
    this.#events.take(message)
  }

  /** Nothing more is sent or received. */
  close (): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#onClose()
    this.#resume()
  }

  /** The link is over. */
  fail (err: Error): void {
    this.close()
    this.#events.fail(err)
  }

  #resume (): void {
    this.#wake?.()
    this.#wake = undefined
  }
}

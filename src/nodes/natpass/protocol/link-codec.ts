/** Virtual links on the wire of natpass, as a codec of `linkMux` (natpass protocol, sections 4.1 and 6). */
import { randomBytes } from 'node:crypto'
import { LinkTraffic } from './link-traffic.ts'
import { CODE_TYPES, DESKTOP_TYPES, MessageType, SERVER } from './message-types.ts'
import { bodyOf, messageOfBody, type Message, type MessageInit } from './messages.ts'
import { ResetCode, type MuxCodec, type MuxDecoder, type MuxEncoder, type MuxFrames } from '../../../transforms/link-mux/index.ts'
import type { Batch } from '../../../types.ts'

/** The version of what tunpipe's own ends say to each other. */
const VERSION = 1

/** Bytes of data in one message: with addresses it fits into a frame, and others get their turn. */
const MAX_DATA = 48 << 10

/** Bytes of a datagram that is sent: with ids of any length it fits into a frame (section 6.5). */
export const MAX_DATAGRAM = 63 << 10

/** Bytes of a token. */
export const TOKEN_BYTES = 16

/** Random bytes of the id of a link. */
const ID_BYTES = 8
const MAX_ID = 64

/** Characters of the id of a client. */
const MAX_CLIENT = 128

/** Types of links whose data has its own kind of message, by their numbers; that of all others is `forward`. */
const UDP = 1
const SHELL = 2
const VNC = 3
const CODE = 5

/** What a link is opened with. */
export interface LinkRequest {
  /** The client at the other end. */
  readonly client: string
  /** Without `link`, which the codec sets. */
  readonly request: NonNullable<MessageInit['creq']>
  /** To attach to a shell again. */
  readonly again?: Attachment | undefined
  /** Counts what the link carries. The codec sets it where the other end opens. */
  readonly traffic?: LinkTraffic | undefined
}

/** What a shell is attached to again by (section 6.4). */
export interface Attachment {
  /** The id of its link. */
  readonly id: string
  readonly token: Uint8Array
  /** Bytes of its output that were received. */
  readonly received: number
}

/** What it is accepted with, or refused. */
export interface LinkResponse {
  /** For people, where it is refused. */
  readonly text?: string | undefined
  /** To attach to the shell again later. */
  readonly token?: Uint8Array | undefined
  /** Bytes of its input that were received, where it is attached to again. */
  readonly received?: number
}

/** Called for messages that are no frames of links. */
export interface LinkEvents {
  /** Any message. */
  onMessage (message: Message): void
  /** The terminal of a shell has another size. */
  onResize (id: string, rows: number, columns: number): void
  /** The program of a shell has ended. */
  onExit (id: string, exit: ShellExit): void
}

/** How a program has ended: by itself with a code, or by a signal. Undefined where it is not known. */
export interface ShellExit {
  readonly code: number | undefined
  /** The number of the signal. */
  readonly signal: number | undefined
}

/** Reasons of natpass, beside those of `ResetCode`. */
export const NatpassReset = {
  /** The server has ended the link: the connection of the other end is lost. */
  LOST: 64,
  /** The server has refused the link: the other client is not there, for one. */
  UNREACHABLE: 65
} as const

/** An open link, or one that is being opened. */
interface Entry {
  readonly client: string
  readonly isShell: boolean
  /** Each message is a datagram. */
  readonly isUdp: boolean
  /** Types of the messages that it carries, whole, as `bodyOf` writes them: of a desktop or of code-server. */
  readonly carried: ReadonlySet<number> | undefined
  readonly traffic: LinkTraffic | undefined
  /** This end has opened it. */
  readonly isOpener: boolean
  /** The other end is one of tunpipe. */
  isOurs: boolean
  /** How its program has ended, of a shell that this end has opened. */
  exit?: ShellExit
}

/** A codec, and how the programs of shells have ended. */
export interface NatpassLinks extends MuxCodec<string, LinkRequest, LinkResponse, Message, MessageInit> {
  /** Tells it to the other end, with the next frame of the link. Does nothing where that does not know of it. */
  tellExit (id: string, exit: ShellExit): void
  /** What the other end has told. */
  exitOf (id: string): ShellExit | undefined
}

/** The codec of one connection. @param own - id of the client that it is of */
export function natpassLinks (own: string, events: LinkEvents): NatpassLinks {
  const entries = new Map<string, Entry>()
  const encoder = new LinkEncoder(own, entries)
  return {
    maxData: MAX_DATA,
    maxMessage: MAX_DATAGRAM,
    encoder,
    decoder: new LinkDecoder(entries, events),
    reusesIds: true,
    tellExit: (id, exit) => { encoder.exit(id, exit) },
    exitOf: (id) => entries.get(id)?.exit,
    nextId: ({ again }) => again?.id ?? randomBytes(ID_BYTES).toString('hex'),
    mayOpen: (id) => id !== '' && id.length <= MAX_ID
  }
}

class LinkEncoder implements MuxEncoder<string, LinkRequest, LinkResponse, MessageInit> {
  readonly #own: string
  readonly #entries: Map<string, Entry>
  #out: Batch<MessageInit> = []

  constructor (own: string, entries: Map<string, Entry>) {
    this.#own = own
    this.#entries = entries
  }

  open (id: string, asked: LinkRequest, window: number | undefined): void {
    const entry = newEntry(asked.client, asked.request._type, true, false, asked.traffic)
    this.#entries.set(id, entry)
    this.#push(id, entry, { _type: MessageType.connectReq, creq: requestFor(asked, window) })
  }

  accept (id: string, { token, received }: LinkResponse, window: number | undefined): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#push(id, entry, { _type: MessageType.connectRep, crep: { ok: true, ...(entry.isOurs ? { link: { version: VERSION, window, token, received } } : {}) } })
  }

  reject (id: string, _code: number, response: LinkResponse | undefined): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    this.#push(id, entry, { _type: MessageType.connectRep, crep: { ok: false, msg: response?.text ?? 'refused' } })
  }

  data (id: string, data: Uint8Array): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    entry.traffic?.sent(data.length)
    if (entry.carried !== undefined) return this.#push(id, entry, messageOfBody(data))
    this.#push(id, entry, entry.isShell ? { _type: MessageType.shellData, sdata: { data } } : { _type: MessageType.forward, _data: { data } })
  }

  window (id: string, window: number): void {
    const entry = this.#entries.get(id)
    if (entry?.isOurs === true) this.#push(id, entry, { _type: MessageType.window, window })
  }

  end (id: string): void {
    const entry = this.#entries.get(id)
    if (entry !== undefined) this.#push(id, entry, { _type: MessageType.end })
  }

  /** Only between ends of tunpipe (section 6.3). */
  exit (id: string, exit: ShellExit): void {
    const entry = this.#entries.get(id)
    if (entry?.isOurs === true) this.#push(id, entry, { _type: MessageType.exit, exit })
  }

  /** The relay may forget the link (section 6.3). */
  over (id: string): void { this.reset(id) }

  reset (id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    this.#push(id, entry, { _type: MessageType.disconnect })
  }

  take (): Batch<MessageInit> {
    const out = this.#out
    this.#out = []
    return out
  }

  #push (id: string, { client }: Entry, message: Omit<MessageInit, '_type'> & { _type?: number | null }): void {
    this.#out.push({ ...message, from: this.#own, to: client, link_id: id } as MessageInit)
  }
}

class LinkDecoder implements MuxDecoder<string, LinkRequest, LinkResponse, Message> {
  readonly #entries: Map<string, Entry>
  readonly #events: LinkEvents

  constructor (entries: Map<string, Entry>, events: LinkEvents) {
    this.#entries = entries
    this.#events = events
  }

  push (batch: Batch<Message>, frames: MuxFrames<string, LinkRequest, LinkResponse>): void {
    for (const message of batch) {
      this.#events.onMessage(message)
      this.#decode(message, frames)
    }
  }

  end (): void {}

  #decode (message: Message, frames: MuxFrames<string, LinkRequest, LinkResponse>): void {
    const { link_id: id, from } = message
    const type = message._type as number
    if (id === '') return
    if (type === MessageType.connectReq) return this.#open(message, frames)
    const entry = this.#entries.get(id)
    if (entry === undefined || (from !== entry.client && from !== SERVER)) return
    switch (type) {
      case MessageType.connectRep:
        this.#answer(id, entry, message, frames)
        break
      case MessageType.shellData:
        deliver(id, entry, message.sdata?.data, frames)
        break
      case MessageType.forward:
        deliver(id, entry, message._data?.data, frames)
        break
      case MessageType.shellResize:
        this.#events.onResize(id, message.sresize?.rows ?? 0, message.sresize?.cols ?? 0)
        break
      case MessageType.exit:
        if (entry.isOpener && entry.isShell) {
          entry.exit = { code: message.exit?.code ?? undefined, signal: message.exit?.signal ?? undefined }
          this.#events.onExit(id, entry.exit)
        }
        break
      case MessageType.window:
        frames.window(id, message.window)
        break
      case MessageType.end:
        frames.end(id)
        break
      case MessageType.disconnect:
        this.#entries.delete(id)
        frames.reset(id, !entry.isOurs ? ResetCode.CLOSED : from === SERVER ? NatpassReset.LOST : ResetCode.CANCELLED)
        break
      default:
        if (entry.carried?.has(type) === true) carry(id, entry, bodyOf(message), frames)
    }
  }

  #open ({ link_id: id, from, creq }: Message, frames: MuxFrames<string, LinkRequest, LinkResponse>): void {
    if (creq == null || this.#entries.has(id) || id.length > MAX_ID || from.length > MAX_CLIENT) return // what cannot be answered in a frame
    const { link, ...request } = creq
    const traffic = new LinkTraffic()
    this.#entries.set(id, newEntry(from, creq._type, false, link != null, traffic))
    const again = (link?.token?.length ?? 0) === 0 ? undefined : { id, token: link?.token as Uint8Array, received: Number(link?.received ?? 0) }
    frames.open(id, { client: from, request, again, traffic }, windowOf(link))
  }

  #answer (id: string, entry: Entry, { from, crep }: Message, frames: MuxFrames<string, LinkRequest, LinkResponse>): void {
    if (!entry.isOpener) return // only the other end answers
    if (crep?.ok !== true) {
      this.#entries.delete(id)
      frames.reject(id, from === SERVER ? NatpassReset.UNREACHABLE : ResetCode.REFUSED, { text: crep?.msg ?? '' })
      return
    }
    entry.isOurs = crep.link != null
    const token = crep.link?.token
    frames.accept(id, { token: token?.length === TOKEN_BYTES ? Uint8Array.from(token) : undefined, received: Number(crep.link?.received ?? 0) }, windowOf(crep.link))
  }
}

const newEntry = (client: string, type: number | null | undefined, isOpener: boolean, isOurs: boolean, traffic?: LinkTraffic): Entry =>
  ({ client, isShell: type === SHELL, isUdp: type === UDP, carried: type === VNC ? DESKTOP_TYPES : type === CODE ? CODE_TYPES : undefined, isOpener, isOurs, traffic })

/** What asks another client for a link. @param window bytes that this end is ready to receive */
export const requestFor = ({ request, again }: LinkRequest, window: number | undefined): NonNullable<MessageInit['creq']> =>
  ({ ...request, link: { version: VERSION, window, token: again?.token, received: again?.received } })

/** Undefined for an end that does not know credit; 0 is credit as well (section 6.1). */
const windowOf = (link: { window?: number | null } | null | undefined): number | undefined => link == null ? undefined : link.window ?? 0

/** Original ends send as much as fits into a frame. Datagrams stay whole. */
function deliver (id: string, { isUdp, traffic }: Entry, data: Uint8Array | null | undefined, frames: Pick<MuxFrames<string, never, never>, 'data'>): void {
  traffic?.received(data?.length ?? 0)
  if (data == null || isUdp) return frames.data(id, data ?? NOTHING)
  for (let at = 0; at === 0 || at < data.length; at += MAX_DATA) frames.data(id, data.subarray(at, at + MAX_DATA))
}

function carry (id: string, { traffic }: Entry, body: Uint8Array, frames: Pick<MuxFrames<string, never, never>, 'data'>): void {
  traffic?.received(body.length)
  frames.data(id, body)
}

const NOTHING = new Uint8Array(0)

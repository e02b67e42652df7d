/** One connection of a peer to its server: handshake, keep-alives, links (natpass protocol, sections 2 and 4.1). */
import { stack, over } from '../../../layer.ts'
import { LinkClosedError } from '../../../errors.ts'
import { MergedSource } from '../../../streams/merged-source.ts'
import { every } from '../../../streams/clock.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'
import { linkMux, LinkRefusedError, type LinkMux, type LinkMuxInit, type MuxLink } from '../../../transforms/link-mux/index.ts'
import { protobuf } from '../../../transforms/protobuf/index.ts'
import { frames } from '../protocol/frames.ts'
import { natpassLinks, requestFor, type LinkRequest, type NatpassLinks, type LinkResponse, type ShellExit } from '../protocol/link-codec.ts'
import { LINK_TYPES, MessageType, SERVER, type LinkType } from '../protocol/message-types.ts'
import { messageType, msgSchema, type Message, type MessageInit } from '../protocol/messages.ts'
import { legacyProofOf, proofOf, stepAt } from '../protocol/proof.ts'
import { NatpassRefusedError } from './errors.ts'
import type { PeerSettings } from './settings.ts'
import type { Batch, Clock, Link } from '../../../types.ts'

/** Milliseconds between two keep-alives, and without any message until the connection counts as lost. */
const KEEPALIVE_INTERVAL = 10_000
const LOST_AFTER = 60_000

/** Milliseconds for the server to end the connection after this end. */
const CLOSE_TIMEOUT = 1000

/** Bytes of credit, which does not grow: well below what a relay queues for a link, so that a slow end holds up no other link. */
const WINDOW = 256 << 10

/** Types of links whose elements are messages; those of others are bytes. */
const OF_MESSAGES: ReadonlySet<LinkType> = new Set(['udp', 'vnc', 'code'])

/** bytes -> payloads -> messages */
const messages = stack(frames, protobuf<MessageInit, Message>({ type: messageType, schema: msgSchema }))

export interface SessionInit {
  /** The connection. */
  link: Link
  settings: Pick<PeerSettings, 'id' | 'secret' | 'legacyMd5'>
  clock: Clock
  /** Another client opens a link. */
  onOpen: NonNullable<LinkMuxInit<string, LinkRequest, LinkResponse, Message, MessageInit>['onOpen']>
  onResize (id: string, rows: number, columns: number): void
  onExit (id: string, exit: ShellExit): void
  /** The server has accepted the handshake: it carries messages. */
  onOnline (): void
}

export class Session {
  readonly mux: LinkMux<LinkRequest, LinkResponse>
  readonly #clock: Clock
  readonly #links: NatpassLinks
  /** Sends a message besides those of links. Of those with the same key that wait to be written the latest counts. */
  readonly #send: (key: string, message: MessageInit) => void

  constructor ({ link, settings: { id, secret, legacyMd5 }, clock, onOpen, onResize, onExit, onOnline }: SessionInit) {
    this.#clock = clock
    const upper = over(link, messages)
    let heardAt = clock.now()
    let isOnline = false
    const onMessage = (): void => {
      heardAt = clock.now()
      if (isOnline) return
      isOnline = true
      onOnline()
    }
    let merged: MergedSource<MessageInit> | undefined
    const lower = wrapLink(upper, {
      sink: (source: AsyncIterable<Batch<MessageInit>>) => {
        merged = new MergedSource(source)
        merged.put('handshake', handshake(id, legacyMd5 === undefined ? proofOf(secret, stepAt(clock.date())) : legacyProofOf(secret, legacyMd5)))
        merged.put('probe', probe(id))
        return upper.sink(merged)
      }
    })
    const links = this.#links = natpassLinks(id, { onMessage, onResize, onExit })
    this.mux = linkMux({ codec: () => links, onOpen, window: WINDOW, maxWindow: WINDOW, clock })(lower)
    this.#send = (key, message) => { merged?.put(key, { ...message, from: id }) }
    const timer = every(clock, KEEPALIVE_INTERVAL, () => {
      if (clock.now() - heardAt >= LOST_AFTER) this.mux.abort(new LinkClosedError(`nothing was heard of the server for ${LOST_AFTER / 1000} seconds`))
      else this.#send('keepalive', { _type: MessageType.keepalive, to: SERVER })
    })
    void this.mux.ended.then(() => { timer.stop() })
  }

  /**
   * Opens a link to another client.
   *
   * @throws {NatpassRefusedError} when that client or the server refuses; otherwise as `LinkMux.open`
   */
  async open (request: LinkRequest, signal?: AbortSignal): Promise<MuxLink<LinkResponse>> {
    try {
      return await this.mux.open(request, { signal, messages: OF_MESSAGES.has(LINK_TYPES[request.request._type ?? 0]) })
    } catch (err) {
      if (err instanceof LinkRefusedError) throw new NatpassRefusedError((err as LinkRefusedError<LinkResponse>).response?.text, { cause: err })
      throw err
    }
  }

  /** The terminal of a shell has another size. */
  resize (client: string, link: string, rows: number, columns: number): void {
    this.#send(`size ${link}`, { _type: MessageType.shellResize, to: client, link_id: link, sresize: { rows, cols: columns } })
  }

  /** Asks again for the link of a shell that is being opened: a server may have lost the request (section 6.4). */
  askAgain (id: string, request: LinkRequest): void {
    this.#send(`again ${id}`, { _type: MessageType.connectReq, to: request.client, link_id: id, creq: requestFor(request, WINDOW) })
  }

  /** The program of a shell has ended, which another client has opened. */
  tellExit (link: string, exit: ShellExit): void { this.#links.tellExit(link, exit) }

  /** How the program of a shell has ended, as the other end has told. */
  exitOf (link: string): ShellExit | undefined { return this.#links.exitOf(link) }

  /** Ends all links, then the connection. */
  async close (reason: Error): Promise<void> {
    const timer = this.#clock.set(CLOSE_TIMEOUT, () => { this.mux.abort(reason) })
    this.mux.close(reason)
    await this.mux.ended
    this.#clock.clear(timer)
  }
}

const handshake = (id: string, enc: Uint8Array): MessageInit => ({ _type: MessageType.handshake, from: id, to: SERVER, hsp: { enc } })

/** A message to oneself comes back at once, whereas a server says nothing when it has accepted a client. */
const probe = (id: string): MessageInit => ({ _type: MessageType.forward, from: id, to: id })

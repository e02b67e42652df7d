/** Members of a network from the view of a worker: its own connections, and remote ones. */
import { WebSocketProtocolError, type WebSocketLink } from '../../../../transforms/websocket-frames/index.ts'
import type { ConnectionInfo } from '../../../../transports/connection-guard.ts'
import { LinkClosedError } from '../../../../errors.ts'
import type { PacketPort } from '../../../../types.ts'
import { FrameLimiter } from '../frame-limiter.ts'
import { closeFor } from '../../protocol/closings.ts'
import { readGreeting } from '../../protocol/greeting.ts'
import { Member } from '../member.ts'
import { OriginalClient } from '../original-client.ts'
import type { Switch } from '../switch.ts'
import type { Fault, MemberState, WorkerEvent } from './messages.ts'

/** A link accepted by a worker. */
export type WorkerLink = WebSocketLink & ConnectionInfo

/** Applies the state that the packet path needs. */
export function applyState (member: Member, { address, behind, gateways, routes }: MemberState): void {
  member.address = address
  member.behind = behind
  member.gateways = gateways
  member.routes = routes
}

/** Shared by all remote members: nothing is read from them here. */
const UNREAD = new FrameLimiter()

/** A member of another worker. Only drops on the way to it are counted here. */
export class RemoteMember extends Member {
  readonly ended = false

  constructor (network: Switch, port: PacketPort) { super(network, port, UNREAD) }

  reject (): void {} // no message of it arrives here
}

/** A member connected to this worker. Its control messages are handled by the main thread. */
export class Connection extends Member {
  declare network: Switch
  readonly id: number
  readonly link: WorkerLink
  readonly original: OriginalClient
  /** Whether a frame has arrived since the last report. */
  isHeard = true
  readonly #emit: (event: WorkerEvent) => void
  #isGreeted = false
  #ended = false
  #onDone: (() => void) | undefined

  constructor (id: number, link: WorkerLink, unassigned: Switch, emit: (event: WorkerEvent) => void) {
    super(unassigned, link.port)
    this.id = id
    this.link = link
    this.original = new OriginalClient(link, this)
    this.#emit = emit
    link.onText = link.onPong = () => { this.isHeard = true }
    link.onFrames = (frames) => this.throttled(frames)
    link.onPing = (greeting) => {
      this.isHeard = true
      this.original.greeted(greeting)
      this.#greeted(greeting)
    }
    if (link.slot !== undefined) {
      link.slot.evict = () => {
        closeFor(this, 'limit')
        this.abort(new LinkClosedError('made room for another'))
      }
    }
  }

  get ended (): boolean { return this.#ended }

  override tick (now: number): void {
    super.tick(now)
    this.original.tick(now)
  }

  reject (reason: Parameters<Member['reject']>[0], detail: string): void {
    if (this.#ended) return
    this.#ended = true // the connection is closed once this has been counted
    this.#emit({ type: 'reject', id: this.id, reason, detail, received: this.received })
  }

  /** Sends a control message to the main thread; settles when it has been handled, or the connection is to end. */
  awaitDecision (message: Uint8Array): Promise<void> {
    this.frameLimiter.handshake()
    this.#emit({ type: 'message', id: this.id, message: message.slice(), received: this.received })
    return new Promise((resolve) => { this.#onDone = resolve })
  }

  done (): void {
    this.#onDone?.()
    this.#onDone = undefined
  }

  /** The link has ended: removes the member from the packet path. */
  leave (): void {
    this.#ended = true
    const { network, address } = this
    if (network.get(address) === this) network.delete(address)
    network.forget(this)
  }

  close (code: number, reason: string): void {
    this.#ended = true
    this.link.close(code, reason)
    this.done()
  }

  abort (err: Error): void {
    this.#ended = true
    this.link.abort(err)
    this.done()
  }

  /** The first greeting identifies the client; other pings only prove that it is alive. */
  #greeted (greeting: Uint8Array): void {
    if (this.#isGreeted || readGreeting(greeting) === undefined) return
    this.#isGreeted = true
    this.#emit({ type: 'greeting', id: this.id, greeting: greeting.slice() })
  }
}

/** The fault to report for an error that has ended a link. */
export function faultOf (err: Error): Fault {
  const { message } = err
  const code = 'code' in err ? String(err.code) : undefined
  return err instanceof WebSocketProtocolError ? { message, code, closeCode: err.closeCode } : { message, code }
}

/** A registered control connection of a relay: its identity, its port, and how it ends. */
import type { Identity, Proof } from './identities.ts'
import type { Message, ToServer } from '../protocol/messages.ts'
import { ENDINGS, type Ending } from '../protocol/reasons.ts'
import type { GotunnelRejectReason } from './stats.ts'
import { lingeringClose } from '../../common/lingering-close.ts'
import type { Batch, Clock, Endpoint, Link } from '../../../types.ts'

/** A port as its session controls it. */
export interface ServedPort {
  /** @throws an error of the system when it cannot listen */
  open (): Promise<void>
  offline (): void
  /** The client has no data connection for this request. */
  fail (id: string): void
}

export interface SessionInit {
  /** Carries messages; the first frame has been removed. */
  link: Link<ToServer, Message>
  remote: Endpoint
  identity: Identity
  /** The proof of its token. Its data connections authenticate by it, also when the token has changed since. */
  proof: Proof
  /** The name that the client gave itself, escaped for display. */
  name: string
  localPort: number
  remotePort: number
  isStrict: boolean
  /** The client wants the addresses of users. */
  wantsAddresses: boolean
  /** The client acknowledges the opening of each user. */
  acknowledges: boolean
  clock: Clock
  /** Milliseconds of a monotonic clock. */
  now: number
}

export class Session {
  readonly link: Link<ToServer, Message>
  readonly remote: Endpoint
  readonly identity: Identity
  readonly proof: Proof
  readonly name: string
  readonly localPort: number
  readonly remotePort: number
  readonly isStrict: boolean
  readonly wantsAddresses: boolean
  readonly acknowledges: boolean
  readonly since: number
  readonly #clock: Clock
  /** When the last ping arrived. */
  heardAt: number
  /** The client says that its service is up. */
  wantsOnline = true
  /** Data connections, or failures, that have answered requests. */
  answers = 0
  /** The port that it serves; undefined while another session has it, or for a number that is no port. */
  port: ServedPort | undefined
  /** The error of the system when its port could not be opened. */
  problem: string | undefined
  /** Why the relay has ended it. */
  ended: GotunnelRejectReason | undefined
  /** Called once when the relay ends it: its port is free at once, before the connection has closed. */
  onEnd: () => void = () => {}
  #pending: Batch<Message> = []
  readonly #flush = (): void => {
    const messages = this.#pending
    this.#pending = []
    if (this.ended === undefined && this.link.port.send(messages) === 0) this.end('write_timeout')
  }

  constructor ({ link, remote, identity, proof, name, localPort, remotePort, isStrict, wantsAddresses, acknowledges, clock, now }: SessionInit) {
    this.link = link
    this.remote = remote
    this.identity = identity
    this.proof = proof
    this.name = name
    this.localPort = localPort
    this.remotePort = remotePort
    this.isStrict = isStrict
    this.wantsAddresses = wantsAddresses
    this.acknowledges = acknowledges
    this.#clock = clock
    this.since = this.heardAt = now
  }

  /** It has no port yet: another session has it, or the number is no port. */
  get isWaiting (): boolean { return this.port === undefined && this.ended === undefined }

  /** Queues a message; messages of one turn leave in one write. A client that does not read them is ended. */
  send (message: Message): void {
    if (this.ended !== undefined) return
    if (this.#pending.push(message) === 1) setImmediate(this.#flush)
  }

  /**
   * Ends the session, and tells the client why if it knows that message. May be called more than once.
   *
   * @param reason for the counters and, as `wireReason`, for the client
   */
  end (reason: Extract<GotunnelRejectReason, Ending>): void
  end (reason: 'removed', wireReason: Ending): void
  end (reason: GotunnelRejectReason, wireReason: Ending = reason as Ending): void {
    if (this.ended !== undefined) return
    this.ended = reason
    this.onEnd()
    if (this.isStrict) this.link.port.send([{ type: 'unregistered', reason: ENDINGS[wireReason] }])
    void lingeringClose(this.link, this.#clock)
  }
}

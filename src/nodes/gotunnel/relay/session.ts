/** One control connection of a relay, registered: whose it is, and how it ends. */
import type { Identity, Proof } from './identities.ts'
import type { Message, ToServer } from '../protocol/messages.ts'
import { ENDINGS, type Ending } from '../protocol/reasons.ts'
import type { GotunnelRejectReason } from './stats.ts'
import { lingeringClose } from '../../common/lingering-close.ts'
import type { Batch, Clock, Endpoint, Link } from '../../../types.ts'

/** A port as the client that serves it switches it. */
export interface ServedPort {
  /** Rejects with what the system says. */
  open (): Promise<void>
  offline (): void
  /** There is no data connection for this request. */
  fail (id: string): void
}

export interface SessionInit {
  /** With messages on it, the first frame taken off. */
  link: Link<ToServer, Message>
  remote: Endpoint
  identity: Identity
  /** What it authenticated with; its data connections do so as well, also when the token has changed since. */
  proof: Proof
  /** What the client calls itself; made fit to be shown. */
  name: string
  localPort: number
  remotePort: number
  isStrict: boolean
  /** It wants to know where users are. */
  wantsAddresses: boolean
  /** It acknowledges the opening of each user. */
  acknowledges: boolean
  clock: Clock
  /** Milliseconds of it. */
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
  /** When the last ping came. */
  heardAt: number
  /** It says that there is a service. */
  wantsOnline = true
  /** What has come of requests for data connections: some, or that there is none. */
  answers = 0
  /** The port that it serves; undefined while another has it, or when there can be none of that number. */
  port: ServedPort | undefined
  /** What the system said when its port could not be had. */
  problem: string | undefined
  /** Why it was ended by the relay. */
  ended: GotunnelRejectReason | undefined
  /** Called once when it is ended by the relay: what it has is free from then on, while the connection takes its time. */
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

  /** It is there, and has no port yet: another one has that, or there is none of its number. */
  get isWaiting (): boolean { return this.port === undefined && this.ended === undefined }

  /** Sends whole frames, and those of all users that came at once in one write. A client that does not read what it asks for is ended. */
  send (message: Message): void {
    if (this.ended !== undefined) return
    if (this.#pending.push(message) === 1) setImmediate(this.#flush)
  }

  /**
   * The client may be told why; programs that do not know this message ignore it. Harmless when repeated.
   *
   * @param reason is counted, and `told` to the client
   */
  end (reason: Extract<GotunnelRejectReason, Ending>): void
  end (reason: 'removed', told: Ending): void
  end (reason: GotunnelRejectReason, told: Ending = reason as Ending): void {
    if (this.ended !== undefined) return
    this.ended = reason
    this.onEnd()
    if (this.isStrict) this.link.port.send([{ type: 'unregistered', reason: ENDINGS[told] }])
    void lingeringClose(this.link, this.#clock)
  }
}

/**
 * Other helpers with which this one is registered, and what it answers when it is asked for by one of them: so that nodes find out the kind
 * of their NAT (SHOW CHAIN protocol, sections 4.1 and 5.1).
 */
import type { Budgets } from './budgets.ts'
import type { OtherHelper } from './status.ts'
import type { RelayDrop } from './stats.ts'
import { Backoff } from '../../../limits/backoff.ts'
import { clientKey } from '../../../net/client-address.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { isSame } from '../../../nat/stun/transaction.ts'
import type { Clock, Endpoint, Timer } from '../../../types.ts'
import { addressText } from '../protocol/addresses.ts'
import type { Identity } from '../protocol/identity.ts'
import type { ShowchainMessage } from '../protocol/messages.ts'
import { Op } from '../protocol/op.ts'
import { idText } from '../protocol/public-key.ts'
import { RegistrationClient } from '../protocol/registration-client.ts'
import { OpenRequests, type Incoming } from '../protocol/requests.ts'
import { Sequence } from '../protocol/sequence.ts'

/** NAT kind of a helper. */
const T1 = 1

/** Milliseconds after the first 0x113 at which it is repeated: that none comes has to mean something, also where datagrams get lost. */
const REPEATS = [500, 1000, 2000]

/** 0x113 that are to be repeated, at one time. */
const MAX_REPEATED = 256

export interface OtherHelpersInit {
  clock: Clock
  identity: Identity
  budgets: Budgets
  /** Finds the address of a name. @throws when there is none */
  resolve: (named: Endpoint) => Promise<Endpoint>
  /** Signs a message, where it has to be and is not, and sends it. */
  send: (message: ShowchainMessage, to: Endpoint) => boolean | Promise<boolean>
  cookieFor: (to: Endpoint) => Uint8Array
  /** Delays between attempts: a number of at least 0 and less than 1 each time. Default: `Math.random`. */
  random?: (() => number) | undefined
  onRegistered: (helper: Endpoint) => void
  onLost: (helper: Endpoint, reason: string) => void
}

export class OtherHelpers {
  readonly #init: OtherHelpersInit
  readonly #requests: OpenRequests
  readonly #repeats = new Set<Timer>()
  #clients: RegistrationClient[] = []

  constructor (init: OtherHelpersInit) {
    const { clock, identity, send } = init
    this.#init = init
    this.#requests = new OpenRequests({ clock, sequence: new Sequence(clock), identity, send })
  }

  /** Registers with these, and with no others any more. */
  configure (named: readonly Endpoint[]): void {
    const kept = this.#clients.filter((client) => named.some((endpoint) => isSame(endpoint, client.named)))
    for (const client of this.#clients) if (!kept.includes(client)) client.stop()
    const added = named.filter((endpoint) => !kept.some((client) => isSame(client.named, endpoint))).map((endpoint) => this.#client(endpoint))
    this.#clients = [...kept, ...added]
    for (const client of added) client.start()
  }

  status (): OtherHelper[] {
    return this.#clients.map(({ named, id, isRegistered, roundTrip, reason }) => ({ name: endpointText(named), id: id === undefined ? undefined : idText(id), isRegistered, roundTrip, reason }))
  }

  /** Whether a 0x102 belongs to a request that is open: before its signature is verified. */
  expects (incoming: Incoming): boolean { return this.#requests.expects(incoming) }

  /** Takes a 0x102. */
  answered (incoming: Incoming): boolean { return this.#requests.receive(incoming) }

  /** Takes a 0x100. @returns whether it answers one of this helper: else it may be that of a node that is registered here, as other helpers are, too */
  keptAlive (incoming: Incoming): boolean { return this.#clients.some((client) => client.state === 'checking' && client.receive(incoming)) }

  /** Before a 0x112 is verified: it may cost two signatures, so it has to come from another helper, and take from the budgets of it and of R. */
  refusal ({ message: { target, ip }, from }: Incoming, now: number): RelayDrop | undefined {
    const { identity, budgets } = this.#init
    if (Buffer.compare(target as Uint8Array, identity.id) !== 0) return 'target'
    if (!this.#clients.some(({ isRegistered, endpoint }) => isRegistered && endpoint !== undefined && isSame(endpoint, from))) return 'unregistered'
    return budgets.takeTold(clientKey(from.host), clientKey(addressText(ip as Uint8Array)), now) ? undefined : 'answers'
  }

  /** Answers a 0x112: 0x113 to R, and 0x114 to the helper. */
  asked ({ message: { id, seq, ts, session, ip, port }, from: { host, port: helperPort } }: Incoming): void {
    const { identity, send, cookieFor } = this.#init
    const requester = { host: addressText(ip as Uint8Array), port: port as number }
    const own = { id: identity.id, seq, ts, kind: T1 }
    const response: ShowchainMessage = { ...own, op: Op.response, target: Uint8Array.from(id as Uint8Array), cookie: cookieFor(requester) }
    void send(response, requester)
    if (this.#repeats.size < MAX_REPEATED) for (const ms of REPEATS) this.#sendAfter(ms, response, requester)
    void send({ ...own, op: Op.responseAck, session: Uint8Array.from(session as Uint8Array) }, { host, port: helperPort })
  }

  close (): void {
    for (const client of this.#clients) client.stop()
    for (const timer of this.#repeats) this.#init.clock.clear(timer)
    this.#requests.close()
  }

  #sendAfter (ms: number, message: ShowchainMessage, to: Endpoint): void {
    const timer = this.#init.clock.set(ms, () => {
      this.#repeats.delete(timer)
      void this.#init.send(message, to)
    }).unref()
    this.#repeats.add(timer)
  }

  #client (named: Endpoint): RegistrationClient {
    const { clock, resolve, send, identity, random, onRegistered, onLost } = this.#init
    return new RegistrationClient({
      clock,
      requests: this.#requests,
      named,
      resolve,
      send: (message, to) => { void send(message, to) },
      own: identity.id,
      kind: () => T1,
      backoff: new Backoff({ clock, random }),
      onRegistered: () => { onRegistered(named) },
      onLost: (reason) => { onLost(named, reason) },
      onMapped: () => {}
    })
  }
}

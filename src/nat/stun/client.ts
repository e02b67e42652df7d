/** Asks servers of STUN which endpoint a socket has outside of a NAT. */
import { isIP } from 'node:net'
import { isSame, StunTransaction, type FillRandom } from './transaction.ts'
import { OptionError } from '../../errors.ts'
import { withoutZone } from '../../net/client-address.ts'
import { verifyMilliseconds, verifyPort } from '../../options.ts'
import type { Datagram, Endpoint } from '../../types.ts'

const MAX_SERVERS = 16
const MAX_TRIES = 16

/** Options of a {@link StunClient}. */
export interface StunClientInit {
  /** Addresses, not names: 1 to 16. */
  servers: readonly Endpoint[]
  /** How often each is asked, 1 to 16. Default: 3. */
  tries?: number
  /** Milliseconds until the second try, doubled for each further one. Default: 500. */
  timeout?: number
  /** Fills an array with random bytes, for the transactions. Who can guess those can forge answers. Default: `randomFillSync`. */
  fillRandom?: FillRandom
}

/** What a server has said. */
export interface StunResult {
  readonly server: Endpoint
  readonly status: 'pending' | 'answered' | 'no answer' | 'error'
  /** Of the socket, as the server sees it; when it has answered. */
  readonly reflexive?: Endpoint
  /** Milliseconds; when it has answered the only request. Undefined after several, as any of those may have been answered. */
  readonly roundTrip?: number
  /** For people; when the status is `error`. */
  readonly error?: string
}

/**
 * A client without a socket or a timer: its owner sends what `poll` returns, and passes datagrams that it gets to `receive`.
 *
 * ```ts
 * const client = new StunClient({ servers: [{ host: '192.0.2.1', port: 3478 }] })
 * client.start(clock.now())
 * socket.port.send(client.poll(clock.now())) // again at `client.deadline`
 * for await (const batch of socket.source) for (const datagram of batch) client.receive(datagram, clock.now())
 * ```
 */
export class StunClient {
  readonly #init: Required<Pick<StunClientInit, 'servers' | 'tries' | 'timeout'>> & StunClientInit
  #transactions: StunTransaction[] = []
  #results: StunResult[]
  #reflexive: Endpoint | undefined

  /** @throws {OptionError} */
  constructor ({ servers, tries = 3, timeout = 500, fillRandom }: StunClientInit) {
    this.#init = { servers: verifyServers(servers), tries: verifyTries(tries), timeout: verifyMilliseconds('timeout', timeout), fillRandom }
    this.#results = servers.map((server) => ({ server, status: 'pending' }))
  }

  /** Asks all servers, again if that was done before: it keeps the mapping of a NAT, and shows whether it is still the same. */
  start (now: number): void {
    const { servers, tries, timeout, fillRandom } = this.#init
    this.#transactions = servers.map((to) => new StunTransaction({ to, tries, timeout, factor: 2, fillRandom }, now))
    this.#results = servers.map((server) => ({ server, status: 'pending' }))
  }

  /** Asks no further. Servers without an answer are `no answer`. */
  stop (): void {
    for (const transaction of this.#transactions) transaction.stop()
    this.#update()
  }

  /** What to send now. */
  poll (now: number): Datagram[] {
    const datagrams = this.#transactions.flatMap((transaction) => transaction.poll(now) ?? [])
    this.#update()
    return datagrams
  }

  /** When `poll` is to be called next, at the latest; undefined when there is nothing to do. */
  get deadline (): number | undefined {
    const deadlines = this.#transactions.flatMap(({ deadline }) => deadline ?? [])
    return deadlines.length === 0 ? undefined : Math.min(...deadlines)
  }

  /**
   * Takes a datagram that the socket has received.
   *
   * @returns whether it is an answer to a request of the last start: the address of the server, the transaction and all attributes are right
   */
  receive (datagram: Datagram, now: number): boolean {
    if (!this.#transactions.some((transaction) => transaction.receive(datagram, now))) return false
    this.#update()
    return true
  }

  /** By server, in the order of the option. */
  get results (): readonly StunResult[] { return this.#results }

  /** The endpoint outside that was answered first; of the start before, as long as there is no answer yet. */
  get reflexive (): Endpoint | undefined { return this.#reflexive }

  /** No server is `pending`. */
  get isDone (): boolean { return this.#results.every(({ status }) => status !== 'pending') }

  /**
   * Whether all servers of a family that have answered see the same endpoint: with servers at several addresses, whether the NAT has a
   * mapping that does not depend on the remote endpoint. Undefined while there are no two answers of a family.
   */
  get agree (): boolean | undefined {
    let compared = false
    const first = new Map<boolean, Endpoint>()
    for (const { reflexive } of this.#results) {
      if (reflexive === undefined) continue
      const family = reflexive.host.includes(':')
      const other = first.get(family)
      if (other === undefined) first.set(family, reflexive)
      else if (!isSame(other, reflexive)) return false
      else compared = true
    }
    return compared ? true : undefined
  }

  #update (): void {
    for (const [i, transaction] of this.#transactions.entries()) {
      if (!transaction.isOver || this.#results[i].status !== 'pending') continue
      const result = resultOf(transaction)
      if (result.reflexive !== undefined && !this.#results.some(({ status }) => status === 'answered')) this.#reflexive = result.reflexive
      this.#results[i] = result
    }
    if (this.isDone && !this.#results.some(({ status }) => status === 'answered')) this.#reflexive = undefined
  }
}

function resultOf ({ to: server, answer }: StunTransaction): StunResult {
  if (answer === undefined) return { server, status: 'no answer' }
  const { message: { class: kind, error, notUnderstood, xorMappedAddress, mappedAddress }, roundTrip } = answer
  const reflexive = xorMappedAddress ?? mappedAddress
  if (kind === 'error') return { server, status: 'error', error: error === undefined ? 'an error without a code' : `${error.code} ${error.reason}`.trim() }
  if (notUnderstood.length > 0) return { server, status: 'error', error: `attributes that are not known: ${notUnderstood.map((type) => `0x${type.toString(16).padStart(4, '0')}`).join(', ')}` }
  if (reflexive === undefined || reflexive.port === 0) return { server, status: 'error', error: 'a response without an endpoint' }
  return { server, status: 'answered', reflexive, ...(roundTrip !== undefined && { roundTrip }) }
}

/** @throws {OptionError} */
export function verifyServers (servers: readonly Endpoint[]): readonly Endpoint[] {
  if (!Array.isArray(servers) || servers.length < 1 || servers.length > MAX_SERVERS) throw new OptionError(`servers are 1 to ${MAX_SERVERS} endpoints`)
  return servers.map(({ host, port }: Endpoint) => {
    if (typeof host !== 'string' || isIP(withoutZone(host)) === 0) throw new OptionError(`the host of a server is an IP address, not ${String(host)}`)
    return { host, port: verifyPort('the port of a server', port, 1) }
  })
}

/** @throws {OptionError} */
export function verifyTries (tries: number): number {
  if (!Number.isInteger(tries) || tries < 1 || tries > MAX_TRIES) throw new OptionError(`tries is a whole number, 1 to ${MAX_TRIES}, not ${String(tries)}`)
  return tries
}

/** Finds out how a NAT behaves: the tests of RFC 5780, section 4, with servers of STUN. */
import { describeNat, mappingOf, type EndpointDependence, type NatBehaviour, type NatName, type Observation } from './nat-behaviour.ts'
import type { ChangeRequest } from './stun/attributes.ts'
import { verifyServers, verifyTries } from './stun/client.ts'
import { isSame, StunTransaction, type Answer, type FillRandom, type StunTransactionInit } from './stun/transaction.ts'
import { normalizeAddress } from '../net/client-address.ts'
import { verifyMilliseconds } from '../options.ts'
import type { Datagram, Endpoint } from '../types.ts'

const STALE_NONCE = 438

/** How often a server may want another nonce. */
const MAX_NONCES = 3

/** Options of a {@link NatDetection}. */
export interface NatDetectionInit {
  /**
   * Addresses, not names, 1 to 16. The first that knows a second endpoint of itself is used for all tests; others, of which there should be
   * two at different addresses, only for the mapping.
   */
  servers: readonly Endpoint[]
  /** Where the socket has sent to before, the servers among them: filters may let in what comes from there, so that tells nothing of them. Default: nowhere. */
  sentTo?: readonly Endpoint[]
  /** The endpoints that the socket has on this machine: its port with each address. Without them it is not known whether there is a NAT at all. */
  local?: readonly Endpoint[]
  /** How often each request is sent, 1 to 16. As silence is an answer of some tests, a lost datagram must be unlikely. Default: 7. */
  tries?: number
  /** Milliseconds between two of them. Default: 400. */
  timeout?: number
  /** Fills an array with random bytes, for the transactions. Default: `randomFillSync`. */
  fillRandom?: FillRandom
}

/** A step: requests at the same time, until all are over. */
type Step = StunTransaction[]

/** Whether a response came from where it was wanted from; undefined when the server does not do that. */
type Passed = boolean | undefined

const isSameHost = (a: Endpoint, b: Endpoint): boolean => normalizeAddress(a.host) === normalizeAddress(b.host)

/**
 * A detection without a socket or a timer: its owner sends what `poll` returns, and passes datagrams that it gets to `receive`. Filters
 * remember where the socket has sent to before: that is to be told. It takes up to four seconds for each of five steps, and each server that
 * does not answer.
 *
 * ```ts
 * const detection = new NatDetection({ servers: [{ host: '192.0.2.1', port: 3478 }] })
 * detection.start(clock.now())
 * socket.port.send(detection.poll(clock.now())) // again at `detection.deadline`
 * ```
 */
export class NatDetection {
  readonly #servers: readonly Endpoint[]
  readonly #sentTo: readonly Endpoint[]
  readonly #local: readonly Endpoint[] | undefined
  readonly #transaction: Omit<StunTransactionInit, 'to'>
  #now = 0
  #run: Generator<Step, void> | undefined
  #step: Step = []
  #isDone = false
  /** Of all steps: answers may come twice, and late. */
  #transactions: StunTransaction[] = []
  #seen: Observation[] = []
  #filtering: EndpointDependence | 'unknown' = 'unknown'
  #isFilteringByPort: boolean | undefined
  #hairpin: boolean | undefined
  #hairpinTest: StunTransaction | undefined

  /** @throws {OptionError} */
  constructor ({ servers, sentTo = [], local, tries = 7, timeout = 400, fillRandom }: NatDetectionInit) {
    this.#servers = verifyServers(servers)
    this.#sentTo = sentTo
    this.#local = local
    this.#transaction = { tries: verifyTries(tries), timeout: verifyMilliseconds('timeout', timeout), factor: 1, fillRandom }
  }

  /** Begins, once: filters remember what was sent, so that another one needs another socket. */
  start (now: number): void {
    if (this.#run !== undefined) return
    this.#run = this.#steps()
    this.#advance(now)
  }

  /** What to send now. */
  poll (now: number): Datagram[] {
    const datagrams: Datagram[] = []
    for (;;) {
      datagrams.push(...this.#step.flatMap((transaction) => transaction.poll(now) ?? []))
      if (this.#step.length === 0 || this.#step.some(({ isOver }) => !isOver)) return datagrams
      this.#advance(now)
    }
  }

  /** When `poll` is to be called next, at the latest; undefined when there is nothing to do. */
  get deadline (): number | undefined {
    const deadlines = this.#step.flatMap(({ deadline }) => deadline ?? [])
    return deadlines.length === 0 ? undefined : Math.min(...deadlines)
  }

  /**
   * Takes a datagram that the socket has received.
   *
   * @returns whether it is an answer to a request of this detection, or such a request that has come back
   */
  receive (datagram: Datagram, now: number): boolean {
    if (this.#hairpinTest?.isEcho(datagram) === true) {
      this.#hairpin = true
      this.#hairpinTest.stop()
    } else if (!this.#transactions.some((transaction) => transaction.receive(datagram, now))) return false
    this.#advance(now)
    return true
  }

  /** All tests are over. */
  get isDone (): boolean { return this.#isDone }

  /** What is known so far. */
  get behaviour (): NatBehaviour {
    const reflexive = this.#seen.at(0)?.reflexive
    const isTranslated = reflexive === undefined || this.#local === undefined ? undefined : !this.#local.some((local) => isSame(local, reflexive))
    const mapping = mappingOf(this.#seen)
    return {
      reflexive,
      isTranslated,
      ...(isTranslated === false && mapping.isMappingIndependent === undefined ? { mapping: 'endpoint-independent', isMappingIndependent: true } : mapping),
      filtering: this.#filtering,
      isFilteringByPort: this.#isFilteringByPort,
      hairpin: this.#hairpin
    }
  }

  /** The name of RFC 3489 for it: `port-restricted cone`. */
  describe (): NatName { return describeNat(this.behaviour) }

  /** Goes on to the next step, where this one is over. */
  #advance (now: number): void {
    this.#now = now
    while (!this.#isDone && this.#run !== undefined && this.#step.every(({ isOver }) => isOver)) {
      const { done, value } = this.#run.next()
      this.#isDone = done === true
      this.#step = value ?? []
    }
  }

  /** Filters come before mappings: after those, all endpoints of the server have been sent to. */
  * #steps (): Generator<Step, void> {
    const left = [...this.#servers]
    let other: Endpoint | undefined
    let server: Endpoint | undefined
    while (other === undefined && (server = left.shift()) !== undefined) {
      const test = this.#request(server)
      yield [test]
      this.#see(test)
      const told = test.answer?.message.otherAddress
      if (test.answer?.message.class === 'success' && told !== undefined && told.port !== 0 && !isSame(told, server)) other = told
    }
    if (server !== undefined && other !== undefined) {
      yield * this.#testFiltering(server, other)
      const alternatives = [{ host: other.host, port: server.port }, other].filter((to) => !this.#transactions.some((test) => isSame(test.to, to)))
      left.push(...alternatives.filter((to) => !left.some((one) => isSame(one, to))))
    }
    const tests = left.map((to) => this.#request(to))
    if (tests.length > 0) yield tests
    for (const test of tests) this.#see(test)
    yield * this.#testHairpin()
  }

  * #testFiltering (server: Endpoint, other: Endpoint): Generator<Step, void> {
    const changesPort = server.port !== other.port
    const otherPort = { host: server.host, port: other.port }
    if (!isSameHost(server, other) && !this.#sent.some((to) => isSameHost(to, other))) {
      const passed = yield * this.#passes(server, { ip: true, port: changesPort }, other)
      if (passed === true) {
        this.#filtering = 'endpoint-independent'
        this.#isFilteringByPort = false
        return
      }
      if (passed === false && changesPort) {
        if (this.#hasSentTo(otherPort)) return
        const passed = yield * this.#passes(server, { ip: false, port: true }, otherPort)
        if (passed !== undefined) this.#filtering = passed ? 'address-dependent' : 'address-and-port-dependent'
        if (passed !== undefined) this.#isFilteringByPort = !passed
        return
      }
    }
    if (!changesPort || this.#hasSentTo(otherPort)) return
    const passed = yield * this.#passes(server, { ip: false, port: true }, otherPort)
    if (passed === false) this.#filtering = 'address-and-port-dependent'
    if (passed !== undefined) this.#isFilteringByPort = !passed
  }

  /** Asks for a response from another endpoint of the server; with the nonce, where the server wants to see first that this one gets responses. */
  * #passes (to: Endpoint, changeRequest: ChangeRequest, from: Endpoint): Generator<Step, Passed> {
    let nonce: Uint8Array | undefined
    for (let nonces = 0; nonces <= MAX_NONCES; nonces++) {
      const test = this.#request(to, { request: { changeRequest, ...(nonce !== undefined && { nonce }) }, from: [to, from] })
      yield [test]
      if (test.answer === undefined) return false
      const { message, from: source } = test.answer
      if (message.class === 'success') return isSame(source, from) || undefined
      if (message.error?.code !== STALE_NONCE || message.nonce === undefined) return undefined
      nonce = message.nonce
    }
    return undefined
  }

  /** A request to its own endpoint outside. Where that comes from another one, a filter may stop it: its silence tells nothing then. */
  * #testHairpin (): Generator<Step, void> {
    const { reflexive, isTranslated, isMappingIndependent, filtering } = this.behaviour
    if (reflexive === undefined || isTranslated === false) return
    this.#hairpinTest = this.#request(reflexive, { from: [] })
    yield [this.#hairpinTest]
    if (this.#hairpin === undefined && (isMappingIndependent === true || filtering === 'endpoint-independent')) this.#hairpin = false
  }

  #request (to: Endpoint, init: Partial<StunTransactionInit> = {}): StunTransaction {
    const transaction = new StunTransaction({ ...this.#transaction, ...init, to }, this.#now)
    this.#transactions.push(transaction)
    return transaction
  }

  #hasSentTo (endpoint: Endpoint): boolean { return this.#sent.some((to) => isSame(to, endpoint)) }

  get #sent (): Endpoint[] { return [...this.#sentTo, ...this.#transactions.map(({ to }) => to)] }

  #see ({ to: server, answer }: { to: Endpoint, answer: Answer | undefined }): void {
    const { class: kind, xorMappedAddress, mappedAddress, notUnderstood = [] } = answer?.message ?? {}
    const reflexive = xorMappedAddress ?? mappedAddress
    if (kind === 'success' && notUnderstood.length === 0 && reflexive !== undefined && reflexive.port !== 0) this.#seen.push({ server, reflexive })
  }
}

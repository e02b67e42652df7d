/** A helper and proxy (SHOW CHAIN protocol, sections 3 to 6) on two sockets. */
import { Admissions } from './admission.ts'
import { Budgets } from './budgets.ts'
import { withoutData } from './data-socket.ts'
import { Histories } from './history.ts'
import { Introductions } from './introductions.ts'
import type { relayOptions } from './options.ts'
import { OtherHelpers } from './other-helpers.ts'
import { Outbox } from './outbox.ts'
import { ProxyTraffic } from './proxy-traffic.ts'
import { derOf, Registrations } from './registrations.ts'
import { Requests } from './requests.ts'
import { SecondPort } from './second-port.ts'
import { Sessions } from './sessions.ts'
import { readRelay, type ShowchainRelayOptions } from './settings.ts'
import type { RelayState } from './state.ts'
import { GONE, SESSION_GONE, UNANSWERED } from './steps.ts'
import { newCounters, type RelayDrop } from './stats.ts'
import type { NodeExplanation, ShowchainRelayStats, ShowchainRelayStatus } from './status.ts'
import type { InitOf } from '../../common/options/option.ts'
import type { PssVerifier, Sha256 } from '../../../crypto/index.ts'
import { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import { silent, type Logger } from '../../../log.ts'
import { normalizeAddress } from '../../../net/client-address.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { every, systemClock, type Interval } from '../../../streams/clock.ts'
import type { Lookup } from '../../../transports/happy-eyeballs.ts'
import type { Clock, Datagram, DatagramSocket, Endpoint } from '../../../types.ts'
import { Cookies } from '../protocol/cookies.ts'
import type { Identity } from '../protocol/identity.ts'
import { Op } from '../protocol/op.ts'
import { Pipeline, type DataSender, type Received } from '../protocol/pipeline.ts'
import type { Refusal } from '../protocol/pipeline-stats.ts'
import { idText, parseId, PublicKey } from '../protocol/public-key.ts'
import { idKey, PublicKeys } from '../protocol/public-keys.ts'
import { addressFinder, withPlainAddresses } from '../protocol/socket-addresses.ts'

/** Milliseconds between two looks for what is silent. */
const TICK = 1000

/** Windows of messages that have come, of those ids whose messages may still be fresh: one for each request that a node makes, and for each session with RSA. */
const MAX_WINDOWS = 131_072
const MAX_WINDOWS_PER_ID = 1024

/** Those of one address, for each node that it may have. */
const WINDOWS_PER_NODE = 4

/** A 0x114 is taken once, as it answers one 0x112. */
const TAKEN_ONCE: ReadonlySet<number> = new Set([Op.responseAck])

/** Keys that are ready for use, 4 KiB each: to make one again costs less than a verification. */
const MAX_KEYS = 512

/** Verifications of one read that are not worth another thread: a millisecond of work. */
const FEW = 32

/** The relay has budgets of its own, which count only requests whose addresses are proved. */
const NO_BUDGET = { rate: 1e9 }

/** What a relay is made of. */
export interface ShowchainRelayParts {
  /** The own key. */
  identity: Identity
  sha256: Sha256
  /** Verifies faster than `node:crypto`. Default: none. */
  verifier?: PssVerifier | undefined
  /** Where it is reached, and another one of the same address, by which it sends only. */
  socket: DatagramSocket
  second: DatagramSocket
  /** Finds the addresses of other helpers. Default: that of the system. */
  lookup?: Lookup
  /** False: signatures are made and verified at once, so that a simulation is reproducible. Default: true. */
  threads?: boolean
  /** Of delays until other helpers are asked again: at least 0, less than 1. Default: `Math.random`. */
  random?: () => number
  /** Default: that of the system. */
  clock?: Clock
  log?: Logger
}

/** Options of a {@link ShowchainRelay}. */
export type ShowchainRelayInit = ShowchainRelayParts & InitOf<typeof relayOptions>

/** A helper and proxy: takes the datagrams of its socket, and sends by the ports that it is given. */
export class ShowchainRelay {
  readonly #state: RelayState
  readonly #budgets: Budgets
  readonly #admissions: Admissions
  readonly #requests: Requests
  readonly #traffic: ProxyTraffic
  readonly #pipeline: Pipeline
  readonly #others: OtherHelpers
  readonly #second: SecondPort
  readonly #log: RateLimitedLog
  readonly #timer: Interval

  /** @throws {OptionError} when an option is invalid */
  constructor ({ identity, sha256, verifier, socket, second, lookup, threads = true, random, clock = systemClock, log = silent, ...init }: ShowchainRelayInit) {
    const settings = readRelay(init)
    this.#state = {
      settings,
      clock,
      ownId: identity.id,
      ownKey: idKey(identity.id),
      counters: newCounters(),
      registrations: new Registrations(settings),
      introductions: new Introductions(),
      sessions: new Sessions(settings),
      histories: new Histories(),
      outbox: new Outbox(socket.port)
    }
    this.#log = new RateLimitedLog(log)
    const findAddress = addressFinder(socket.local.host, lookup)
    this.#second = new SecondPort(second.port, identity, threads)
    this.#budgets = new Budgets(settings)
    this.#traffic = new ProxyTraffic(this.#state, sha256)
    const pipeline = this.#pipeline = new Pipeline({
      socket: withoutData(withPlainAddresses(socket), (datagram) => this.#takeData(datagram), () => { this.#state.outbox.flush() }),
      clock,
      identity,
      threads,
      windows: { freshness: settings.freshness, maxWindows: MAX_WINDOWS, maxPerId: MAX_WINDOWS_PER_ID, maxPerOwner: settings.maxNodesPerSource * WINDOWS_PER_NODE },
      budgets: { perSource: NO_BUDGET, total: NO_BUDGET },
      keys: new PublicKeys({ maxKeys: MAX_KEYS, verifier }),
      takenOnce: TAKEN_ONCE,
      limits: { few: FEW },
      // Whether a 0x123 may come without a hash is the matter of this relay, as that can change.
      pageSignatures: true,
      admit: (received) => this.#admit(received),
      dataSender: (received) => this.#dataSender(received),
      handlers: {
        keepAlive: ({ message, from, at }) => {
          if (this.#others.keptAlive({ message, from })) this.#state.registrations.heard(message.id as Uint8Array, from, at)
          else this.#drop(this.#requests.keepAlive(message, from, at))
        },
        directRequest: (received) => { this.#serve(received) },
        directResponse: (received) => { if (!this.#others.answered(received)) this.#drop('answer') },
        natRequest: (received) => { this.#serve(received) },
        passRequest: (received) => { this.#others.asked(received) },
        responseAck: (received) => { this.#serve(received) },
        proxyRequest: (received) => { this.#serve(received) },
        dataRequest: ({ message, from }) => {
          this.#traffic.verified(message, from, clock.now())
          this.#state.outbox.flush()
        }
      }
    })
    const cookies = new Cookies(undefined, sha256)
    const cookieFor = (to: Endpoint): Uint8Array => cookies.make(to, clock.now())
    this.#admissions = new Admissions(this.#state, this.#budgets, ({ cookie }, from) => cookies.check(cookie, from, clock.now()))
    this.#requests = new Requests({
      state: this.#state,
      budgets: this.#budgets,
      sha256,
      own: socket.local,
      cookieFor,
      send: (message, to) => { void pipeline.send(message, to) },
      sendFromSecond: (message, to) => { this.#second.send(message, to) }
    })
    this.#others = new OtherHelpers({
      clock,
      identity,
      budgets: this.#budgets,
      resolve: async ({ host, port }) => ({ host: await findAddress(host), port }),
      send: (message, to) => pipeline.send(message, to),
      cookieFor,
      random,
      onRegistered: (helper) => { this.#log.log('info', { helper: endpointText(helper) }, 'registered with another helper') },
      onLost: (helper, reason) => { this.#log.log('warn', { helper: endpointText(helper), reason }, 'another helper does not answer') }
    })
    this.#others.configure(settings.bootstrap)
    this.#timer = every(clock, TICK, () => { this.tick(clock.now()) }).unref() // the sockets keep the process alive
  }

  /** The own id, 32 bytes. */
  get id (): Uint8Array { return this.#state.ownId }

  /** The counters, as of now. */
  get stats (): ShowchainRelayStats {
    const { counters: { drops: own, ...counters }, registrations, introductions, sessions, outbox } = this.#state
    const { received, sent, unsent, drops: { cookie: _challenged, limit: _refused, ...drops } } = this.#pipeline.stats
    return {
      ...counters,
      received: { ...received, dataRequest: counters.passed, dataAck: counters.acknowledged },
      sent: { ...sent, passData: counters.passed, dataAck: counters.acknowledged },
      drops: { ...drops, ...own, stale: drops.stale + own.stale, replay: drops.replay + own.replay, id: drops.id + own.id, hash: drops.hash + own.hash, unexpected: drops.unexpected + own.unexpected },
      unsent: unsent + outbox.unsent + this.#second.unsent,
      nodes: registrations.size,
      sources: registrations.sources,
      introductions: introductions.size,
      sessions: sessions.size,
      verifying: this.#pipeline.unverified,
      signing: this.#pipeline.unsigned + this.#second.signing
    }
  }

  /** The current state and counters, for display. */
  status (): ShowchainRelayStatus {
    const { settings: { proxy, pageSignatures }, ownId } = this.#state
    return { id: idText(ownId), proxy, pageSignatures, helpers: this.#others.status(), ...this.stats }
  }

  /** Why a node can be reached through this helper, or not. @param text its id; undefined when that is none */
  explain (text: string): NodeExplanation | undefined {
    const id = parseId(text)
    if (id === undefined) return undefined
    const { registrations, histories, clock } = this.#state
    const node = registrations.find(id)
    return {
      registration: node === undefined ? undefined : { endpoint: endpointText({ host: normalizeAddress(node.host), port: node.port }), kind: node.kind, silent: (clock.now() - node.heardAt) / 1000 },
      steps: histories.of(idKey(id))
    }
  }

  /**
   * Changes the settings.
   *
   * @throws {OptionError} when one is invalid; then nothing has changed
   */
  configure (init: ShowchainRelayOptions): void {
    const { settings: { listen, freshness }, registrations, sessions, clock } = this.#state
    const settings = readRelay({ ...init, listen, freshness })
    this.#state.settings = settings
    registrations.configure(settings)
    sessions.configure(settings, clock.now())
    if (!settings.proxy) sessions.clear()
    this.#budgets.configure(settings)
    this.#pipeline.limitOwners(settings.maxNodesPerSource * WINDOWS_PER_NODE)
    this.#others.configure(settings.bootstrap)
  }

  /**
   * Serves until the socket is closed.
   *
   * @throws what broke the socket
   */
  run (): Promise<void> { return this.#pipeline.run() }

  /** Data that needs no verification by a signature is passed on, or dropped. */
  #takeData (datagram: Datagram): boolean {
    const { clock } = this.#state
    return this.#traffic.take(datagram, clock.now(), clock.date())
  }

  #admit (received: Received): Refusal | undefined {
    const { message, from, at } = received
    const date = this.#state.clock.date()
    let drop: RelayDrop | undefined
    if (message.op === Op.directResponse) drop = this.#others.expects(received) ? undefined : 'answer'
    else if (message.op === Op.passRequest) drop = this.#others.refusal(received, at)
    else {
      const admission = this.#admissions.check(received, date)
      if (admission === 'challenge') {
        this.#requests.challenge(message, from, date)
        return 'cookie'
      }
      drop = admission === 'verify' ? undefined : admission
    }
    this.#drop(drop)
    return drop === undefined ? undefined : 'limit'
  }

  #dataSender ({ message, from }: Received): DataSender | undefined {
    const node = this.#traffic.senderOf(message, from)
    if (node === undefined) return undefined
    const key = this.#pipeline.keys.find(node.id) ?? PublicKey.read(derOf(node), node.id)
    return typeof key === 'string' ? undefined : { id: node.id, key }
  }

  #serve (received: Received): void { this.#drop(this.#requests.serve(received)) }

  #drop (reason: RelayDrop | undefined): void { if (reason !== undefined) this.#state.counters.drops[reason]++ }

  /**
   * Forgets what is silent. The relay itself calls it once a second.
   *
   * @internal
   * @param now milliseconds of a monotonic clock
   */
  tick (now: number): void {
    const { registrations, introductions, sessions, histories, counters, clock } = this.#state
    const date = clock.date()
    this.#log.tick()
    registrations.tick(now, ({ idKey }) => {
      counters.gone++
      histories.add(idKey, date, GONE)
    })
    introductions.tick(now, ({ target }) => { histories.add(target.idKey, date, UNANSWERED) })
    sessions.tick(now, ({ ends }) => {
      counters.ended++
      for (const { registration } of ends) histories.add(registration.idKey, date, SESSION_GONE)
    })
  }

  /** Serves nobody any more. */
  close (): void {
    this.#timer.stop()
    this.#others.close()
    this.#state.sessions.clear()
    this.#pipeline.keys.clear()
  }
}

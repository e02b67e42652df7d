/** A rendezvous server without sockets: datagrams and connections come in, answers go out. */
import { pipe } from 'it-pipe'
import { encode } from './answers.ts'
import { Connection } from './connection.ts'
import { runCommand } from './console.ts'
import { converse, type Conversation } from './conversation.ts'
import { DatagramReceiver, type DatagramService } from './datagrams.ts'
import { explainPeer, listPeers, type PeerExplanation } from './explanation.ts'
import { HealthChecks } from './health-checks.ts'
import { IpBlocker } from './ip-blocker.ts'
import { IpChanges } from './ip-changes.ts'
import { KeyOffers } from './key-offers.ts'
import { keepAlive } from './peer-connections.ts'
import type { Peer } from './peer.ts'
import { PeerRegistry } from './peer-registry.ts'
import { PeerSteps } from './peer-steps.ts'
import { PunchLog } from './punch-log.ts'
import { Registrar } from './registrar.ts'
import { tcpProbe } from './relay-probe.ts'
import { RelayServers, type Probe } from './relay-servers.ts'
import { readRendezvous, type RendezvousOptions, type RendezvousServerInit } from './settings.ts'
import type { RendezvousState } from './state.ts'
import { newCounters, newRefused, type Way } from './stats.ts'
import type { RendezvousStats, RendezvousStatus } from './status.ts'
import { WaitingClients } from './waiting-clients.ts'
import { foldAddress } from '../protocol/addresses.ts'
import { countedMessages, type Holding } from '../protocol/counted-frames.ts'
import { encryptableMessages, type EncryptableLink } from '../protocol/encryption.ts'
import { RefusalLog } from '../refusal-log.ts'
import { rendezvous, type RendezvousInit, type RendezvousMessage } from '../protocol/messages.ts'
import { isPublic } from './public-source.ts'
import { AcceptedConnections } from '../../common/accepted-connections.ts'
import { LinkClosedError } from '../../../errors.ts'
import { ConnectionLimiter, type ConnectionSlot } from '../../../limits/connection-limiter.ts'
import { silent } from '../../../log.ts'
import { every, systemClock, type Interval } from '../../../streams/clock.ts'
import { FrameSizeError } from '../../../transforms/length-codecs.ts'
import { KeyExchangeError, SecretboxError } from '../../../transforms/secretbox/index.ts'
import { ProtobufError } from '../../../transforms/protobuf/wire.ts'
import type { ConnectionInfo } from '../../../transports/connection-guard.ts'
import type { ProtocolMismatch } from '../../../transports/first-read.ts'
import type { Datagram, Link, PacketPort } from '../../../types.ts'

const TICK = 1000

/** Ticks between two checks of the relays. */
const CHECK_TICKS = 3

/** Ticks between two times that old entries are forgotten. */
const PRUNE_TICKS = 600

/** Bytes kept of messages that are not complete; beyond it connections end that have more than a little of one, the oldest first. */
const MOST_HELD = 64 * 1024 * 1024
const LITTLE = 4096

/** Bytes of a message to a peer, whose larger parts are those of clients. Real ones have a few hundred. */
const LONGEST_PUSH = 8 * 1024

/** An accepted link of messages. Without a slot it goes through the limiter of the server now. With an exchange its client may encrypt it. */
export type RendezvousLink = Link<RendezvousMessage, RendezvousInit> & ConnectionInfo & Partial<Pick<EncryptableLink, 'exchange'> & Holding>

/** The server: datagrams and connections are served by its parts, see `serveRendezvous` for its ports. */
export class Rendezvous {
  /** Every connection goes through it. */
  readonly limiter: ConnectionLimiter
  readonly #state: RendezvousState
  readonly #registrar: Registrar
  readonly #connections: AcceptedConnections
  /** Open ones. */
  readonly #open = new Map<Connection, RendezvousLink>()
  readonly #probe: Probe
  readonly #encryptable: ReturnType<typeof encryptableMessages> | undefined
  readonly #offers: KeyOffers
  readonly #timer: Interval
  #port: PacketPort<Datagram> | undefined
  #ticks = 0
  #isClosing = false

  /** @throws {OptionError} when an option is invalid */
  constructor ({ store, licence, signer, encryption, clock = systemClock, probe = tcpProbe({ clock }), log = silent, ...init }: RendezvousServerInit) {
    const settings = readRendezvous(init, { licence, signer, encryption })
    this.limiter = new ConnectionLimiter(settings.limiter)
    this.#connections = new AcceptedConnections(this.limiter, log, clock)
    this.#probe = probe
    this.#encryptable = encryption === undefined ? undefined : encryptableMessages(encryption)
    this.#state = {
      settings,
      clock,
      totals: newCounters(),
      refused: newRefused(),
      refusals: new RefusalLog(log, clock),
      store,
      peers: new PeerRegistry(store, settings.peerLimits),
      blocker: new IpBlocker(),
      changes: new IpChanges(),
      punches: new PunchLog(),
      steps: new PeerSteps(),
      relays: new RelayServers({ clock, isPlain: settings.strictOss }),
      waiting: new WaitingClients<Connection>(),
      serverList: { serial: settings.serial, servers: settings.rendezvousServers },
      healthChecks: new HealthChecks(),
      push: (peer, message) => this.#push(peer, encode(message))
    }
    this.#state.relays.configure(settings.relayServers)
    this.#offers = new KeyOffers(this.#state, encryption?.nacl.implementation ?? 'tweetnacl')
    this.#registrar = new Registrar(this.#state)
    this.#timer = every(clock, TICK, () => { this.tick(clock.now()) }).unref() // the listeners keep the process alive
  }

  /** The counters, as of now. */
  get stats (): RendezvousStats {
    const { totals, peers, waiting, blocker, healthChecks, clock } = this.#state
    const now = clock.now()
    let online = 0
    let connected = 0
    for (const peer of peers) {
      if (peer.isOnline(now)) online++
      if (peer.connection !== undefined) connected++
    }
    return {
      ...structuredClone(totals),
      peers: peers.size,
      online,
      connected,
      registering: this.#registrar.waiting,
      waiting: waiting.size,
      healthChecks: healthChecks.size,
      counted: blocker.size,
      evicted: peers.evicted,
      heldBytes: this.#held,
      halfOpen: this.limiter.stats.halfOpen,
      refused: { ...this.#state.refused, ...this.#connections.refused(this.limiter.stats) }
    }
  }

  /** The current state and counters, for display. */
  status (): RendezvousStatus {
    const { settings: { alwaysUseRelay }, relays, peers, clock } = this.#state
    return { ...this.stats, alwaysUseRelay, relays: { live: [...relays.live], all: [...relays.all] }, members: listPeers(peers, clock.now()) }
  }

  /** Why a peer is reached or not, and what happened to it. Rejects when the store cannot be read. */
  async explain (id: string): Promise<PeerExplanation> { return await explainPeer(this.#state, id) }

  /** Serves datagrams of a socket, by the port of which they are answered. */
  datagrams (port: PacketPort<Datagram>): DatagramService {
    this.#port = port
    return new DatagramReceiver(this.#state, this.#registrar, port)
  }

  /** Layer: bytes of TCP below, messages above, which clients may encrypt unless the settings say otherwise. */
  get tcpMessages (): (lower: Link) => Link<RendezvousMessage, RendezvousInit> {
    return this.#encryptable === undefined || this.#state.settings.strictOss ? countedMessages : this.#encryptable
  }

  /** Serves one connection; settles when it has ended, and never rejects. */
  accept (link: RendezvousLink, way: Exclude<Way, 'udp'>): Promise<void> {
    return this.#connections.accept(link, (slot) => this.#accept(link, way, slot))
  }

  /** Runs a command of the console. */
  command (text: string): string {
    this.#state.totals.commands++
    return runCommand(this.#state, text)
  }

  /** Logs a connection that speaks another protocol; called by the owner of the listener. */
  protocolMismatch (mismatch: ProtocolMismatch): void { this.#connections.protocolMismatch(mismatch) }

  /**
   * Changes the settings.
   *
   * @throws {OptionError} when a setting is invalid; then nothing has changed
   */
  configure (init: RendezvousOptions): void {
    const before = this.#state.settings
    const settings = readRendezvous({ ...init, idleTimeout: before.idleTimeout }, before)
    this.#state.settings = settings
    this.limiter.configure(settings.limiter)
    this.#state.peers.configure(settings.peerLimits)
    for (const connection of this.#open.keys()) if (connection.peer !== undefined && !this.#state.peers.isAllowed(connection.peer)) connection.end()
    this.#state.relays.isPlain = settings.strictOss
    if (String(settings.relayServers) !== String(before.relayServers)) this.#state.relays.configure(settings.relayServers) // else what the console has set stays
  }

  /**
   * Ends silent connections, and those that the other side does not close within two ticks, and checks the relays. The server itself calls it once a second.
   *
   * @internal
   * @param now milliseconds of a monotonic clock
   */
  tick (now: number): void {
    const { settings: { idleTimeout }, refused, refusals, blocker, changes, relays } = this.#state
    refusals.tick()
    this.#ticks++
    if (this.#ticks % CHECK_TICKS === 0) void relays.check(this.#probe)
    if (this.#ticks % PRUNE_TICKS === 0) {
      blocker.prune(now)
      changes.prune(now)
    }
    this.#relieve()
    for (const [connection, link] of this.#open) {
      if (connection.isEnded) {
        if (connection.isLingering) link.abort(new LinkClosedError('the other side does not close'))
        connection.isLingering = true
      } else if (now - connection.heardAt >= (connection.idleTimeout ?? idleTimeout)) {
        refused.timeout++
        if (!connection.hasSpoken) refusals.add({ reason: 'timeout', way: connection.way, client: connection.remote, source: connection.source })
        connection.end()
      } else {
        keepAlive(connection, now)
      }
    }
  }

  /** Accepts no more connections, ends all, and settles when they have ended. */
  async close (): Promise<void> {
    this.#isClosing = true
    this.#timer.stop()
    this.#offers.stop()
    for (const link of this.#open.values()) link.abort(new LinkClosedError('the server is stopping'))
    await this.#connections.gone()
  }

  async #accept (link: RendezvousLink, way: Connection['way'], slot: ConnectionSlot | undefined): Promise<void> {
    const { remote, exchange } = link
    if (slot === undefined || this.#isClosing) {
      link.abort(new LinkClosedError('too many connections'))
      return
    }
    const onFirst = (): void => {
      slot.establish()
      this.#offers.delete(connection)
    }
    const connection = new Connection({ remote: { host: foldAddress(remote.host), port: remote.port }, source: isPublic(slot.source) ? slot.source : undefined, way, now: this.#state.clock.now(), onFirst, exchange })
    this.#open.set(connection, link)
    if (exchange !== undefined) this.#offers.add(connection)
    try {
      await this.#serve(link, { state: this.#state, registrar: this.#registrar, connection })
    } catch (err) {
      link.abort(err as Error)
      this.#lost(connection, err as Error)
    } finally {
      this.#open.delete(connection)
      this.#offers.delete(connection)
      connection.end()
      this.#state.waiting.close(connection)
      connection.onClosed?.()
    }
  }

  get #held (): number {
    let held = 0
    for (const link of this.#open.values()) held += link.incomplete?.capacity ?? 0
    return held
  }

  /** Makes room for messages that are not complete. */
  #relieve (): void {
    let held = this.#held
    for (const link of this.#open.values()) {
      if (held <= MOST_HELD) break
      const own = link.incomplete?.capacity ?? 0
      if (own <= LITTLE) continue
      held -= own
      this.#state.refused.incomplete++
      link.abort(new LinkClosedError('its message is not complete, and too much is kept of others'))
    }
  }

  /** By a connection a copy that has been encoded is sent, as what came from a client may keep much more memory alive. */
  #push ({ host, port, connection }: Peer, data: Uint8Array): boolean {
    if (data.length > LONGEST_PUSH) return false
    return connection === undefined ? this.#port?.send([{ data, host, port }]) === 1 : connection.send(rendezvous.decode(data))
  }

  async #serve (link: RendezvousLink, conversation: Conversation): Promise<void> {
    await pipe(link.source, converse(conversation), link.sink)
    await conversation.connection.reading // an answer could be lost if the connection were ended before the other side has read it
  }

  #lost ({ remote, source, way }: Connection, err: Error): void {
    if (err instanceof FrameSizeError || err instanceof ProtobufError || err instanceof KeyExchangeError || err instanceof SecretboxError) {
      this.#state.refused.malformed++
      this.#state.refusals.add({ reason: 'malformed', way, client: remote, source, detail: err.message })
    } else {
      this.#connections.lost(remote, err)
    }
  }
}

/** A candy client: joins a network through a server, forwards the packets of an interface, and reconnects. */
import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { hostname } from 'node:os'
import { Backoff } from '../../../limits/backoff.ts'
import { SAMPLE_INTERVAL, TrafficRateMeter } from '../../../limits/rate-meter.ts'
import { greeting } from '../protocol/greeting.ts'
import { Secret } from '../protocol/hashes.ts'
import { DirectTraffic } from './direct/direct-traffic.ts'
import type { PathExplanation } from './direct/explain.ts'
import { PeerGuard } from './guard.ts'
import { OverlapError, PeerRoutes, type PeerOverlap } from './routes.ts'
import { PeerSession } from './session.ts'
import { readPeer, type PeerSettings, type CandyPeerEvents, type CandyPeerInit, type CandyPeerState, type CandyPeerStatus, type PeerTap } from './settings.ts'
import { newPeerStats, type CandyPeerStats } from './stats.ts'
import { PeerTaps } from './taps.ts'
import { tell, untilOnline } from '../../common/peer-events.ts'
import { Reconnector } from '../../common/reconnector.ts'
import { CloseCode, websocketFrames, type WebSocketFramesInit, type WebSocketLink } from '../../../transforms/websocket-frames/index.ts'
import { dialUpgraded } from '../../../transports/upgrade.ts'
import { readUrl } from '../../../net/endpoint.ts'
import { LinkClosedError, OptionError } from '../../../errors.ts'
import { over } from '../../../layer.ts'
import { every, systemClock } from '../../../streams/clock.ts'
import { consume } from '../../../streams/consume.ts'
import { printable, reasonOf } from '../../../text/printable.ts'
import { silent, type Logger } from '../../../log.ts'
import { formatCidr, inNetwork, parseAddress, parseCidr } from '../../../net/ipv4.ts'
import { TunError, type Tun } from '../../../tun/device.ts'
import type { Batch, Clock, Endpoint } from '../../../types.ts'

/**
 * Frame settings of a candy peer. candy sends at most 1500 bytes, but cacao forwards messages of its clients of any length, and its
 * ROUTE has up to 3064 bytes. Violations by existing servers that are tolerated: candy pads each PONG to 1500 bytes, and cacao's close
 * frames are text without a code. The close timeout is short, as some servers answer no close frame.
 */
export const PEER_FRAMES: Omit<WebSocketFramesInit, 'role'> = { maxPayload: 65_536, tolerate: { longControl: true, rawClose: true }, closeTimeout: 500 }

/** Error texts for a connection that ends before it is accepted: existing servers reject by closing it without a reason. */
const REJECTED = {
  beforeAuth: 'refused: wrong password, wrong clock, no address to give, or an unknown network',
  afterAuth: 'refused: wrong password, wrong clock, or an address that is not allowed'
}

/**
 * ```ts
 * const tun = userspaceTun()
 * const peer = await joinCandy({ url: 'ws://127.0.0.1:8080/', password, tun })
 * console.log(peer.address, await tun.ping('10.77.0.3'))
 * ```
 */
export class CandyPeer extends EventEmitter<CandyPeerEvents> {
  readonly #stats = newPeerStats()
  readonly #rates: TrafficRateMeter
  readonly #settings: PeerSettings
  readonly #tun: Tun
  readonly #clock: Clock
  readonly #dial: NonNullable<CandyPeerInit['dial']>
  readonly #secret: Secret
  readonly #vmac: string
  readonly #greeting: string
  readonly #log: Logger
  readonly #routes: PeerRoutes
  readonly #guard: PeerGuard
  readonly #backoff: Backoff
  readonly #stopping = new AbortController()
  #state: CandyPeerState = 'idle'
  #address: string | undefined
  #session: PeerSession | undefined
  #link: WebSocketLink | undefined
  #running: Promise<void> | undefined
  #onlineAt: number | undefined
  #reason: string | undefined
  readonly #taps = new PeerTaps()
  readonly #direct: DirectTraffic | undefined

  /** @throws {OptionError} when an option is invalid */
  constructor (init: CandyPeerInit) {
    super()
    const settings = this.#settings = readPeer(init)
    this.#tun = init.tun
    const clock = this.#clock = init.clock ?? systemClock
    this.#dial = init.dial ?? dialUpgraded
    this.#rates = new TrafficRateMeter(clock.now())
    this.#secret = new Secret(settings.password)
    this.#vmac = settings.vmac ?? randomBytes(8).toString('hex')
    this.#address = settings.address === undefined ? settings.remembered : formatCidr(settings.address)
    this.#greeting = greeting(init.name === undefined || init.name === '' ? hostname() : init.name)
    this.#log = init.log ?? silent
    this.#routes = new PeerRoutes({ tun: init.tun, policy: settings.routes, stats: this.#stats, log: this.#log, clock })
    this.#guard = new PeerGuard({ tun: init.tun, routes: this.#routes, stats: this.#stats, log: this.#log, clock, onOthers: () => { void this.#removeOverlaps() } })
    this.#backoff = new Backoff({ clock, ...init.backoff })
    if (settings.direct && (init.dial === undefined || init.bindUdp !== undefined)) {
      this.#direct = new DirectTraffic({
        settings,
        secret: this.#secret,
        tun: init.tun,
        routes: this.#routes,
        stats: this.#stats,
        tap: this.#taps,
        clock,
        log: this.#log,
        bindUdp: init.bindUdp,
        backoff: init.backoff,
        toServer: (message) => this.#session?.say(message) ?? false,
        isOnline: () => this.#session?.isReady === true,
        deliver: this.#deliver,
        onPath: (member, endpoint) => { tell(() => this.emit('path', member, endpoint)) }
      })
    }
  }

  get state (): CandyPeerState { return this.#state }

  /** Connected, and nothing of the interface's configuration is missing. */
  get isOnline (): boolean { return this.#state === 'online' && this.lost.length === 0 }

  /** Connected, but a part of the interface's configuration was removed and is not restored. */
  get isDegraded (): boolean { return this.#state === 'online' && this.lost.length > 0 }

  /** The counters, as of now. */
  get stats (): CandyPeerStats { return { ...this.#stats, drops: { ...this.#stats.drops } } }

  /** The CIDR in use, or to be requested next. */
  get address (): string | undefined { return this.#address }

  /** Addresses and routes of the server that are rejected, as they overlap networks used by this machine. */
  get overlaps (): readonly PeerOverlap[] { return this.#routes.overlaps }

  /** What another program has removed from the interface and is not restored yet. */
  get lost (): readonly string[] { return this.#guard.lost }

  /** The current state, for display. */
  status (): CandyPeerStatus {
    const session = this.#session
    return {
      ...this.stats,
      url: this.#settings.url,
      state: this.#state,
      address: this.#address,
      interface: this.#tun.name,
      offloads: this.#tun.offloads,
      reason: this.#reason,
      connected: this.#onlineAt === undefined ? undefined : Math.round((this.#clock.now() - this.#onlineAt) / 1000),
      roundTrip: session?.roundTrip,
      queued: session?.queued ?? 0,
      pushed: this.#routes.installed,
      direct: this.#direct?.status,
      members: this.#direct?.paths?.status() ?? [],
      overlaps: this.overlaps,
      lost: this.lost,
      ...this.#rates.perSecond
    }
  }

  /**
   * Why packets to a member take the way that they take.
   *
   * @param member its virtual address
   * @throws {OptionError} when that can be no member, or no direct paths are looked for
   */
  explain (member: string): PathExplanation {
    const direct = this.#direct
    const address = parseAddress(member)
    const own = this.#address === undefined ? undefined : parseCidr(this.#address)
    if (direct === undefined) throw new OptionError('direct paths are off (--direct off)')
    if (address === undefined) throw new OptionError(`not an address (${printable(member)}), expected that of a member such as 10.77.0.2`)
    if (address === own?.address) throw new OptionError(`${member} is this peer itself, expected another member`)
    if (own !== undefined && (!inNetwork(address, own) || (own.prefix < 31 && (address === own.network || address === own.broadcast)))) throw new OptionError(`${member} can be no member, expected an address in ${formatCidr({ ...own, address: own.network })}`)
    return direct.explain(address)
  }

  /** Adds a tap for packets sent and received; the function that it returns removes it. */
  tap (tap: PeerTap): () => void { return this.#taps.add(tap) }

  /** Starts to connect, and reconnects until `close`. May be called more than once, and after `close`. */
  start (): void {
    if (this.#state === 'idle') this.#running = this.#run()
  }

  /** Closes the connection and stops. The interface stays open, without the routes of the server. */
  async close (): Promise<void> {
    this.#stop()
    await this.#running
  }

  async #run (): Promise<void> {
    this.#guard.start()
    const connecting = new Reconnector({
      clock: this.#clock,
      signal: this.#stopping.signal,
      attempt: (signal) => this.#attempt(signal),
      onLost: (err) => this.#lost(err)
    })
    const sampling = every(this.#clock, SAMPLE_INTERVAL, () => { this.#rates.sample(this.#stats, this.#clock.now()) }).unref()
    const halves = [connecting.run(), this.#readInterface()]
    try {
      await Promise.all(halves)
    } catch (err) {
      this.#stop()
      this.#log.error({ err }, 'stopped')
      tell(() => this.emit('failed', err as Error))
    }
    await Promise.allSettled(halves)
    sampling.stop()
    this.#guard.stop()
    await this.#direct?.close()
    await this.#routes.clear()
  }

  #stop (): void {
    this.#state = 'stopped'
    this.#stopping.abort(new LinkClosedError('the peer was closed'))
    this.#link?.close(CloseCode.GOING_AWAY)
  }

  /** Reads the interface for as long as the peer runs, also while it is offline. */
  async #readInterface (): Promise<void> {
    const { signal } = this.#stopping
    const tun = this.#tun
    await consume(tun, this.#send, signal)
    if (!signal.aborted) throw new TunError('ERR_TUN_CLOSED', 'the interface was closed')
  }

  /** Sends packets to the server, or drops them. Keeps none of them; a returned promise pauses the interface. */
  readonly #send = (batch: Batch): Promise<void> | undefined => {
    const direct = this.#direct?.paths
    const packets = direct === undefined ? batch : direct.send(batch)
    if (this.#session === undefined) this.#stats.drops.offline += packets.length
    else if (packets.length > 0) this.#session.send(packets)
    return bothOf(direct?.drained(), this.#session?.drained())
  }

  /** Packets from the server or from a member, for the interface. */
  readonly #deliver = (packets: Batch): void => {
    const stats = this.#stats
    stats.packetsIn += packets.length
    for (const packet of packets) stats.bytesIn += packet.length
    this.#taps.show(packets, 'in')
    stats.drops.interface += packets.length - this.#tun.port.send(packets)
  }

  /** Removes what overlaps networks that this machine uses by now, also while online: else they would be unreachable until the next attempt. */
  async #removeOverlaps (): Promise<void> {
    const link = this.#link
    const overlap = await this.#routes.retreat()
    if (overlap !== undefined) link?.abort(overlap)
  }

  /** @returns milliseconds until the next attempt. @throws errors after which there is none */
  #lost (err: Error): number {
    if (err instanceof TunError || err instanceof OptionError) throw err
    const reason = reasonOf(err)
    const wait = err instanceof OverlapError ? this.#backoff.longest : this.#backoff.next()
    this.#stats.failures++
    this.#reason = reason
    this.#state = 'waiting'
    this.#log.warn({ reason, wait: Math.round(wait) }, 'offline')
    tell(() => this.emit('offline', err, wait))
    return wait
  }

  async #attempt (signal: AbortSignal): Promise<void> {
    this.#state = 'connecting'
    try {
      await this.#serve(signal)
    } finally {
      this.#session = this.#link = this.#onlineAt = undefined
    }
  }

  async #serve (signal: AbortSignal): Promise<void> {
    const { url, address, ca, insecure, pingInterval, deadAfter } = this.#settings
    const tun = this.#tun
    const dialledAt = this.#clock.now()
    await this.#routes.retreat()
    if (signal.aborted) return
    void this.#routes.makeWay(readUrl(url)?.host ?? '')
    const wire = await this.#dial(url, { signal, ca, insecure, clock: this.#clock })
    if (signal.aborted) { // while the connection was being made
      wire.abort(signal.reason)
      return
    }
    const link = this.#link = over(wire, websocketFrames({ ...PEER_FRAMES, role: 'client', clock: this.#clock }))
    let authenticated = false
    let accepted = false
    const session = this.#session = new PeerSession({
      link,
      server: ipv4Of(wire.remote),
      tun,
      routes: this.#routes,
      secret: this.#secret,
      vmac: this.#vmac,
      address: address === undefined ? undefined : formatCidr(address),
      remembered: this.#address,
      greeting: this.#greeting,
      clock: this.#clock,
      dialledAt,
      pingInterval,
      deadAfter,
      stats: this.#stats,
      tap: this.#taps,
      log: this.#log,
      direct: () => this.#direct?.paths,
      deliver: this.#deliver,
      onAddress: (cidr) => {
        if (signal.aborted) return
        authenticated = true
        this.#address = cidr
        this.#direct?.addressed(cidr)
        tell(() => this.emit('address', cidr))
      },
      onOnline: () => {
        if (signal.aborted) return
        accepted = true
        this.#state = 'online'
        this.#backoff.online()
        this.#onlineAt = this.#clock.now()
        this.#reason = undefined
        this.#log.info({ address: this.#address }, 'online')
        tell(() => this.emit('online', this.#address as string))
      }
    })
    try {
      await session.run()
    } catch (err) {
      if (!accepted && wasAborted(err)) throw new Error(authenticated ? REJECTED.afterAuth : REJECTED.beforeAuth, { cause: err })
      throw err
    } finally {
      link.abort(new LinkClosedError('the session is over'))
    }
  }
}

/** Settles when both have. */
function bothOf (one: Promise<void> | undefined, other: Promise<void> | undefined): Promise<void> | undefined {
  return one === undefined ? other : other === undefined ? one : Promise.all([one, other]).then(() => {})
}

/** A socket of IPv6 reports IPv4 addresses with a prefix. */
const ipv4Of = ({ host }: Endpoint): number | undefined => parseAddress(host.replace(/^::ffff:/i, ''))

/** Whether the other side ended the connection without a close frame; a reset when it had not read everything. */
function wasAborted (err: unknown): boolean {
  const { closeCode, code } = err as { closeCode?: number, code?: string }
  return closeCode === CloseCode.ABNORMAL || code === 'ECONNRESET' || code === 'EPIPE'
}

/**
 * Joins a candy network; settles when the server has accepted the peer, after any number of attempts.
 *
 * @throws the error of the interface, or the reason of the signal
 */
export async function joinCandy ({ signal, ...init }: CandyPeerInit & { signal?: AbortSignal }): Promise<CandyPeer> {
  signal?.throwIfAborted()
  const peer = new CandyPeer(init)
  return await untilOnline(peer, {
    signal,
    onFailed: (fail) => { peer.once('failed', fail) },
    online: (signal) => once(peer, 'online', { signal })
  })
}

/** A data connection of a peer: its users, one after the other, and for each a connection to the service. */
import { answerOf, dialServer, KEEP_ALIVE } from './dial.ts'
import { readStreamHeader, type Message, type OpenDataChannel, type StreamHeader } from '../protocol/messages.ts'
import { RefusedError } from './errors.ts'
import type { MapStats, PeerSettings, PortMap } from './settings.ts'
import type { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import type { BufferBudget } from '../../../limits/buffer-budget.ts'
import type { UnansweredWatch } from '../../../limits/unanswered-watch.ts'
import type { Semaphore } from '../../../limits/semaphore.ts'
import { bridge } from '../../../streams/bridge.ts'
import { LinkClosedError } from '../../../errors.ts'
import { reasonOf } from '../../../text/printable.ts'
import { SequentialStreams } from '../../../transforms/sequential-streams/index.ts'
import { encodeProxyHeader } from '../../../transports/proxy-header.ts'
import { dialTcp } from '../../../transports/tcp.ts'
import type { Batch, Endpoint, Link } from '../../../types.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'

/** The mapped port that a data connection belongs to. */
export interface MappingContext {
  readonly map: PortMap
  readonly settings: Pick<PeerSettings, 'server' | 'tls' | 'token' | 'name' | 'dialTimeout' | 'proxyProtocol' | 'clock'>
  readonly stats: Pick<MapStats, 'users' | 'accepted' | 'bytesIn' | 'bytesOut' | 'drops'>
  readonly log: RateLimitedLog
  /** What is kept for users of all maps, by map. */
  readonly buffers: BufferBudget
  /** Ends data connections and services that are gone without a word. */
  readonly unanswered: UnansweredWatch
  /** Connections that are being made. */
  readonly semaphore: Semaphore
  readonly isStopped: boolean
  /** Whether the service was there for whoever has just tried. */
  reportService (isThere: boolean, err?: Error): void
}

/** The control connection that has asked for a data connection. */
export interface ControlSession {
  readonly map: MappingContext
  readonly isStrict: boolean
  /** The server is told that the opening of a user has arrived. */
  readonly acknowledges: boolean
  send (message: Message): void
  end (err: Error): void
  /** How a data connection went. */
  onDataResult (err?: Error): void
}

/** Connects for what was asked for. Compatible mode: settles when the server has said yes. */
export async function dialData ({ map: { settings, map }, isStrict }: ControlSession, { local_port: localPort, id }: OpenDataChannel, signal: AbortSignal): Promise<Link> {
  // An id is all that the server wants, so the token stays here, and there is no answer to wait for.
  const { token, name } = isStrict ? { token: '', name: '' } : settings
  const link = await dialServer(settings, { type: 'data_channel', local_port: localPort, remote_port: map.remotePort, protocol: '', token, name, id }, signal)
  return isStrict ? link : (await answerOf(link, settings.tls !== undefined, signal)).rest
}

export class DataConnection {
  readonly #session: ControlSession
  readonly #map: MappingContext
  readonly #message: OpenDataChannel
  readonly #stopping = new AbortController()
  /** Users are served by it. */
  isBusy = true

  constructor (session: ControlSession, message: OpenDataChannel) {
    this.#session = session
    this.#map = session.map
    this.#message = message
  }

  abort (err: Error): void { this.#stopping.abort(err) }

  /** Settles when it has ended; never rejects. */
  async run (): Promise<void> {
    const { stats, semaphore } = this.#map
    stats.users++
    try {
      stats.accepted++
      await semaphore.acquire()
      const links = await this.#open().finally(() => { semaphore.release() })
      if (links === undefined) return
      const { service, data } = links
      if (this.#session.isStrict) await this.#serveAll(data, service)
      else await this.#serveOne(data, service)
    } catch {
      // One of the two is gone, and so is the other by now.
    } finally {
      if (this.isBusy) stats.users--
    }
  }

  /** Both connections at once; undefined when one of them cannot be made, and that has been dealt with. */
  async #open (): Promise<{ service: Link, data: Link } | undefined> {
    const { signal } = this.#stopping
    const { dialTimeout, clock } = this.#map.settings
    const timer = clock.set(dialTimeout, () => { this.abort(new Error(`no connection within ${dialTimeout} ms`)) })
    const local = this.#dialService()
    if (this.#session.isStrict) local.catch((err) => { this.abort(err) }) // else a data connection has to come, or the user of another would get none
    const [service, data] = await Promise.allSettled([local, dialData(this.#session, this.#message, signal)])
    clock.clear(timer)
    if (service.status === 'fulfilled' && data.status === 'fulfilled') {
      if (!this.#session.isStrict) this.#session.onDataResult() // else there is an answer to come
      this.#map.reportService(true)
      return { service: service.value, data: data.value }
    }
    for (const side of [service, data]) if (side.status === 'fulfilled') side.value.abort(new LinkClosedError('the other side could not be reached'))
    const isLocal = service.status === 'rejected' && (data.status === 'fulfilled' || signal.reason === service.reason)
    this.#failed(isLocal ? 'local' : 'data', isLocal ? service.reason : signal.reason ?? (data as PromiseRejectedResult).reason)
    return undefined
  }

  #dialService (): Promise<Link> {
    const { map: { local }, settings: { clock } } = this.#map
    return dialTcp({ ...local, signal: this.#stopping.signal, keepAlive: KEEP_ALIVE, clock })
  }

  #failed (side: 'local' | 'data', err: Error): void {
    if (this.#map.isStopped) return
    this.#count(side, err)
    if (side === 'data' && !(err instanceof RefusedError)) this.#session.onDataResult(err)
    this.#tellFailed(side === 'local' ? 'no connection to the service' : 'no data connection')
  }

  #count (side: 'local' | 'data', err: Error): void {
    const { map: { remotePort: port }, stats, log } = this.#map
    stats.drops[side]++
    log.log('warn', { port, reason: reasonOf(err) }, side === 'local' ? 'no connection to the service' : 'no data connection to the server')
    if (side === 'local') this.#map.reportService(false, err)
  }

  /** Compatible mode: the connection is that of one user. */
  async #serveOne (data: Link, service: Link): Promise<void> {
    this.#stopping.signal.addEventListener('abort', () => { data.abort(this.#stopping.signal.reason) }, { once: true })
    await this.#bridge(data, service)
  }

  /** Strict mode: a user, and whoever follows. */
  async #serveAll (data: Link, service: Link): Promise<void> {
    const streams = new SequentialStreams(data, { acknowledges: this.#session.acknowledges, clock: this.#map.settings.clock })
    const abort = (): void => { streams.abort(this.#stopping.signal.reason) }
    this.#stopping.signal.addEventListener('abort', abort, { once: true })
    if (this.#stopping.signal.aborted) abort()
    try {
      await this.#serveEach(streams, service)
    } catch (err) {
      streams.abort(err as Error)
    } finally {
      service.abort(new LinkClosedError('the data connection has ended'))
    }
  }

  async #serveEach (streams: SequentialStreams, service: Link): Promise<void> {
    const first = await this.#acceptFirst(streams)
    if (first === undefined) return
    await this.#bridge(first.link, service, readStreamHeader(first.header)).catch(() => {})
    for (;;) {
      this.#setIdle(true)
      const next = await streams.accept()
      if (next === undefined) return
      this.#setIdle(false)
      this.#map.stats.accepted++
      await this.#serve(next.link, readStreamHeader(next.header))
    }
  }

  /** The opening is the server's answer. Without one its user has to hear of it; that the server just leaves is no fault, as its user has left. */
  async #acceptFirst (streams: SequentialStreams): Promise<Awaited<ReturnType<SequentialStreams['accept']>>> {
    const { dialTimeout, clock } = this.#map.settings
    const timer = clock.set(dialTimeout, () => { streams.abort(new Error(`no answer within ${dialTimeout} ms`)) })
    try {
      const first = await streams.accept()
      if (first !== undefined) this.#session.onDataResult()
      else this.#tellFailed('the data connection has ended')
      return first
    } catch (err) {
      this.#failed('data', this.#stopping.signal.reason ?? err)
      throw err
    } finally {
      clock.clear(timer)
    }
  }

  #tellFailed (reason: string): void {
    const { id } = this.#message
    if (this.#session.isStrict && id !== undefined) this.#session.send({ type: 'data_channel_failed', id, reason })
  }

  /** One that follows; never rejects. */
  async #serve (link: Link, streamHeader: StreamHeader): Promise<void> {
    const { semaphore, settings: { dialTimeout, clock }, map: { local } } = this.#map
    try {
      await semaphore.acquire()
      const service = await dialTcp({ ...local, timeout: dialTimeout, signal: this.#stopping.signal, keepAlive: KEEP_ALIVE, clock }).finally(() => { semaphore.release() })
      this.#map.reportService(true)
      await this.#bridge(link, service, streamHeader).catch(() => {})
    } catch (err) {
      this.#count('local', err as Error)
      link.abort(err as Error)
    }
  }

  #setIdle (isIdle: boolean): void {
    this.isBusy = !isIdle
    this.#map.stats.users += isIdle ? -1 : 1
  }

  /** Rejects when one of the two breaks. */
  async #bridge (user: Link, service: Link, { source, destination }: StreamHeader = {}): Promise<void> {
    const map = this.#map
    const { stats, settings } = map
    const header = settings.proxyProtocol ? encodeProxyHeader(endpointOf(source), endpointOf(destination)) : undefined
    const told = header === undefined ? user : behind(header, user)
    const account = map.buffers.open(map, () => {
      stats.drops.stalled++
      map.log.log('warn', { port: map.map.remotePort }, 'a user that stands still was ended: too much is kept for all users')
      const err = new LinkClosedError('too much is kept for users that stand still')
      service.abort(err)
      this.abort(err) // the whole connection: the end of its user alone would wait behind what nobody reads
    })
    const gone = (err: Error): void => {
      stats.drops.silent++
      service.abort(err)
      this.abort(err)
    }
    map.unanswered.add(user, gone)
    map.unanswered.add(service, gone)
    try {
      await bridge(told, service, {
        account,
        forward: (bytes) => { stats.bytesIn += bytes },
        backward: (bytes) => { stats.bytesOut += bytes }
      })
    } finally {
      map.unanswered.delete(user)
      map.unanswered.delete(service)
    }
  }
}

/** A link that brings something else first. The service is told at once, also when its user waits to be spoken to. */
function behind (header: Uint8Array, link: Link): Link {
  async function * source (): AsyncGenerator<Batch> {
    yield [header]
    yield * link.source
  }
  return wrapLink(link, { source: source(), flow: undefined })
}

/** `192.0.2.1:443`, `[2001:db8::1]:443`. */
function endpointOf (text = ''): Endpoint | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? []
  return port === undefined ? undefined : { host: bracketed ?? plain, port: Number(port) }
}

/** A data connection of a peer: serves users one after the other, each with its own connection to the service. */
import { answerOf, dialServer, KEEP_ALIVE } from './dial.ts'
import { readStreamHeader, type Message, type OpenDataChannel, type StreamHeader } from '../protocol/messages.ts'
import { RefusedError } from './errors.ts'
import type { PortMap } from './options.ts'
import type { MapStats, PeerSettings } from './settings.ts'
import type { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import type { BufferBudget } from '../../../limits/buffer-budget.ts'
import type { UnansweredWatch } from '../../../limits/unanswered-watch.ts'
import type { Semaphore } from '../../../limits/semaphore.ts'
import { bridge } from '../../../streams/bridge.ts'
import { LinkClosedError } from '../../../errors.ts'
import { reasonOf } from '../../../text/printable.ts'
import { SequentialStreams } from '../../../transforms/sequential-streams/index.ts'
import { encodeProxyHeader } from '../../../transports/proxy-header.ts'
import type { Batch, Endpoint, Link } from '../../../types.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'

/** The mapped port that a data connection belongs to. */
export interface MappingContext {
  readonly map: PortMap
  readonly settings: Pick<PeerSettings, 'server' | 'tls' | 'token' | 'name' | 'dialTimeout' | 'dial' | 'proxyProtocol' | 'clock'>
  readonly stats: Pick<MapStats, 'users' | 'accepted' | 'bytesIn' | 'bytesOut' | 'drops'>
  readonly log: RateLimitedLog
  /** Buffers for users of all maps, by map. */
  readonly buffers: BufferBudget
  /** Ends data connections, and connections to services, whose other end has vanished. */
  readonly unanswered: UnansweredWatch
  /** Bounds the connections being made. */
  readonly semaphore: Semaphore
  readonly isStopped: boolean
  /** Reports whether a connection to the service could be made. */
  reportService (isThere: boolean, err?: Error): void
}

/** The control connection that has asked for a data connection. */
export interface ControlSession {
  readonly map: MappingContext
  readonly isStrict: boolean
  /** The server is told when the header of a user has arrived. */
  readonly acknowledges: boolean
  send (message: Message): void
  end (err: Error): void
  /** Reports the result of a data connection. */
  onDataResult (err?: Error): void
}

/** Makes the data connection that was asked for. Compatible mode: settles when the server has accepted it. */
export async function dialData ({ map: { settings, map }, isStrict }: ControlSession, { local_port: localPort, id }: OpenDataChannel, signal: AbortSignal): Promise<Link> {
  // Strict mode: the id authenticates, so the token is not sent, and there is no answer.
  const { token, name } = isStrict ? { token: '', name: '' } : settings
  const link = await dialServer(settings, { type: 'data_channel', local_port: localPort, remote_port: map.remotePort, protocol: '', token, name, id }, signal)
  return isStrict ? link : (await answerOf(link, settings.tls !== undefined, signal)).rest
}

export class DataConnection {
  readonly #session: ControlSession
  readonly #map: MappingContext
  readonly #message: OpenDataChannel
  readonly #stopping = new AbortController()
  /** A user is being served. */
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
      // one of the two has ended; the bridge has aborted the other
    } finally {
      if (this.isBusy) stats.users--
    }
  }

  /** Makes both connections at once; undefined when one of them failed, which has been handled. */
  async #open (): Promise<{ service: Link, data: Link } | undefined> {
    const { signal } = this.#stopping
    const { dialTimeout, clock } = this.#map.settings
    const timer = clock.set(dialTimeout, () => { this.abort(new Error(`no connection within ${dialTimeout} ms`)) })
    const local = this.#dialService()
    if (this.#session.isStrict) local.catch((err) => { this.abort(err) }) // compatible mode needs a data connection all the same: the server pairs them in order
    const [service, data] = await Promise.allSettled([local, dialData(this.#session, this.#message, signal)])
    clock.clear(timer)
    if (service.status === 'fulfilled' && data.status === 'fulfilled') {
      if (!this.#session.isStrict) this.#session.onDataResult() // strict mode: the stream header is the answer, see #acceptFirst
      this.#map.reportService(true)
      return { service: service.value, data: data.value }
    }
    for (const side of [service, data]) if (side.status === 'fulfilled') side.value.abort(new LinkClosedError('the other side could not be reached'))
    const isLocal = service.status === 'rejected' && (data.status === 'fulfilled' || signal.reason === service.reason)
    this.#failed(isLocal ? 'local' : 'data', isLocal ? service.reason : signal.reason ?? (data as PromiseRejectedResult).reason)
    return undefined
  }

  #dialService (): Promise<Link> {
    const { map: { local }, settings: { dial, clock } } = this.#map
    return dial({ ...local, signal: this.#stopping.signal, keepAlive: KEEP_ALIVE, clock })
  }

  #failed (side: 'local' | 'data', err: Error): void {
    if (this.#map.isStopped) return
    this.#count(side, err)
    if (side === 'data' && !(err instanceof RefusedError)) this.#session.onDataResult(err)
    this.#reportFailure(side === 'local' ? 'no connection to the service' : 'no data connection')
  }

  #count (side: 'local' | 'data', err: Error): void {
    const { map: { remotePort: port }, stats, log } = this.#map
    stats.drops[side]++
    log.log('warn', { port, reason: reasonOf(err) }, side === 'local' ? 'no connection to the service' : 'no data connection to the server')
    if (side === 'local') this.#map.reportService(false, err)
  }

  /** Compatible mode: the connection serves one user. */
  async #serveOne (data: Link, service: Link): Promise<void> {
    this.#stopping.signal.addEventListener('abort', () => { data.abort(this.#stopping.signal.reason) }, { once: true })
    await this.#bridge(data, service)
  }

  /** Strict mode: serves users one after the other. */
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

  /** The first stream header is the server's answer. When it fails the server is told; when the server just closes, its user has left. */
  async #acceptFirst (streams: SequentialStreams): Promise<Awaited<ReturnType<SequentialStreams['accept']>>> {
    const { dialTimeout, clock } = this.#map.settings
    const timer = clock.set(dialTimeout, () => { streams.abort(new Error(`no answer within ${dialTimeout} ms`)) })
    try {
      const first = await streams.accept()
      if (first !== undefined) this.#session.onDataResult()
      else this.#reportFailure('the data connection has ended')
      return first
    } catch (err) {
      this.#failed('data', this.#stopping.signal.reason ?? err)
      throw err
    } finally {
      clock.clear(timer)
    }
  }

  #reportFailure (reason: string): void {
    const { id } = this.#message
    if (this.#session.isStrict && id !== undefined) this.#session.send({ type: 'data_channel_failed', id, reason })
  }

  /** Serves a further user; never rejects. */
  async #serve (link: Link, streamHeader: StreamHeader): Promise<void> {
    const { semaphore, settings: { dialTimeout, dial, clock }, map: { local } } = this.#map
    try {
      await semaphore.acquire()
      const service = await dial({ ...local, timeout: dialTimeout, signal: this.#stopping.signal, keepAlive: KEEP_ALIVE, clock }).finally(() => { semaphore.release() })
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

  /** Rejects when one of the two fails. */
  async #bridge (user: Link, service: Link, { source, destination }: StreamHeader = {}): Promise<void> {
    const map = this.#map
    const { stats, settings } = map
    const header = settings.proxyProtocol ? encodeProxyHeader(endpointOf(source), endpointOf(destination)) : undefined
    const userLink = header === undefined ? user : withHeader(header, user)
    const account = map.buffers.open(map, () => {
      stats.drops.stalled++
      map.log.log('warn', { port: map.map.remotePort }, 'a user that stands still was ended: too much is kept for all users')
      const err = new LinkClosedError('too much is kept for users that stand still')
      service.abort(err)
      this.abort(err) // the whole connection: the end of one user would be queued behind bytes that are not read
    })
    const onUnanswered = (err: Error): void => {
      stats.drops.silent++
      service.abort(err)
      this.abort(err)
    }
    await map.unanswered.during([user, service], onUnanswered, bridge(userLink, service, {
      account,
      forward: (bytes) => { stats.bytesIn += bytes },
      backward: (bytes) => { stats.bytesOut += bytes }
    }))
  }
}

/** A link with a header ahead of its bytes. The service gets it at once, also when its user waits for the service to speak first. */
function withHeader (header: Uint8Array, link: Link): Link {
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

/** One user of a peer: a connection to the service, one to the server, and what goes through them. */
import { answerOf, dialServer, KEEP_ALIVE } from './dial.ts'
import type { OpenDataChannel } from './messages.ts'
import { RefusedError } from './peer-errors.ts'
import type { PeerSession } from './peer-session.ts'
import { bridge } from '../../bridge.ts'
import { LinkClosedError } from '../../errors.ts'
import { meter } from '../../transforms/meter.ts'
import { encodeProxyHeader } from '../../transports/proxy-header.ts'
import { dialTcp } from '../../transports/tcp.ts'
import type { Batch, Endpoint, Link } from '../../types.ts'

export class DataConnection {
  readonly #session: PeerSession
  readonly #message: OpenDataChannel
  readonly #stopping = new AbortController()

  constructor (session: PeerSession, message: OpenDataChannel) {
    this.#session = session
    this.#message = message
  }

  abort (err: Error): void { this.#stopping.abort(err) }

  /** Settles when it has ended; never rejects. */
  async run (): Promise<void> {
    const { map } = this.#session
    map.stats.users++
    map.stats.accepted++
    try {
      await map.slots.take()
      const links = await this.#open().finally(() => { map.slots.give() })
      if (links !== undefined) await this.#carry(links)
    } catch {
      // One of the two is gone, and so is the other by now.
    } finally {
      map.stats.users--
    }
  }

  /** Both connections at once; undefined when one of them cannot be made, and that has been dealt with. */
  async #open (): Promise<{ service: Link, data: Link } | undefined> {
    const { map, isStrict } = this.#session
    const { signal } = this.#stopping
    const timer = setTimeout(() => { this.abort(new Error(`no connection within ${map.settings.dialTimeout} ms`)) }, map.settings.dialTimeout)
    const local = dialTcp({ ...map.map.local, signal, keepAlive: KEEP_ALIVE })
    if (isStrict) local.catch((err) => { this.abort(err) }) // else a data connection has to come, or the user of another would get none
    const [service, data] = await Promise.allSettled([local, this.#dialData(signal)])
    clearTimeout(timer)
    if (service.status === 'fulfilled' && data.status === 'fulfilled') {
      this.#session.sawData()
      map.see(true)
      return { service: service.value, data: data.value }
    }
    for (const side of [service, data]) if (side.status === 'fulfilled') side.value.abort(new LinkClosedError('the other side could not be reached'))
    if (service.status === 'rejected' && data.status === 'fulfilled') this.#failed('local', service.reason)
    else if (data.status === 'rejected' && service.status === 'fulfilled') this.#failed('data', data.reason)
    else this.#failed(signal.reason === (service as PromiseRejectedResult).reason ? 'local' : 'data', signal.reason ?? (data as PromiseRejectedResult).reason)
    return undefined
  }

  async #dialData (signal: AbortSignal): Promise<Link> {
    const { settings, map } = this.#session.map
    const { local_port: localPort, id } = this.#message
    // An id is all that the server wants, so the token stays here, and there is no answer to wait for.
    const { token, name } = this.#session.isStrict ? { token: '', name: '' } : settings
    const link = await dialServer(settings, { type: 'data_channel', local_port: localPort, remote_port: map.remotePort, protocol: '', token, name, id }, signal)
    return this.#session.isStrict ? link : (await answerOf(link, signal)).rest
  }

  #failed (side: 'local' | 'data', err: Error): void {
    const { map, isStrict } = this.#session
    if (map.isStopped) return
    map.stats.drops[side]++
    map.log.line('warn', { port: map.map.remotePort, reason: err.message }, side === 'local' ? 'no connection to the service' : 'no data connection to the server')
    if (side === 'local') map.see(false)
    else if (!(err instanceof RefusedError)) this.#session.sawData(err)
    const { id } = this.#message
    if (isStrict && id !== undefined) this.#session.send({ type: 'data_channel_failed', id, reason: side === 'local' ? 'no connection to the service' : 'no data connection' })
  }

  async #carry ({ service, data }: { service: Link, data: Link }): Promise<void> {
    const { map: { stats, settings } } = this.#session
    const { signal } = this.#stopping
    const abort = (): void => {
      service.abort(signal.reason)
      data.abort(signal.reason)
    }
    signal.addEventListener('abort', abort, { once: true })
    const count = meter((bytes) => { stats.bytesIn += bytes })
    const header = settings.proxyProtocol ? encodeProxyHeader(endpointOf(this.#message.source), endpointOf(this.#message.destination)) : undefined
    await bridge(data, service, {
      forward: (source) => header === undefined ? count(source) : behind(header, count(source)),
      backward: meter((bytes) => { stats.bytesOut += bytes })
    })
  }
}

/** The service is told first, also when its user waits to be spoken to. */
async function * behind (header: Uint8Array, source: AsyncIterable<Batch>): AsyncGenerator<Batch> {
  yield [header]
  yield * source
}

/** `192.0.2.1:443`, `[2001:db8::1]:443`. */
function endpointOf (text = ''): Endpoint | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? []
  return port === undefined ? undefined : { host: bracketed ?? plain, port: Number(port) }
}

/** The TCP of a host: who dials, who listens, and to whom a segment belongs. */
import { isIP } from 'node:net'
import { CONNECTION_DEFAULTS, verifyLimits } from './connection-init.ts'
import { ConnectionTable, type Entry, type LinkSettings } from './connection-table.ts'
import { streamError } from './errors.ts'
import { ANY, ANY_IPV4, LocalPorts, type Use } from './local-ports.ts'
import { Flag, isSegment, resetFor, type Segment } from './segment.ts'
import type { DialSimulatedInit, ListenSimulatedInit, SimulatedLink, SimulatedTransport, SimulatedTransportInit } from './transport.ts'
import type { HostStack } from '../host-stack.ts'
import { familyOf, headersOf, type Packet, type PacketError, type ProtocolHandler } from '../packet.ts'
import { acceptQueue, type AcceptQueue } from '../../../acceptor.ts'
import { DialTimeoutError } from '../../../connecting.ts'
import { accepted } from '../../../connection-guard.ts'
import { DEFAULT_QUEUE_LIMIT } from '../../../stream-link.ts'
import { LinkClosedError } from '../../../../errors.ts'
import { verifyPort } from '../../../../options.ts'
import type { ConnectionLimiter, ConnectionSlot } from '../../../../limits/connection-limiter.ts'
import { normalizeAddress } from '../../../../net/client-address.ts'
import { verifyBytes, verifyMilliseconds } from '../../../../options.ts'
import type { Endpoint, Listener, Timer } from '../../../../types.ts'

/** Connections of a listener whose handshake is not complete. Further ones have to wait until they try again. */
const MAX_HALF_OPEN = 1024

interface Listening {
  readonly queue: AcceptQueue<SimulatedLink>
  readonly limits: LinkSettings
  readonly limiter: ConnectionLimiter | undefined
  readonly halfOpen: Set<Entry>
}

const placeOf = ({ host, port }: Endpoint): string => `${host} ${port}`

export class StreamPorts implements ProtocolHandler {
  readonly #host: HostStack
  readonly #table: ConnectionTable
  readonly #ports = new LocalPorts()
  readonly #listeners = new Map<string, Listening>()

  constructor (host: HostStack) {
    this.#host = host
    this.#table = new ConnectionTable(host)
  }

  /** Connections, with those that only keep their addresses. */
  get connections (): number { return this.#table.size }

  /** @throws {OptionError} when a limit is out of range */
  transport (init: SimulatedTransportInit = {}): SimulatedTransport {
    const settings = settingsOf(DEFAULTS, init)
    return {
      capabilities: { halfClose: true },
      dial: async ({ keepAlive, queueLimit, ...to }) => await this.#dial(to, settingsOf(settings, { keepAlive, queueLimit })),
      listen: ({ keepAlive, queueLimit, ...at }) => this.#listen(at, settingsOf(settings, { keepAlive, queueLimit }))
    }
  }

  /** What nobody has a use for is answered by a reset, never by ICMP. */
  receive (packet: Packet): boolean {
    const { source, destination, payload } = packet
    this.#host.simulation.record('delivered', this.#host.name, packet)
    if (!isSegment(payload)) return true
    const entry = this.#table.find(destination, source)
    if (entry === undefined || !this.#table.receive(entry, payload)) this.#receiveFirst(source, destination, payload)
    return true
  }

  fail ({ destination: local }: Packet, { kind, of: remote, mtu = 0 }: PacketError): void {
    const connection = this.#table.find(local, remote)?.connection
    if (kind === 'tooLarge') connection?.limitData(mtu - headersOf('tcp', remote.host))
    else connection?.unreachable(kind === 'portUnreachable' ? 'ECONNREFUSED' : 'EHOSTUNREACH')
  }

  /** A segment of no connection. */
  #receiveFirst (source: Endpoint, destination: Endpoint, payload: Segment): void {
    const isFirst = (payload.flags & (Flag.SYN | Flag.ACK | Flag.RST)) === Flag.SYN
    const listening = isFirst ? this.#listenerAt(destination) : undefined
    if (listening !== undefined) {
      this.#accept(listening, destination, source, payload)
      return
    }
    const reset = resetFor(payload)
    if (reset !== undefined) this.#table.send(destination, source, reset)
  }

  async #dial ({ host, port, signal, timeout, localHost, localPort = 0, sharesPort = false }: DialSimulatedInit, limits: LinkSettings): Promise<SimulatedLink> {
    signal?.throwIfAborted()
    verifyPort('port', port)
    verifyPort('localPort', localPort)
    if (timeout !== undefined) verifyMilliseconds('timeout', timeout)
    const remote = { host: remoteHost(host), port }
    const local = normalizeAddress(localHost ?? ANY)
    if (local !== ANY && familyOf(local) !== familyOf(remote.host)) throw streamError('EINVAL', 'bind', { host: local, port: localPort })
    const from = isAny(local) ? this.#host.sourceFor(remote.host) : local
    if (from === undefined) throw streamError('ENETUNREACH', 'connect', remote)
    if (!this.#host.isOwn(from)) throw streamError('EADDRNOTAVAIL', 'connect', { host: from, port: localPort })
    const use = this.#ports.take({ host: from, port: localPort }, { listens: false, sharesPort })
    return await new Promise((resolve, reject) => {
      const { clock } = this.#host.simulation
      let timer: Timer | undefined
      const ended = (): void => {
        clock.clear(timer)
        signal?.removeEventListener('abort', aborted)
      }
      const entry = this.#table.open({
        local: use.local,
        remote,
        limits,
        events: {
          opened (link) {
            ended()
            resolve(link)
          },
          failed (code) {
            ended()
            reject(streamError(code, 'connect', remote))
          },
          released: () => { this.#ports.release(use) }
        }
      })
      const giveUp = (reason: unknown): void => {
        ended()
        entry?.connection.abort()
        reject(reason)
      }
      const aborted = (): void => { giveUp(signal?.reason) }
      if (entry === undefined) {
        this.#ports.release(use)
        reject(streamError('EADDRINUSE', 'connect', use.local))
        return
      }
      signal?.addEventListener('abort', aborted, { once: true })
      if (timeout !== undefined) timer = clock.set(timeout, () => { giveUp(new DialTimeoutError(`no connection within ${timeout} ms`)) })
      entry.connection.connect()
    })
  }

  /** As a server of Node: that it cannot listen shows in `port`, and in the iteration. */
  #listen ({ host, port, sharesPort = false, limiter }: ListenSimulatedInit, limits: LinkSettings): Listener<SimulatedLink> {
    verifyPort('port', port)
    let use: Use | undefined
    const queue = acceptQueue<SimulatedLink>(() => { if (use !== undefined) this.#stop(use) })
    let failure: Error | undefined
    try {
      use = this.#ports.take({ host: this.#localHost(host), port }, { listens: true, sharesPort })
      this.#listeners.set(placeOf(use.local), { queue, limits, limiter, halfOpen: new Set() })
    } catch (err) {
      failure = err as Error
      queue.fail(failure)
    }
    return {
      async port () {
        if (failure !== undefined) throw failure
        return (use as Use).local.port
      },
      close: () => { queue.close() },
      [Symbol.asyncIterator]: () => queue.links()
    }
  }

  #stop (use: Use): void {
    const place = placeOf(use.local)
    const listening = this.#listeners.get(place)
    this.#listeners.delete(place)
    this.#ports.release(use)
    for (const { connection } of [...listening?.halfOpen ?? []]) connection.abort()
  }

  #accept ({ queue, limits, limiter, halfOpen }: Listening, local: Endpoint, remote: Endpoint, segment: Segment): void {
    if (halfOpen.size >= MAX_HALF_OPEN) return
    let slot: ConnectionSlot | undefined
    const forget = (): void => { if (entry !== undefined) halfOpen.delete(entry) }
    const entry: Entry | undefined = this.#table.open({
      local,
      remote,
      limits,
      events: {
        opened (link) {
          forget()
          slot = limiter?.admit(remote.host, () => {})
          if (limiter !== undefined && slot === undefined) link.abort(new LinkClosedError('too many connections'))
          else if (!queue.offer(accepted(link, { remote, slot }))) link.abort(new LinkClosedError('too many connections wait to be accepted'))
        },
        failed () {},
        released () {
          forget()
          slot?.release()
        }
      }
    })
    if (entry === undefined) return
    halfOpen.add(entry)
    entry.connection.accept(segment)
  }

  #listenerAt ({ host, port }: Endpoint): Listening | undefined {
    return this.#listeners.get(placeOf({ host, port })) ??
      (host.includes(':') ? undefined : this.#listeners.get(placeOf({ host: ANY_IPV4, port }))) ??
      this.#listeners.get(placeOf({ host: ANY, port }))
  }

  #localHost (host: string): string {
    if (host === '') return ANY
    const address = host === 'localhost' ? '127.0.0.1' : normalizeAddress(host)
    if (!isAny(address) && !this.#host.isOwn(address)) throw streamError('EADDRNOTAVAIL', 'listen', { host, port: 0 })
    return address
  }
}

const DEFAULTS: LinkSettings = { ...CONNECTION_DEFAULTS, queueLimit: DEFAULT_QUEUE_LIMIT }

/** Settings with some of them replaced. */
function settingsOf (settings: LinkSettings, init: SimulatedTransportInit): LinkSettings {
  const given = Object.entries(init).filter(([, value]) => value !== undefined)
  const result: LinkSettings = { ...settings, ...Object.fromEntries(given) }
  verifyLimits(result)
  verifyBytes('queueLimit', result.queueLimit)
  return result
}

const isAny = (host: string): boolean => host === ANY || host === ANY_IPV4

/** The address of a host to connect to. */
function remoteHost (host: string): string {
  if (host === 'localhost' || host === ANY_IPV4) return '127.0.0.1'
  const address = host === ANY ? '::1' : normalizeAddress(host)
  if (isIP(address) === 0) throw Object.assign(streamError('ENOTFOUND', 'getaddrinfo'), { hostname: host })
  return address
}

/**
 * A relay on several processors: worker threads have the connections and forward packets, while this thread is the control plane (RFC
 * 3746): it admits clients and assigns addresses.
 *
 * Each worker accepts connections at its own socket on the same port; the kernel distributes them (SO_REUSEPORT). A worker passes AUTH,
 * DHCP and VMAC to this thread, one message at a time, and holds later messages of that connection until it has the result. Messages
 * between members it forwards itself: to its own members directly, to others through a ring to their worker, so that packets from one
 * member to another stay in order.
 */
import { Worker, MessageChannel } from 'node:worker_threads'
import { LinkClosedError } from '../../../../errors.ts'
import type { Logger } from '../../../../log.ts'
import { newRing } from '../../../../buffers/shared-ring.ts'
import { throttle } from '../../../../limits/throttle.ts'
import type { TlsListener } from '../../../../transports/certificate.ts'
import type { ProtocolMismatch } from '../../../../transports/first-read.ts'
import type { Clock } from '../../../../types.ts'
import type { ConnectionLimiter, ConnectionLimiterStats } from '../../../../limits/connection-limiter.ts'
import type { BindOptions } from '../../../common/rebindable-listener.ts'
import type { ForwardingPlane } from '../forwarding-plane.ts'
import type { RelaySettings } from '../settings.ts'
import type { Session, SessionNetwork } from '../session.ts'
import { closeFor, type Closing } from '../../protocol/closings.ts'
import { CloseCode } from '../../../../transforms/websocket-frames/index.ts'
import { addStats, newTraffic } from '../stats.ts'
import type { Counts, WorkerRingInit, Limits, WorkerCommand, WorkerEvent, WorkerInit } from './messages.ts'
import { errorOf, RemoteLink } from './remote-link.ts'
import { SharedListeners } from './shared-listeners.ts'

export interface WorkersInit {
  count: number
  settings: RelaySettings
  /** Milliseconds for each step of a handshake. */
  handshakeTimeout: number | undefined
  log: Logger
  /** The clock of this thread. Workers use the system clock. */
  clock: Clock
}

export class Workers implements ForwardingPlane {
  /** Rejects when a worker has died, which is a bug. */
  readonly failed: Promise<never>
  readonly #workers: Worker[]
  readonly #log: Logger
  readonly #clock: Clock
  readonly #links = new Map<number, RemoteLink>()
  readonly #listeners: SharedListeners
  readonly #numbers = new Map<SessionNetwork, number>()
  readonly #networks = new Map<number, SessionNetwork>()
  /** Removed networks, with the number of workers that may still report traffic of them. */
  readonly #removed = new Map<number, number>()
  /** Counters of the limiters of the workers, by index. */
  readonly #limiterStats = new Map<number, ConnectionLimiterStats>()
  #networksMade = 0
  /** Messages that captures have missed since the last log line. */
  #missed = 0
  readonly #onMissed: (messages: number) => void
  #isClosed = false

  constructor ({ count, settings, handshakeTimeout, log, clock }: WorkersInit) {
    this.#log = log
    this.#clock = clock
    this.#onMissed = throttle(() => {
      log.warn({ messages: this.#missed }, 'a capture could not keep up')
      this.#missed = 0
    }, { clock })
    const limits = limitsOf(settings, count)
    // the file next to this one, in source or compiled form
    const file = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)
    this.#workers = connected(count).map((rings, index) => new Worker(file, {
      name: `candy ${index}`,
      workerData: { index, count, rings, limits, handshakeTimeout } satisfies WorkerInit,
      transferList: rings.flatMap((ring) => ring?.port ?? [])
    }))
    this.failed = new Promise((_resolve, reject) => {
      for (const [index, worker] of this.#workers.entries()) {
        worker.on('message', (event: WorkerEvent) => { this.#onEvent(index, event) })
        worker.once('error', reject)
        worker.once('exit', () => {
          const err = new Error('a worker has ended')
          if (!this.#isClosed) reject(err)
          this.#exited(index, err)
        })
      }
    })
    this.failed.catch(() => {}) // no unhandled rejection; the owner of the relay handles it
    this.#listeners = new SharedListeners(this.#workers, (command) => { this.#broadcast(command) }, this.failed)
  }

  /** Listens in all workers. The port rejects with an error of the system. */
  listen (options: BindOptions, limiter: ConnectionLimiter, onProtocolMismatch: (mismatch: ProtocolMismatch) => void): TlsListener<RemoteLink> { return this.#listeners.listen(options, limiter, onProtocolMismatch) }

  get count (): number { return this.#workers.length }

  configure (settings: RelaySettings): void { this.#broadcast({ type: 'limits', limits: limitsOf(settings, this.#workers.length) }) }

  setNetwork (network: SessionNetwork): void {
    const number = this.#numbers.get(network) ?? this.#networksMade++
    this.#numbers.set(network, number)
    this.#networks.set(number, network)
    const { range, sourceCheck, broadcast, isolate, packetRate, byteRate, frameRate, broadcastRate } = network.settings
    this.#broadcast({ type: 'network', network: number, settings: { range, sourceCheck, broadcast, isolate, packetRate, byteRate, frameRate, broadcastRate } })
  }

  removeNetwork (network: SessionNetwork): void {
    const number = this.#numberOf(network)
    this.#numbers.delete(network)
    this.#removed.set(number, this.#workers.length)
    this.#broadcast({ type: 'no network', network: number })
  }

  addSession (session: Session): void { (session.link as RemoteLink).session = session }

  setMember (session: Session): void {
    const { network, link, address, behind, gateways, routes } = session
    this.#broadcast({ type: 'member', network: this.#numberOf(network), id: (link as RemoteLink).id, state: { address, behind, gateways, routes } })
  }

  removeMember (session: Session): void {
    this.#broadcast({ type: 'remove member', network: this.#numberOf(session.network), id: (session.link as RemoteLink).id })
  }

  setTaps (session: Session): void {
    const { id } = session.link as RemoteLink
    this.#sendCommand(id, { type: 'tap', id, isOn: session.taps !== undefined })
  }

  limiterStats ({ stats }: ConnectionLimiter): Pick<ConnectionLimiterStats, 'halfOpen' | 'rejected' | 'evicted'> {
    const sum = { halfOpen: 0, rejected: { ...stats.rejected }, evicted: stats.evicted }
    for (const part of this.#limiterStats.values()) addStats(sum, { halfOpen: part.halfOpen, rejected: part.rejected, evicted: part.evicted })
    return sum
  }

  /** Ends all workers; remaining connections are reset. */
  async close (): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#workers.map(async (worker) => await worker.terminate()))
  }

  #onEvent (index: number, event: WorkerEvent): void {
    switch (event.type) {
      case 'listening':
      case 'closed':
        return this.#listeners.answered(event.listener)
      case 'not listening': return this.#listeners.answered(event.listener, errorOf(event.fault))
      case 'no network': return this.#forget(event.network)
      case 'open': return this.#opened(event)
      case 'protocol mismatch': return this.#listeners.get(event.listener)?.onProtocolMismatch(event.mismatch)
      case 'message': return this.#links.get(event.id)?.push(event.message, event.received)
      case 'greeting': return this.#links.get(event.id)?.onPing?.(event.greeting)
      case 'reject': return this.#links.get(event.id)?.reject(event.reason, event.detail, event.received)
      case 'end':
        this.#links.get(event.id)?.end(event.fault, event.received)
        this.#links.delete(event.id)
        return
      case 'counts': return this.#counted(index, event.counts)
      case 'tapped': return this.#tapped(event)
      case 'log': this.#log[event.level](event.fields, event.message)
    }
  }

  #opened ({ id, listener, remote, path, isCounted }: Extract<WorkerEvent, { type: 'open' }>): void {
    const send = (command: WorkerCommand): void => { this.#sendCommand(id, command) }
    const refuse = (reason: Closing): void => {
      closeFor({ close: (code = CloseCode.NORMAL, text = '') => { send({ type: 'close', id, code, reason: text }) } }, reason)
      send({ type: 'abort', id })
    }
    const shared = this.#listeners.get(listener)
    if (shared === undefined || shared.links.closed) { // the listener is being closed
      refuse('stopping')
      return
    }
    const slot = shared.limiter.admit(remote.host, () => {}, !isCounted)
    // a proxy may report a loopback address, which is not exempt
    if (slot === undefined || (isCounted && slot.isLocal && !slot.setSource(remote.host))) {
      slot?.release()
      refuse('limit')
      return
    }
    const link = new RemoteLink(id, { remote, path, slot }, send)
    slot.evict = () => { link.abort(new LinkClosedError('made room for a newer connection')) }
    this.#links.set(id, link)
    shared.links.push(link)
  }

  #counted (index: number, { heard, traffic, late, limiter }: Counts): void {
    this.#limiterStats.set(index, limiter)
    const now = this.#clock.now()
    for (const [id, received] of heard) {
      const session = this.#links.get(id)?.session
      if (session === undefined) continue
      session.heardAt = now
      session.received = received
    }
    for (const { network, id, traffic: part, queued } of traffic) {
      const link = this.#links.get(id)
      if (link !== undefined && id % this.#workers.length === index) link.port.queued = queued
      const of = network === undefined ? link?.session?.network : this.#networks.get(network)
      of?.count(part, link?.session)
    }
    for (const [network, messages] of late) {
      const part = newTraffic()
      part.drops.destination = messages
      this.#networks.get(network)?.count(part)
    }
  }

  #tapped ({ id, messages, direction, missed }: Extract<WorkerEvent, { type: 'tapped' }>): void {
    this.#links.get(id)?.session?.tapped(messages, direction)
    this.#sendCommand(id, { type: 'seen', bytes: messages.reduce((sum, { length }) => sum + length, 0) })
    this.#missed += missed
    if (missed > 0) this.#onMissed(missed)
  }

  /** A worker has reported all traffic of a removed network. */
  #forget (number: number): void {
    const left = this.#removed.get(number) as number - 1
    this.#removed.set(number, left)
    if (left > 0) return
    this.#removed.delete(number)
    this.#networks.delete(number)
  }

  /** A worker has ended, with its connections; nothing waits for it any longer. */
  #exited (index: number, err: Error): void {
    for (const [id, link] of this.#links) {
      if (id % this.#workers.length !== index) continue
      this.#links.delete(id)
      link.end({ message: err.message, code: 'ERR_LINK_CLOSED' }, 0)
    }
    this.#listeners.failed(err)
  }

  #numberOf (network: SessionNetwork): number { return this.#numbers.get(network) as number }

  #sendCommand (id: number, command: WorkerCommand): void { this.#workers[id % this.#workers.length].postMessage(command) }

  #broadcast (command: WorkerCommand): void {
    for (const worker of this.#workers) worker.postMessage(command)
  }
}

const limitsOf = ({ limiter, lenient, queueTotal }: RelaySettings, count: number): Limits =>
  ({ limiter: { ...limiter, maxHalfOpen: Math.ceil(limiter.maxHalfOpen / count) }, unmasked: lenient, queueTotal: Math.ceil(queueTotal / count) })

/** Rings and ports between each pair of workers. */
function connected (count: number): Array<Array<WorkerRingInit | undefined>> {
  const rings: Array<Array<WorkerRingInit | undefined>> = Array.from({ length: count }, () => new Array<WorkerRingInit | undefined>(count).fill(undefined))
  for (let a = 0; a < count; a++) {
    for (let b = a + 1; b < count; b++) {
      const [there, back] = [newRing(), newRing()]
      const { port1, port2 } = new MessageChannel()
      rings[a][b] = { outgoing: there, incoming: back, port: port1 }
      rings[b][a] = { outgoing: back, incoming: there, port: port2 }
    }
  }
  return rings
}

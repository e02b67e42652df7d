/** A socket whose datagrams are links, one for each address that they come from. */
import { newUdpErrors, type UdpErrors } from './errors.ts'
import { Flow, type UdpLink } from './flow.ts'
import { bindUdp, type BindUdpInit } from './bind.ts'
import { verifyUdp, type UdpOffload, type UdpSocket } from './socket.ts'
import { acceptQueue, type AcceptQueue } from '../acceptor.ts'
import { LinkClosedError, OptionError } from '../../errors.ts'
import { verifyBytes, verifyMilliseconds, verifyPort } from '../../options.ts'
import { consumeSource } from '../../streams/consume.ts'
import { systemClock } from '../../streams/clock.ts'
import type { Batch, Clock, Datagram, Listener } from '../../types.ts'

/** Milliseconds that the link of an address is safe from a newcomer that takes its place. */
const KEPT = 1000

/** Options of {@link listenUdp}. */
export interface ListenUdpInit extends BindUdpInit {
  /** Links at one time. A newcomer takes the place of the one that was idle longest, for a second at least; else it is refused. Default: 1024. */
  maxFlows?: number
  /** Milliseconds without a datagram in either direction until a link ends. Default: 60 s. */
  idleTimeout?: number
  /** Bound in bytes of the datagrams of one link that wait for its reader. Default: 64 KiB. */
  flowLimit?: number
  /** Default: that of the system. */
  clock?: Clock
  /** Makes the socket, as a host of a simulated network does: `(init) => host.bindUdp(init)`. Default: `bindUdp`. */
  bind?: (init: BindUdpInit) => Promise<UdpSocket>
}

/**
 * Links by the address that datagrams come from, which anybody can forge: the first datagram of an address makes a link. All links share the
 * socket, so they end with the listener.
 */
export interface UdpListener extends Listener<UdpLink> {
  /** Links that are there now. */
  readonly flows: number
  /** Links that had to make room for others. */
  readonly evicted: number
  /** Datagrams of newcomers that there was no room for. */
  readonly refused: number
  /** Datagrams that the socket had no room for; see `dropped` of links as well. */
  readonly dropped: number
  readonly errors: Readonly<UdpErrors>
  /** Of the socket, see {@link UdpSocket}; undefined before it listens. */
  readonly offloads: readonly UdpOffload[] | undefined
  readonly reduced: string | undefined
}

/**
 * Listens on a UDP port.
 *
 * @throws {OptionError} when an option is out of range
 */
export function listenUdp (init: ListenUdpInit): UdpListener {
  const { maxFlows = 1024, idleTimeout = 60_000, flowLimit = 64 << 10, clock = systemClock, errors = newUdpErrors() } = init
  verifyUdp(init)
  verifyPort('a port', init.port)
  verifyMilliseconds('idleTimeout', idleTimeout)
  verifyBytes('flowLimit', flowLimit)
  if (!Number.isSafeInteger(maxFlows) || maxFlows < 1) throw new OptionError(`maxFlows is a whole number, at least 1, not ${String(maxFlows)}`)
  return new FlowListener({ ...init, maxFlows, idleTimeout, flowLimit, clock, errors })
}

type Verified = ListenUdpInit & Required<Pick<ListenUdpInit, 'maxFlows' | 'idleTimeout' | 'flowLimit' | 'clock' | 'errors'>>

class FlowListener implements UdpListener {
  evicted = 0
  refused = 0
  readonly errors: UdpErrors
  readonly #init: Verified
  /** By address, the one that was idle longest first. */
  readonly #flows = new Map<string, Flow>()
  readonly #accepting: AcceptQueue<UdpLink>
  readonly #listening: Promise<number>
  #socket: UdpSocket | undefined
  #isClosed = false

  constructor (init: Verified) {
    this.#init = init
    this.errors = init.errors
    this.#accepting = acceptQueue<UdpLink>(() => { this.#stop() })
    this.#listening = (init.bind ?? bindUdp)(init).then((socket) => this.#serve(socket))
    this.#listening.catch((err) => { this.#accepting.fail(err) }) // code that only iterates gets the error there
  }

  get flows (): number { return this.#flows.size }

  get dropped (): number { return this.#socket?.dropped ?? 0 }

  get offloads (): readonly UdpOffload[] | undefined { return this.#socket?.offloads }

  get reduced (): string | undefined { return this.#socket?.reduced }

  port (): Promise<number> { return this.#listening }

  close (): void { this.#accepting.close() }

  [Symbol.asyncIterator] (): AsyncIterableIterator<UdpLink, undefined, undefined> { return this.#accepting.links() }

  #serve (socket: UdpSocket): number {
    if (this.#isClosed) {
      socket.close()
      throw new LinkClosedError('the listener was closed before it listened')
    }
    this.#socket = socket
    consumeSource<Datagram>(socket.source, (batch) => { this.#receive(batch) }).catch((err) => {
      this.#accepting.fail(err as Error)
      for (const flow of [...this.#flows.values()]) flow.abort(err as Error)
    })
    return socket.local.port
  }

  #stop (): void {
    this.#isClosed = true
    for (const flow of [...this.#flows.values()]) flow.end('the listener was closed')
    this.#socket?.close()
  }

  /** One batch for each address. */
  #receive (batch: Batch<Datagram>): void {
    const groups = new Map<Flow, Batch>()
    let flow: Flow | undefined
    for (const { data, host, port } of batch) {
      if (flow === undefined || flow.remote.port !== port || flow.remote.host !== host) flow = this.#flowOf(host, port)
      if (flow === undefined) this.refused++
      else if (groups.get(flow)?.push(data) === undefined) groups.set(flow, [data])
    }
    for (const [flow, group] of groups) flow.receive(group)
  }

  /** The link of an address, which may be new; undefined when there is no room. */
  #flowOf (host: string, port: number): Flow | undefined {
    const key = keyOf(host, port)
    const known = this.#flows.get(key)
    if (known !== undefined) {
      known.touch() // so that none of the same batch takes its place
      return known
    }
    const { maxFlows, idleTimeout, flowLimit, clock } = this.#init
    const socket = this.#socket
    if (socket === undefined || !this.#accepting.hasRoom || (this.#flows.size >= maxFlows && !this.#makeRoom())) return undefined
    const flow = new Flow({ socket, remote: { host, port }, receiveLimit: flowLimit, idleTimeout, clock, onUsed: this.#onUsed, onEnd: this.#onEnd })
    this.#accepting.offer(flow)
    this.#flows.set(key, flow)
    return flow
  }

  #makeRoom (): boolean {
    const [oldest] = this.#flows.values()
    if (this.#init.clock.now() - oldest.usedAt < KEPT) return false
    this.evicted++
    oldest.end('another address has taken its place')
    return true
  }

  readonly #onUsed = (flow: Flow): void => {
    const key = keyOf(flow.remote.host, flow.remote.port)
    if (this.#flows.get(key) !== flow) return
    this.#flows.delete(key)
    this.#flows.set(key, flow)
  }

  readonly #onEnd = ({ remote: { host, port } }: Flow): void => { this.#flows.delete(keyOf(host, port)) }
}

const keyOf = (host: string, port: number): string => `${host} ${port}`

/**
 * The forwarding plane in one worker thread: it has connections, and forwards packets between them and to those of other workers. The
 * control plane, admission and addresses, is in the main thread (`workers.ts`).
 */
import type { ConnectionLimiter } from '../../../../limits/connection-limiter.ts'
import { LinkClosedError } from '../../../../errors.ts'
import { typeDemux } from '../../../../transforms/type-demux.ts'
import { WebSocketProtocolError } from '../../../../transforms/websocket-frames/index.ts'
import { every, systemClock } from '../../../../streams/clock.ts'
import type { Batch, Clock } from '../../../../types.ts'
import { CandyMessageError, MessageType } from '../../protocol/messages.ts'
import type { SwitchSettings } from '../member.ts'
import { Switch, type Budget } from '../switch.ts'
import { addressed, forward } from '../traffic.ts'
import { Connection, faultOf, applyState, RemoteMember, type WorkerLink } from './connection.ts'
import { WorkerRings, type Framed, type WorkerRingHandlers } from './worker-rings.ts'
import type { Limits, MemberState, WorkerCommand, WorkerEvent, WorkerInit } from './messages.ts'
import { Counting } from './counting.ts'
import { PartialSwitch } from './partial-switch.ts'
import { TapCopies } from './tap-copies.ts'

const TICK = 1000

/** Messages that the main thread handles. */
const CONTROL_MESSAGES: ReadonlySet<number | undefined> = new Set([MessageType.AUTH, MessageType.DHCP, MessageType.VMAC])

/** The settings of the placeholder network for connections without an address, which has no members. */
const UNASSIGNED: SwitchSettings = { range: undefined, sourceCheck: 'strict', broadcast: false, isolate: true, packetRate: undefined, byteRate: undefined, frameRate: undefined, broadcastRate: 1 }

type Settings = Pick<WorkerInit, 'index' | 'count' | 'rings' | 'limits'>

export class Forwarder implements WorkerRingHandlers {
  readonly #index: number
  readonly #count: number
  readonly #emit: (event: WorkerEvent) => void
  readonly #drainCommands: () => void
  readonly #limiter: ConnectionLimiter
  readonly #rings: WorkerRings
  readonly #budget: Budget
  readonly #unassigned: Switch
  readonly #networks = new Map<number, PartialSwitch>()
  readonly #connections = new Map<number, Connection>()
  readonly #remote = new Map<number, RemoteMember>()
  readonly #counting = new Counting()
  readonly #copies: TapCopies
  readonly #receive = typeDemux<Connection>({
    [MessageType.CONN]: (message, connection) => { addressed(connection, message, 'CONN') },
    [MessageType.DISCOVERY]: (message, connection) => { addressed(connection, message, 'DISCOVERY') },
    [MessageType.GENERAL]: (message, connection) => { addressed(connection, message, 'GENERAL') }
  }, { unknown: (_message, connection) => { connection.frameLimiter.ignored() } })

  #opened = 0

  /** @param drainCommands handles all commands received so far */
  constructor ({ index, count, rings, limits }: Settings, limiter: ConnectionLimiter, emit: (event: WorkerEvent) => void, drainCommands: () => void, clock: Clock = systemClock) {
    this.#index = index
    this.#count = count
    this.#emit = emit
    this.#drainCommands = drainCommands
    this.#limiter = limiter
    this.#copies = new TapCopies(emit)
    this.#rings = new WorkerRings(rings, this)
    this.#budget = { clock, queued: 0, queueTotal: limits.queueTotal, parts: count }
    this.#unassigned = new Switch(UNASSIGNED, this.#budget)
    every(clock, TICK, () => { this.#tick() })
  }

  /** Serves a connection until it has ended. */
  async accept (link: WorkerLink, listener: number): Promise<void> {
    const id = this.#newId()
    const connection = new Connection(id, link, this.#unassigned, this.#emit)
    this.#connections.set(id, connection)
    const { remote, path = '/', slot } = link
    this.#emit({ type: 'open', id, listener, remote, path, isCounted: slot?.isCounted === true })
    let fault
    try {
      await link.flow((batch) => {
        connection.isHeard = true
        if (!connection.ended) connection.tapped(batch, 'in')
        const at = this.#rings.isFull ? 0 : this.#take(connection, batch, 0)
        return at < batch.length ? this.#wait(connection, batch, at) : this.#rings.room()
      })
    } catch (err) {
      fault = faultOf(err as Error)
      if (!(err instanceof WebSocketProtocolError)) link.abort(err as Error) // after a protocol error the frame layer sends a close frame, which an abort would cut off
    }
    connection.leave()
    this.#counts([connection])
    this.#connections.delete(id)
    this.#emit({ type: 'end', id, fault, received: connection.received })
  }

  /** A 32-bit id. Wraps around, and skips ids in use. */
  #newId (): number {
    const count = this.#count
    for (;;) {
      const id = this.#opened * count + this.#index
      this.#opened = (this.#opened + 1) % Math.floor(2 ** 32 / count)
      if (!this.#connections.has(id)) return id
    }
  }

  /** Handles a command of the main thread. */
  handle (command: WorkerCommand): void {
    switch (command.type) {
      case 'limits': this.#limit(command.limits); break
      case 'network': this.#setNetwork(command.network, command.settings); break
      case 'no network': this.#removeNetwork(command.network); break
      case 'member': this.#setMember(command.network, command.id, command.state); break
      case 'remove member': this.#removeMember(command.network, command.id); break
      case 'send': this.#send(command.id, command.messages); break
      case 'ping': this.#connections.get(command.id)?.link.ping(); break
      case 'close': this.#connections.get(command.id)?.close(command.code, command.reason); break
      case 'abort': this.#connections.get(command.id)?.abort(new LinkClosedError('the connection was given up')); break
      case 'done': this.#connections.get(command.id)?.done(); break
      case 'tap': this.#tap(command.id, command.isOn); break
      case 'seen': this.#copies.seen(command.bytes)
    }
  }

  onUnicast (network: number, to: number, from: number, framed: Framed): boolean {
    // another worker may know a new member before the command about it has been handled here
    if (this.#connections.get(to)?.network === this.#unassigned) this.#drainCommands()
    const [fabric, connection] = [this.#networks.get(network), this.#connections.get(to)]
    if (fabric !== undefined && connection?.network === fabric) return fabric.deliverFrames(connection, framed, this.#remote.get(from), this.#budget.clock.now())
    this.#counting.late(network, framed.count)
    return false
  }

  onBroadcast (network: number, id: number, { frames }: Framed): void {
    if (!this.#remote.has(id)) this.#drainCommands()
    const [fabric, from] = [this.#networks.get(network), this.#remote.get(id)]
    if (from !== undefined) fabric?.floodFrames(from, frames)
  }

  /** Handles the rest of a read, once there is room in the rings and the main thread has handled the pending message. */
  async #wait (connection: Connection, batch: Batch, from: number): Promise<void> {
    let at = from
    for (;;) {
      while (this.#rings.isFull) await this.#rings.room()
      at = this.#take(connection, batch, at)
      if (at === batch.length) break
      connection.received++
      await connection.awaitDecision(batch[at++])
    }
    await this.#rings.room()
  }

  /** Handles a read up to a message for the main thread; returns the index of that message. */
  #take (connection: Connection, batch: Batch, from: number): number {
    connection.refill()
    this.#rings.sender = connection.id
    let at = from
    try {
      for (; at < batch.length && !connection.ended; at++) {
        const message = batch[at]
        const type = message[0]
        if (type !== MessageType.FORWARD && CONTROL_MESSAGES.has(type)) break
        connection.received++
        if (type === MessageType.FORWARD) forward(connection, message) // the most frequent type
        else this.#receive(message, connection)
      }
    } catch (err) {
      if (!(err instanceof CandyMessageError)) throw err
      connection.reject('malformed', err.message)
    } finally {
      connection.network.flush(connection)
      this.#rings.flush()
    }
    return connection.ended ? batch.length : at
  }

  #limit ({ limiter, queueTotal }: Limits): void {
    this.#limiter.configure(limiter)
    this.#budget.queueTotal = queueTotal
  }

  #setNetwork (number: number, settings: SwitchSettings): void {
    const known = this.#networks.get(number)
    if (known === undefined) this.#networks.set(number, new PartialSwitch(number, settings, this.#budget, this.#rings))
    else known.settings = settings
  }

  /** Removes a network; its members have been removed before. */
  #removeNetwork (number: number): void {
    this.#counts(this.#connections.values())
    this.#networks.delete(number)
    this.#emit({ type: 'no network', network: number })
  }

  #setMember (number: number, id: number, state: MemberState): void {
    const network = this.#networks.get(number)
    if (network === undefined) return
    const member = id % this.#count === this.#index ? this.#connections.get(id) : this.#remoteMember(network, id)
    if (member === undefined) return // has ended meanwhile
    if (member.address !== 0) network.delete(member.address)
    member.network = network
    applyState(member, state)
    network.set(state.address, member)
    if (!(member instanceof Connection)) return
    member.limit()
    member.link.slot?.establish()
    member.original.joined(this.#budget.clock.now())
    member.frameLimiter.join()
  }

  #remoteMember (network: PartialSwitch, id: number): RemoteMember {
    const known = this.#remote.get(id)
    if (known !== undefined) return known
    const member = new RemoteMember(network, this.#rings.port(network.number, id))
    this.#remote.set(id, member)
    return member
  }

  #removeMember (number: number, id: number): void {
    const network = this.#networks.get(number)
    const member = this.#connections.get(id) ?? this.#remote.get(id)
    if (member === undefined) return
    if (network?.get(member.address) === member) network.delete(member.address)
    network?.forget(member)
    member.address = 0
    if (member instanceof RemoteMember) {
      this.#counts([], [[id, member]])
      this.#remote.delete(id)
    }
  }

  #send (id: number, messages: Batch): void {
    const connection = this.#connections.get(id)
    // a client that does not even read its control messages is ended
    if (connection?.port.send(messages) === 0) connection.abort(new LinkClosedError('too slow'))
  }

  #tap (id: number, isOn: boolean): void {
    const connection = this.#connections.get(id)
    if (connection === undefined) return
    connection.taps = isOn ? [(messages, direction) => { this.#copies.copy(id, messages, direction) }] : undefined
  }

  #tick (): void {
    const now = this.#budget.clock.now()
    for (const connection of this.#connections.values()) {
      connection.tick(now)
      connection.network.updateQueued(connection)
    }
    for (const member of this.#remote.values()) member.tick(now)
    this.#counts(this.#connections.values(), this.#remote)
  }

  /** Reports the changes of counters. */
  #counts (connections: Iterable<Connection>, remote?: Iterable<[number, RemoteMember]>): void {
    this.#emit({ type: 'counts', counts: this.#counting.take(this.#limiter.stats, connections, remote) })
  }
}

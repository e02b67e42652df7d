/** One candy network: who is in it, and how a message gets from one member to others. */
import { CloseCode } from '../../transforms/websocket-frames/index.ts'
import type { Logger } from '../../log.ts'
import { formatAddress } from '../../tun/ipv4.ts'
import type { AddressPool } from './address-pool.ts'
import type { Refusal, Session } from './session.ts'
import type { CandyRelayStats } from './stats.ts'

/** Lines in the log in one second; the rest is counted and told in one line. */
const LINES_LOGGED = 20

export interface NetworkInit {
  stats: CandyRelayStats
  log: Logger
  /** Is told which addresses are in use. */
  pool?: AddressPool
  /** Bytes that may wait for all members together. */
  queueTotal: number
  /** Messages to all that one member may send in a second. */
  broadcastRate: number
}

export class Network {
  readonly stats: CandyRelayStats
  readonly broadcastRate: number
  readonly #log: Logger
  readonly #pool: AddressPool | undefined
  readonly #queueTotal: number
  /** Bytes that wait for all members, as far as was looked. */
  #queued = 0
  /** Address -> the connection that holds it. */
  readonly #members = new Map<number, Session>()
  /** Members for whom something of the current read is pending. */
  readonly #dirty: Session[] = []
  #linesLogged = 0

  constructor ({ stats, log, pool, queueTotal, broadcastRate }: NetworkInit) {
    this.stats = stats
    this.broadcastRate = broadcastRate
    this.#log = log
    this.#pool = pool
    this.#queueTotal = queueTotal
  }

  get size (): number { return this.#members.size }

  holder (address: number): Session | undefined { return this.#members.get(address) }

  /** Gives an address to a connection. Whoever had it is ended, and the address that the connection had before is free. */
  join (session: Session, address: number): void {
    const former = this.#members.get(address)
    if (session.address !== 0) this.leave(session)
    session.address = address
    this.#members.set(address, session)
    this.#pool?.claim(address, session.device)
    this.stats.peers = this.#members.size
    former?.end(CloseCode.POLICY_VIOLATION, 'address taken over by a newer connection')
    this.#line('info', { address: formatAddress(address), remote: session.remote, takeover: former !== undefined }, 'peer joined')
  }

  /** The connection has come to its end: nothing of it stays. */
  gone (session: Session): void {
    this.leave(session)
    this.#queued -= session.queued
    session.queued = 0
    if (typeof session.device === 'symbol') this.#pool?.cancel(session.device) // nobody will ever come for what it was offered
  }

  /** A member has told only now which device it is. */
  identify (session: Session): void {
    if (session.address !== 0) this.#pool?.claim(session.address, session.device)
  }

  leave (session: Session): void {
    const { address } = session
    if (address === 0) return
    session.address = 0
    if (this.#members.get(address) !== session) return // taken over
    this.#members.delete(address)
    this.#pool?.release(address)
    this.stats.peers = this.#members.size
    this.#line('info', { address: formatAddress(address), remote: session.remote, client: session.client }, 'peer left')
  }

  /** To the holder of an address, the sender itself included. */
  unicast (destination: number, message: Uint8Array): boolean {
    const member = this.#members.get(destination)
    if (member === undefined) return false
    this.#enqueue(member, message)
    return true
  }

  /** To all but the sender, which may do so only so many times in a second: each costs as much as the network has members. */
  broadcast (from: Session, message: Uint8Array): void {
    if (from.broadcasts === 0) {
      this.stats.drops.broadcast++
      return
    }
    from.broadcasts--
    for (const member of this.#members.values()) {
      if (member !== from) this.#enqueue(member, message)
    }
  }

  #enqueue (member: Session, message: Uint8Array): void {
    if (member.pending.length === 0) this.#dirty.push(member)
    member.pending.push(message)
  }

  /** Writes what the messages of one read have left: one write for each destination. Nothing is kept for a slow one. */
  flush (): void {
    const { stats } = this
    for (const member of this.#dirty) {
      const { pending } = member
      member.pending = []
      if (member.ended) continue // since then
      // One that waits for nothing is always served: the slow ones together may cost themselves only.
      if (this.#look(member) > 0 && this.#queued >= this.#queueTotal) {
        stats.drops.total += pending.length
        continue
      }
      if (member.link.port.send(pending) === 0) {
        stats.drops.queue += pending.length
        continue
      }
      this.#look(member)
      stats.packetsOut += pending.length
      for (let i = 0; i < pending.length; i++) stats.bytesOut += pending[i].length
    }
    this.#dirty.length = 0
  }

  /** Brings the total up to date with what waits for one member, and returns that. */
  #look (session: Session): number {
    const { queued } = session.link.port
    this.#queued += queued - session.queued
    session.queued = queued
    return queued
  }

  refused (session: Session, why: Refusal): void {
    this.stats.refused[why]++
    this.#line('warn', { remote: session.remote, why }, 'connection refused')
  }

  wrongClock (session: Session, timestamp: number | undefined): void {
    this.#line('warn', { remote: session.remote, timestamp }, 'the clock of a client is wrong')
  }

  /** Clients decide how much there is to tell, so there is a bound to it. */
  #line (level: 'info' | 'warn', fields: object, message: string): void {
    if (this.#linesLogged++ < LINES_LOGGED) this.#log[level](fields, message)
  }

  /** Once a second, for the network and for each of its connections. */
  tick (sessions: Iterable<Session>): void {
    if (this.#linesLogged > LINES_LOGGED) this.#log.warn({ count: this.#linesLogged - LINES_LOGGED }, 'more happened than is logged')
    this.#linesLogged = 0
    for (const session of sessions) {
      session.broadcasts = this.broadcastRate
      this.#look(session)
    }
  }
}

/** One candy network: who is in it, and how a message gets from one member to others. */
import { CloseCode } from '../../transforms/websocket-frames/index.ts'
import type { Logger } from '../../log.ts'
import { formatAddress } from '../../tun/ipv4.ts'
import type { AddressPool } from './address-pool.ts'
import type { Refusal, Session } from './session.ts'
import type { CandyRelayStats } from './stats.ts'

/** Lines about refused connections in one second; the rest is counted and told in one line. */
const REFUSALS_LOGGED = 10

export class Network {
  readonly stats: CandyRelayStats
  readonly log: Logger
  readonly #pool: AddressPool | undefined
  /** Address -> the connection that holds it. */
  readonly #members = new Map<number, Session>()
  /** Members for whom something of the current read is pending. */
  readonly #dirty: Session[] = []
  #refusalsLogged = 0
  #refusalsHidden = 0

  /** @param pool is told which addresses are in use */
  constructor (stats: CandyRelayStats, log: Logger, pool?: AddressPool) {
    this.stats = stats
    this.log = log
    this.#pool = pool
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
    this.log.info({ address: formatAddress(address), remote: session.remote, takeover: former !== undefined }, 'peer joined')
  }

  leave (session: Session): void {
    const { address } = session
    if (address === 0) return
    session.address = 0
    if (this.#members.get(address) !== session) return // taken over
    this.#members.delete(address)
    this.#pool?.release(address)
    this.stats.peers = this.#members.size
    this.log.info({ address: formatAddress(address), remote: session.remote, client: session.client }, 'peer left')
  }

  /** To the holder of an address, the sender itself included. */
  unicast (destination: number, message: Uint8Array): boolean {
    const member = this.#members.get(destination)
    if (member === undefined) return false
    this.#enqueue(member, message)
    return true
  }

  /** To all but the sender. */
  broadcast (from: Session, message: Uint8Array): void {
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
      if (member.link.port.send(pending) === 0) {
        member.dropped += pending.length
        stats.drops.queue += pending.length
        continue
      }
      let bytes = 0
      for (let i = 0; i < pending.length; i++) bytes += pending[i].length
      member.packetsOut += pending.length
      member.bytesOut += bytes
      stats.packetsOut += pending.length
      stats.bytesOut += bytes
    }
    this.#dirty.length = 0
  }

  refused (session: Session, why: Refusal): void {
    this.stats.refused[why]++
    if (this.#refusalsLogged++ < REFUSALS_LOGGED) this.log.warn({ remote: session.remote, why }, 'connection refused')
    else this.#refusalsHidden++
  }

  /** Once a second. */
  tick (): void {
    if (this.#refusalsHidden > 0) this.log.warn({ count: this.#refusalsHidden }, 'more connections refused')
    this.#refusalsLogged = 0
    this.#refusalsHidden = 0
  }
}

/** Admission of clients to a network: handlers of VMAC, DHCP and AUTH (candy protocol, section 1.6). */
import { KeyedTokenBuckets } from '../../../limits/keyed-token-buckets.ts'
import { formatAddress, formatCidr, inNetwork, isMulticast, LIMITED_BROADCAST } from '../../../net/ipv4.ts'
import type { Clock } from '../../../types.ts'
import { answerDhcp, decodeAuth, decodeDhcp, decodeVmac, type Proven } from '../protocol/handshake.ts'
import { TOLERANCE, withinWindow } from '../protocol/hashes.ts'
import type { MessageName } from '../protocol/messages.ts'
import { ReplayGuard } from './replay.ts'
import { MOVES, type Session } from './session.ts'
import { AuthThrottle } from '../../common/auth-throttle.ts'

/** DHCP requests of one source: burst, and rate a second. Many clients behind one address may reconnect at once. */
const OFFERS = { burst: 512, rate: 10 }

export interface AdmissionInit {
  /** Accept any timestamp, with a warning. */
  lenient: boolean
  /** Wrong passwords from one source in a minute, and at once. */
  authFailures: number
  clock: Clock
}

export class Admission {
  lenient: boolean
  readonly #clock: Clock
  readonly #replays = new ReplayGuard()
  readonly #offers = new KeyedTokenBuckets(OFFERS)
  readonly #throttle: AuthThrottle

  /** @throws {OptionError} when `authFailures` is invalid */
  constructor ({ lenient, authFailures, clock }: AdmissionInit) {
    this.lenient = lenient
    this.#throttle = new AuthThrottle(authFailures, clock)
    this.#clock = clock
  }

  /** Changes the settings. With the same rate the state of each source stays. */
  configure ({ lenient, authFailures }: Pick<AdmissionInit, 'lenient' | 'authFailures'>): void {
    this.lenient = lenient
    this.#throttle.configure(authFailures)
  }

  /** VMAC: stores the device. Only one for each connection, which could otherwise reserve an address for each of many. */
  vmac (session: Session, message: Uint8Array): void {
    const proof = decodeVmac(message)
    if (!this.#proven(session, proof, 'VMAC') || !this.#unused(session, proof, 'VMAC')) return
    if (session.device === proof.vmac) return
    if (session.device !== undefined) {
      session.reject('malformed', 'VMAC of a second device, expected one device a connection')
      return
    }
    session.device = proof.vmac
    session.network.identify(session)
  }

  /** DHCP: answers with an address for which the client may send AUTH. */
  dhcp (session: Session, message: Uint8Array): void {
    const request = decodeDhcp(message)
    if (!this.#proven(session, request, 'DHCP')) return
    const { network: { pool }, slot: { source, isLocal } } = session
    if (pool === undefined) {
      session.reject('range', 'DHCP in a network without a range, expected AUTH for an address of its own')
      return
    }
    // two honest clients may send the same request, so that replays cannot be detected
    if (!isLocal && !this.#offers.take(source, this.#clock.now())) {
      session.reject('rate', `DHCP requests of its source, expected at most ${OFFERS.rate} a second`)
      return
    }
    const address = pool.offer({ owner: session, device: session.device, wanted: request.cidr, now: this.#clock.now() })
    if (address === undefined) {
      session.reject('pool', `no address of ${formatCidr(pool.range)} is free`)
      return
    }
    session.link.port.send([answerDhcp(request, { address, prefix: pool.range.prefix })])
  }

  /** AUTH: assigns the address, ends the connection that had it, and pushes the routes. There is no answer on success. */
  auth (session: Session, message: Uint8Array): void {
    const auth = decodeAuth(message)
    if (!this.#proven(session, auth, 'AUTH') || !this.#unused(session, auth, 'AUTH')) return
    if (session.address !== 0 && auth.address === session.address) return
    if (session.address !== 0 && !mayMove(session, this.#clock.now())) {
      session.reject('rate', `AUTH for another address, expected at most ${MOVES.burst} changes of it in a minute`)
      return
    }
    const rejection = addressRejection(session, auth.address)
    if (rejection !== undefined) {
      session.reject(rejection.reason, rejection.detail)
      return
    }
    session.slot.establish()
    session.network.join(session, auth.address)
  }

  #seconds (): number { return Math.floor(this.#clock.date() / 1000) }

  /** Checks hash and timestamp, and ends the connection when one is wrong. */
  #proven (session: Session, proof: Proven, name: MessageName): boolean {
    const { network, slot } = session
    if (this.#throttle.isThrottled(slot)) {
      session.reject('rate', `wrong passwords of its source, expected at most ${this.#throttle.perMinute} a minute`)
      return false
    }
    if (!network.settings.secret.verify(proof)) {
      this.#throttle.failed(slot)
      session.reject('password', `the hash of ${name} is wrong, expected one made with the password of the network`)
      return false
    }
    if (this.#isTimely(proof)) return true
    if (!this.lenient) {
      session.reject('clock', `the time stamp of ${name} is ${proof.timestamp ?? 'out of range'}, expected ${this.#seconds()} within ${TOLERANCE} seconds`)
      return false
    }
    network.wrongClock(session, proof.timestamp)
    return true
  }

  #isTimely ({ timestamp }: Proven): boolean { return withinWindow(timestamp, this.#seconds()) }

  /**
   * Ends the connection when another source has sent this proof before. Proofs whose timestamp only `lenient` accepts are not checked:
   * their clock may stand still, so that a client that has moved sends the same proof again.
   */
  #unused (session: Session, proof: Proven, name: MessageName): boolean {
    if (!this.#isTimely(proof) || !this.#replays.isReplayed(proof.hash, session.slot.source, this.#clock.now())) return true
    session.reject('replay', `${name} that another source has sent before, expected a new one`)
    return false
  }
}

/** Whether a connection may change its address, and counts the change. */
function mayMove ({ moves }: Session, now: number): boolean {
  moves.refill(now)
  return moves.take(1)
}

interface AddressRejection {
  reason: 'address' | 'address_in_use' | 'full'
  detail: string
}

/** Addresses that a member may not have: multicast, broadcast, outside of the network, or taken. */
function addressRejection ({ network, address: own, device }: Session, address: number): AddressRejection | undefined {
  const { settings: { range, takeover, isolate, maxPeers }, pool } = network
  const text = formatAddress(address)
  if (address === 0 || address === LIMITED_BROADCAST || isMulticast(address)) return { reason: 'address', detail: `AUTH for ${text}, expected the address of a host` }
  if (range !== undefined && (!inNetwork(address, range) || address === range.network || address === range.broadcast)) {
    return { reason: 'address', detail: `AUTH for ${text}, expected a host of ${formatCidr(range)}` }
  }
  const leased = network.isReserved(address) ? pool?.leases.deviceOf(address) : undefined
  if (leased !== undefined && leased !== device) return { reason: 'address_in_use', detail: `AUTH for ${text}, which belongs to another device` }
  const holder = network.get(address)
  if ((takeover === 'same-device' || isolate) && holder !== undefined && (device === undefined || holder.device !== device)) {
    return { reason: 'address_in_use', detail: `AUTH for ${text}, which another device has` }
  }
  return holder === undefined && own === 0 && network.size >= maxPeers ? { reason: 'full', detail: `AUTH in a network of ${network.size} members, expected at most ${maxPeers}` } : undefined
}

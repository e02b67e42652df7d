/** How a client gets into a network: VMAC, DHCP and AUTH, as the relay handles them (candy protocol, section 1.6). */
import { KeyedTokenBuckets } from '../../../limits/keyed-token-buckets.ts'
import { formatAddress, formatCidr, inNetwork, isMulticast, LIMITED_BROADCAST } from '../../../net/ipv4.ts'
import type { Clock } from '../../../types.ts'
import { answerDhcp, decodeAuth, decodeDhcp, decodeVmac, type Proven } from '../protocol/handshake.ts'
import { TOLERANCE, withinWindow } from '../protocol/hashes.ts'
import type { MessageName } from '../protocol/messages.ts'
import { ReplayGuard } from './replay.ts'
import { MOVES, type Session } from './session.ts'
import { AuthThrottle } from '../../common/auth-throttle.ts'

/** DHCP requests that one source may send at once, and then in a second: an office behind one address comes back all at once. */
const OFFERS = { burst: 512, rate: 10 }

export interface AdmissionInit {
  /** Accept any time stamp, with a warning. */
  lenient: boolean
  /** Wrong passwords that one source may try in a minute, and as many at once. */
  authFailures: number
  clock: Clock
}

export class Admission {
  lenient: boolean
  readonly #clock: Clock
  readonly #replays = new ReplayGuard()
  readonly #offers = new KeyedTokenBuckets(OFFERS)
  readonly #throttle: AuthThrottle

  /** Throws `OptionError`. */
  constructor ({ lenient, authFailures, clock }: AdmissionInit) {
    this.lenient = lenient
    this.#throttle = new AuthThrottle(authFailures, clock)
    this.#clock = clock
  }

  /** Other settings from now on; what is to the account of a source stays when its rate does. */
  configure ({ lenient, authFailures }: Pick<AdmissionInit, 'lenient' | 'authFailures'>): void {
    this.lenient = lenient
    this.#throttle.configure(authFailures)
  }

  /** VMAC: remembers which device this is. A connection that were several could reserve an address for each of them. */
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

  /** DHCP: answers with an address that the client may then AUTH for. */
  dhcp (session: Session, message: Uint8Array): void {
    const request = decodeDhcp(message)
    if (!this.#proven(session, request, 'DHCP')) return
    const { network: { pool }, slot: { source, isLocal } } = session
    if (pool === undefined) {
      session.reject('range', 'DHCP in a network without a range, expected AUTH for an address of its own')
      return
    }
    // Two honest clients may well send the same request, so it cannot be told from one that was listened to.
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

  /** AUTH: takes the address, ends whoever had it, and pushes the routes. Success has no answer. */
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

  /** Checks hash and time stamp, and ends the connection when they are wrong. */
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
   * Ends the connection when another source has sent this before. A time stamp that only `lenient` lets pass may be that of a
   * clock which stands still, and the client may have moved.
   */
  #unused (session: Session, proof: Proven, name: MessageName): boolean {
    if (!this.#isTimely(proof) || !this.#replays.isReplayed(proof.hash, session.slot.source, this.#clock.now())) return true
    session.reject('replay', `${name} that another source has sent before, expected a new one`)
    return false
  }
}

/** Whether a connection may take another address than it has. */
function mayMove ({ moves }: Session, now: number): boolean {
  moves.refill(now)
  return moves.take(1)
}

interface AddressRejection {
  reason: 'address' | 'address_in_use' | 'full'
  detail: string
}

/** No member may hold an address that means several, or one outside of the network. */
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

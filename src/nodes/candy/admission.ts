/** How a client gets into the network: VMAC, DHCP and AUTH, as the relay handles them (candy protocol, section 1.6). */
import { inNetwork, isMulticast, LIMITED_BROADCAST } from '../../tun/ipv4.ts'
import type { AddressPool } from './address-pool.ts'
import { decodeAuth, decodeDhcp, decodeVmac, encodeDhcp, type Proven } from './handshake.ts'
import { withinWindow, type Secret } from './hashes.ts'
import type { Network } from './network.ts'
import { encodeRoutes } from './routes.ts'
import { allowedSources, routesFor, type SdwanRule } from './sdwan.ts'
import type { Refusal, Session } from './session.ts'

/** Who may take an address that a live connection holds: whoever came last, or only the device that has it. */
export type Takeover = 'any' | 'same-device'

export interface AdmissionInit {
  network: Network
  secret: Secret
  /** Where dynamic addresses come from; without it DHCP is refused. */
  pool?: AddressPool
  rules: readonly SdwanRule[]
  takeover: Takeover
  /** Accept any time stamp, with a warning. */
  lenient: boolean
  /** Milliseconds since 1970. */
  now: () => number
}

export class Admission {
  readonly #network
  readonly #secret
  readonly #pool
  readonly #rules
  readonly #takeover
  readonly #lenient
  readonly #now

  constructor ({ network, secret, pool, rules, takeover, lenient, now }: AdmissionInit) {
    this.#network = network
    this.#secret = secret
    this.#pool = pool
    this.#rules = rules
    this.#takeover = takeover
    this.#lenient = lenient
    this.#now = now
  }

  /** VMAC: remembers which device this is. A connection that were several could reserve an address for each of them. */
  vmac (session: Session, message: Uint8Array): void {
    const proof = decodeVmac(message)
    if (!this.#proven(session, proof)) return
    if (session.device === proof.vmac) return
    if (typeof session.device === 'string') {
      session.refuse('malformed')
      return
    }
    session.device = proof.vmac
    this.#network.identify(session)
  }

  /** DHCP: answers with an address that the client may then AUTH for. */
  dhcp (session: Session, message: Uint8Array): void {
    const request = decodeDhcp(message)
    if (!this.#proven(session, request)) return
    const pool = this.#pool
    if (pool === undefined) {
      session.refuse('range')
      return
    }
    const address = pool.offer({ device: session.device, wanted: request.cidr, now: performance.now() })
    if (address === undefined) {
      session.refuse('pool')
      return
    }
    session.link.port.send([encodeDhcp({
      secret: this.#secret,
      cidr: { address, prefix: pool.range.prefix },
      timestamp: this.#seconds()
    })])
  }

  /** AUTH: takes the address, ends whoever had it, and pushes the routes. Success has no answer. */
  auth (session: Session, message: Uint8Array): void {
    const auth = decodeAuth(message)
    if (!this.#proven(session, auth)) return
    if (session.address !== 0 && auth.address === session.address) return
    const refusal = this.#refusal(session, auth.address)
    if (refusal !== undefined) {
      session.refuse(refusal)
      return
    }
    session.behind = allowedSources(this.#rules, auth.address)
    this.#network.join(session, auth.address)
    for (const routes of encodeRoutes(routesFor(this.#rules, auth.address))) session.link.port.send([routes])
  }

  #seconds (): number { return Math.floor(this.#now() / 1000) }

  /** Checks hash and time stamp, and ends the connection when they are wrong. */
  #proven (session: Session, proof: Proven): boolean {
    if (!this.#secret.verify(proof)) {
      session.refuse('password')
      return false
    }
    if (withinWindow(proof.timestamp, this.#seconds())) return true
    if (!this.#lenient) {
      session.refuse('clock')
      return false
    }
    this.#network.wrongClock(session, proof.timestamp)
    return true
  }

  /** No member may hold an address that means several, or one outside of the network. */
  #refusal (session: Session, address: number): Refusal | undefined {
    if (address === 0 || address === LIMITED_BROADCAST || isMulticast(address)) return 'address'
    const range = this.#pool?.range
    if (range !== undefined && (!inNetwork(address, range) || address === range.network || address === range.broadcast)) return 'address'
    const holder = this.#network.holder(address)
    if (this.#takeover === 'same-device' && holder !== undefined && holder.device !== session.device) return 'taken'
    return undefined
  }
}

/**
 * Allocation of dynamic addresses; candy protocol, section 1.7, without the defects of the existing server: it offers no network
 * or broadcast address, none in use, and none that was just offered to another client.
 *
 * The pool has no clock and no timer. Its owner mirrors the table of connections: an address that enters
 * the table is `claim`ed, one that leaves it is `release`d.
 */
import { OptionError } from '../../../errors.ts'
import { inNetwork, parseCidr, type Cidr } from '../../../net/ipv4.ts'
import { HostBitmap } from './host-bitmap.ts'
import { LeaseTable } from './leases.ts'
import { Reservations, type Owner } from './reservations.ts'

export interface AddressPoolInit {
  /** `a.b.c.d/prefix`, /8 to /30. The first address offered is the one after `a.b.c.d`. */
  range: string | Cidr
  /** The last address of each device. Default: an empty table. */
  leases?: LeaseTable
  /** Milliseconds for which an offer reserves the address. Default: 30000. */
  reservationTime?: number
  /** Offers waiting for their AUTH at the same time; beyond it no offer is made. Default: 4096. */
  maxReservations?: number
  /** Whether an address is kept for the device that has its lease, even when no other is free. Default: none is. */
  isReserved? (address: number): boolean
  /** Milliseconds within which an address in use is offered to its device only once. Default: 30000. */
  contestTime?: number
}

/** The requesting client. */
export interface Client {
  /** Its connection, compared by identity. */
  owner: Owner
  /** Its vmac, if it has sent one. Connections without a vmac are different devices. */
  device: string | undefined
}

export interface OfferRequest extends Client {
  /** The address that the client asks for. */
  wanted?: Pick<Cidr, 'address' | 'prefix'>
  /** Milliseconds, of any clock. When it goes back, pending offers may be lost. */
  now: number
}

/**
 * Each call takes amortised constant time: a few map operations, at most 10 words of a bitmap, and the removal of each expired
 * reservation once. Memory: 4 MiB of bitmaps for a /8, the addresses in use, and the bounded tables of leases and reservations.
 *
 * ```ts
 * const pool = new AddressPool({ range: '192.168.202.0/24' })
 * const client = { owner: connection, device: vmac }
 * const address = pool.offer({ ...client, wanted, now: performance.now() }) // undefined: no address left
 * pool.claim(address, client) // after AUTH
 * pool.release(address) // when the connection has ended
 * ```
 */
export class AddressPool {
  readonly range: Cidr
  readonly leases: LeaseTable
  readonly #contestTime: number
  readonly #isReserved: (address: number) => boolean
  readonly #reservations: Reservations
  /** Host numbers that cannot be offered: in use, reserved, or not a host. */
  readonly #taken: HostBitmap
  /** Those, and all that a device has a lease for. */
  readonly #takenOrLeased: HostBitmap
  readonly #holders = new Map<number, Client>()
  /** Addresses in use that were offered to their own device, with the time of the last offer. */
  readonly #contested = new Map<number, number>()
  /** Host number of the last address found by search. */
  #cursor: number

  /** @throws {OptionError} when an option is invalid */
  constructor ({ range: text, leases = new LeaseTable(), reservationTime = 30_000, maxReservations = 4096, contestTime = 30_000, isReserved = () => false }: AddressPoolInit) {
    const range = typeof text === 'string' ? parseCidr(text) : text
    if (range === undefined || range.prefix < 8 || range.prefix > 30) throw new OptionError('range is a.b.c.d/8 to a.b.c.d/30')
    for (const [name, value] of Object.entries({ reservationTime, maxReservations, contestTime })) {
      if (!Number.isSafeInteger(value) || value < 1) throw new OptionError(`${name} is a positive integer, not ${value}`)
    }
    this.range = range
    this.leases = leases
    this.#contestTime = contestTime
    this.#isReserved = isReserved
    this.#cursor = range.address - range.network
    const last = range.broadcast - range.network
    this.#taken = new HostBitmap(last + 1)
    this.#takenOrLeased = new HostBitmap(last + 1)
    for (const bitmap of [this.#taken, this.#takenOrLeased]) {
      bitmap.set(0, true)
      bitmap.set(last, true)
    }
    this.#reservations = new Reservations(reservationTime, maxReservations, (address) => { this.#update(address) })
    leases.onFree = (address) => { this.#update(address) }
    for (const [device, address] of [...leases.entries()]) {
      if (this.#isHost(address)) this.#update(address)
      else leases.revoke(device) // outside of the range
    }
  }

  /**
   * Chooses an address and reserves it for the connection: the requested one if allowed, else the one that was just offered to it, else
   * the last one of its device if that is free, else the next free one.
   *
   * @returns undefined when all are taken or too many offers are pending.
   */
  offer (request: OfferRequest): number | undefined {
    const { owner, device, now } = request
    this.#reservations.expire(now)
    const address = this.#wanted(request) ?? this.#reservations.of(owner, device)?.address ?? this.#last(device) ?? this.#search(device)
    if (address === undefined || !this.#reservations.make({ owner, device, address, now })) return undefined
    this.#update(address)
    return address
  }

  /**
   * The client uses the address from now on, instead of its previous owner or the holder of a reservation. An address outside of the
   * range is ignored.
   */
  claim (address: number, client: Client): void {
    const { owner, device } = client
    const own = this.#reservations.of(owner, device)
    this.#reservations.cancel(own)
    if (!inNetwork(address, this.range)) return
    this.#reservations.cancel(this.#reservations.at(address))
    this.#holders.set(address, { owner, device })
    const leased = this.leases.deviceOf(address)
    // an address taken without a lease does not end the lease of another device, which may come back for it
    const isItsOwn = leased === undefined || leased === device || own?.address === address
    if (device !== undefined && isItsOwn && this.#isHost(address)) this.leases.grant(device, address)
    this.#update(address)
  }

  /** The address is no longer in use. */
  release (address: number): void {
    if (!this.#holders.delete(address)) return
    this.#contested.delete(address)
    this.leases.deactivate(address)
    this.#update(address)
  }

  /** The connection has ended. Its reservation is kept for its device. */
  abandon (owner: Owner): void { this.#reservations.abandon(owner) }

  #isHost (address: number): boolean {
    return inNetwork(address, this.range) && address !== this.range.network && address !== this.range.broadcast
  }

  #isFree (address: number): boolean { return !this.#taken.has(address - this.range.network) }

  /** The requested address, if it is a host of exactly this network and available to the client. */
  #wanted ({ wanted, owner, device, now }: OfferRequest): number | undefined {
    if (wanted === undefined || wanted.prefix !== this.range.prefix || !this.#isHost(wanted.address)) return undefined
    const { address } = wanted
    const holder = this.#holders.get(address)
    if (holder?.owner === owner) return address
    const reservation = this.#reservations.at(address)
    const isReserved = reservation !== undefined && reservation !== this.#reservations.of(owner, device)
    const leased = this.leases.deviceOf(address)
    if (isReserved || (leased !== undefined && leased !== device)) return undefined
    if (holder === undefined) return address
    return device !== undefined && holder.device === device && this.#mayContest(address, now) ? address : undefined
  }

  /**
   * A device that asks for the address that it already holds has probably lost its connection, unnoticed by the relay. But cloned
   * machines are one device too, and would take the address from each other for ever; so it is offered once in `contestTime`.
   */
  #mayContest (address: number, now: number): boolean {
    const last = this.#contested.get(address)
    if (last !== undefined && now >= last && now - last < this.#contestTime) return false
    this.#contested.set(address, now)
    return true
  }

  /** Only when free: cloned machines, or several programs on one machine, share a vmac. */
  #last (device: string | undefined): number | undefined {
    const address = device === undefined ? undefined : this.leases.addressOf(device)
    return address !== undefined && this.#isFree(address) ? address : undefined
  }

  #search (device: string | undefined): number | undefined {
    const host = this.#takenOrLeased.nextFree(this.#cursor + 1) ?? this.#takenOrLeased.nextFree(0)
    if (host !== undefined) {
      this.#cursor = host
      return this.range.network + host
    }
    const leased = this.leases.takeOldest((address) => this.#isFree(address) && !this.#isReserved(address))
    if (leased !== undefined) return leased
    // An eavesdropper can replay DHCP, but not VMAC: reservations without a device must not exhaust the pool.
    return device !== undefined && this.#reservations.dropAnonymous() ? this.#search(device) : undefined
  }

  #update (address: number): void {
    if (!inNetwork(address, this.range)) return
    const host = address - this.range.network
    const taken = !this.#isHost(address) || this.#holders.has(address) || this.#reservations.at(address) !== undefined
    this.#taken.set(host, taken)
    this.#takenOrLeased.set(host, taken || this.leases.deviceOf(address) !== undefined)
  }
}

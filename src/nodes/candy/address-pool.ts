/**
 * Which dynamic address a client may have; candy protocol, section 1.7, without the defects of the existing server: no network
 * or broadcast address, none that is in use, and none that was offered to another a moment ago.
 *
 * The pool reads no clock and sets no timer. Whoever owns it mirrors the table of connections in it: an address that enters
 * the table is `claim`ed, one that leaves it is `release`d.
 */
import { OptionError } from '../../errors.ts'
import { inNetwork, parseCidr, type Cidr } from '../../tun/ipv4.ts'
import { HostBitmap } from './host-bitmap.ts'

/**
 * Who asks: its vmac, or a Symbol that the connection made for itself when it has sent none. So two connections without a vmac
 * are never one device.
 */
export type Device = string | symbol

export interface AddressPoolInit {
  /** `a.b.c.d/prefix`, /8 to /30. The first address offered is the one behind `a.b.c.d`. */
  range: string
  /** Milliseconds for which an offer keeps the address from others. Default: 30000. */
  reservationTime?: number
  /** Offers that wait for their AUTH at the same time; beyond it there is no offer. Default: 4096. */
  maxReservations?: number
  /** Devices whose last address is remembered; the one that came longest ago is forgotten first. Default: 65536. */
  maxRemembered?: number
}

export interface OfferRequest {
  device: Device
  /** What the client would like. */
  wanted?: Pick<Cidr, 'address' | 'prefix'>
  /** Milliseconds, of any clock. When it goes back, offers that are waiting may be forgotten. */
  now: number
}

interface Reservation {
  address: number
  expires: number
}

/**
 * Each call costs a constant time, amortised: a few map operations, a walk through at most 10 words of a bitmap, and the
 * removal of reservations that have run out, each once. Memory: 2 MiB of bitmap for a /8, the addresses in use, and the two
 * bounded tables of the options.
 *
 * ```ts
 * const pool = new AddressPool({ range: '192.168.202.0/24' })
 * const address = pool.offer({ device: vmac, wanted, now: Date.now() }) // undefined: no address left
 * pool.claim(address, vmac) // after AUTH
 * pool.release(address) // when the connection has ended
 * ```
 */
export class AddressPool {
  readonly range: Cidr
  readonly #reservationTime
  readonly #maxReservations
  readonly #maxRemembered
  /** Host numbers that cannot be offered to everybody: in use, reserved, or no host. */
  readonly #taken
  /** Address to the device that uses it. */
  readonly #holders = new Map<number, Device>()
  /** One for each device at most, in the order in which they run out. */
  readonly #reservations = new Map<Device, Reservation>()
  /** Address to the device that it is reserved for. */
  readonly #reservedFor = new Map<number, Device>()
  /** The address that a device had last, in the order in which they came. */
  readonly #remembered = new Map<string, number>()
  /** Host number of the last address that was found by search. */
  #cursor: number

  /** Throws `OptionError`. */
  constructor ({ range: text, reservationTime = 30_000, maxReservations = 4096, maxRemembered = 65_536 }: AddressPoolInit) {
    const range = parseCidr(text)
    if (range === undefined || range.prefix < 8 || range.prefix > 30) throw new OptionError('range is a.b.c.d/8 to a.b.c.d/30')
    for (const [name, value] of Object.entries({ reservationTime, maxReservations, maxRemembered })) {
      if (!Number.isSafeInteger(value) || value < 1) throw new OptionError(`${name} is a positive integer, not ${value}`)
    }
    this.range = range
    this.#reservationTime = reservationTime
    this.#maxReservations = maxReservations
    this.#maxRemembered = maxRemembered
    this.#cursor = range.address - range.network
    const last = range.broadcast - range.network
    this.#taken = new HostBitmap(last + 1)
    this.#taken.set(0, true)
    this.#taken.set(last, true)
  }

  /**
   * Chooses an address and reserves it for the device: the wanted one if it may have that, else the one that it was offered
   * a moment ago, else the one that it had last if nobody has it now, else the next free one.
   *
   * @returns undefined when all are taken or too many offers are waiting.
   */
  offer ({ device, wanted, now }: OfferRequest): number | undefined {
    this.#expire(now)
    const address = this.#grantable(wanted, device) ?? this.#reservations.get(device)?.address ?? this.#last(device) ?? this.#search()
    if (address === undefined || !this.#reserve(device, address, now)) return undefined
    return address
  }

  /**
   * The device uses the address from now on; whoever used it or had it reserved does not. An address outside of the range is
   * no matter of the pool.
   */
  claim (address: number, device: Device): void {
    this.cancel(device)
    if (!inNetwork(address, this.range)) return
    const other = this.#reservedFor.get(address)
    if (other !== undefined) this.cancel(other)
    this.#holders.set(address, device)
    this.#update(address)
    if (typeof device === 'string') this.#remember(device, address)
  }

  /** Nobody uses the address any more. */
  release (address: number): void {
    if (this.#holders.delete(address)) this.#update(address)
  }

  /** The device will not come for what it was offered. */
  cancel (device: Device): void {
    const reservation = this.#reservations.get(device)
    if (reservation === undefined) return
    this.#reservations.delete(device)
    this.#reservedFor.delete(reservation.address)
    this.#update(reservation.address)
  }

  #isHost (address: number): boolean {
    return inNetwork(address, this.range) && address !== this.range.network && address !== this.range.broadcast
  }

  /** The wanted address if it is a host of exactly this network, and nobody but the device itself uses or reserved it. */
  #grantable (wanted: OfferRequest['wanted'], device: Device): number | undefined {
    if (wanted === undefined || wanted.prefix !== this.range.prefix || !this.#isHost(wanted.address)) return undefined
    const holder = this.#holders.get(wanted.address) ?? device
    const reserved = this.#reservedFor.get(wanted.address) ?? device
    return holder === device && reserved === device ? wanted.address : undefined
  }

  /** Only when it is free: several programs on one machine share a vmac, and would otherwise end each other's connections. */
  #last (device: Device): number | undefined {
    const address = typeof device === 'string' ? this.#remembered.get(device) : undefined
    return address === undefined || this.#taken.has(address - this.range.network) ? undefined : address
  }

  #search (): number | undefined {
    const host = this.#taken.nextFree(this.#cursor + 1) ?? this.#taken.nextFree(0)
    if (host === undefined) return undefined
    this.#cursor = host
    return this.range.network + host
  }

  /** A device has one reservation: the new one takes the place of the old. */
  #reserve (device: Device, address: number, now: number): boolean {
    this.cancel(device)
    if (this.#reservations.size >= this.#maxReservations) return false
    this.#reservations.set(device, { address, expires: now + this.#reservationTime })
    this.#reservedFor.set(address, device)
    this.#update(address)
    return true
  }

  /** All reservations last equally long, so the oldest run out first. One that would last longer is from before the clock was set back. */
  #expire (now: number): void {
    for (const [device, { expires }] of this.#reservations) {
      if (expires > now && expires <= now + this.#reservationTime) return
      this.cancel(device)
    }
  }

  #update (address: number): void {
    const taken = !this.#isHost(address) || this.#holders.has(address) || this.#reservedFor.has(address)
    this.#taken.set(address - this.range.network, taken)
  }

  #remember (vmac: string, address: number): void {
    this.#remembered.delete(vmac)
    this.#remembered.set(vmac, address)
    if (this.#remembered.size <= this.#maxRemembered) return
    const [oldest] = this.#remembered.keys()
    this.#remembered.delete(oldest)
  }
}

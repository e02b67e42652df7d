/**
 * Addresses that were offered and are reserved until the AUTH of their connection, or until the reservation expires.
 */

/** A connection, compared by identity. */
export type Owner = object

export interface Reservation {
  readonly address: number
  /** The vmac of the client; undefined for a connection that has sent none. */
  readonly device: string | undefined
  /** The connection that it was made for; undefined once that has ended, and then only the device counts. */
  owner: Owner | undefined
  readonly expires: number
}

export interface ReservationInit {
  owner: Owner
  device: string | undefined
  address: number
  /** Milliseconds of any clock. */
  now: number
}

/** At most one for each connection, one for each device without a connection, and one for each address. */
export class Reservations {
  readonly #time: number
  readonly #max: number
  readonly #onFree: (address: number) => void
  /** All reservations, in the order of their expiry. */
  readonly #all = new Set<Reservation>()
  readonly #byAddress = new Map<number, Reservation>()
  readonly #byOwner = new Map<Owner, Reservation>()
  /** Those whose connection has ended, by device. */
  readonly #waiting = new Map<string, Reservation>()
  /** Those of connections without a vmac, oldest first. */
  readonly #anonymous = new Set<Reservation>()

  /**
   * @param time milliseconds until a reservation expires
   * @param onFree called with each address that is no longer reserved
   */
  constructor (time: number, max: number, onFree: (address: number) => void) {
    this.#time = time
    this.#max = max
    this.#onFree = onFree
  }

  /** The reservation of this address. */
  at (address: number): Reservation | undefined { return this.#byAddress.get(address) }

  /** The reservation of this connection, or of an earlier one of its device. */
  of (owner: Owner, device: string | undefined): Reservation | undefined {
    return this.#byOwner.get(owner) ?? (device === undefined ? undefined : this.#waiting.get(device))
  }

  /** Reserves an address, in place of the previous reservation of the connection. False when there are too many and none can be dropped. */
  make ({ owner, device, address, now }: ReservationInit): boolean {
    this.cancel(this.of(owner, device))
    this.cancel(this.at(address))
    if (this.#all.size >= this.#max && (device === undefined || !this.dropAnonymous())) return false
    const reservation: Reservation = { address, device, owner, expires: now + this.#time }
    this.#all.add(reservation)
    this.#byAddress.set(address, reservation)
    this.#byOwner.set(owner, reservation)
    if (device === undefined) this.#anonymous.add(reservation)
    return true
  }

  cancel (reservation: Reservation | undefined): void {
    if (reservation === undefined || !this.#all.delete(reservation)) return
    const { address, device, owner } = reservation
    this.#byAddress.delete(address)
    if (owner !== undefined) this.#byOwner.delete(owner)
    else if (device !== undefined) this.#waiting.delete(device)
    this.#anonymous.delete(reservation)
    this.#onFree(address)
  }

  /** The connection has ended: its reservation is kept for its device, or dropped without one. */
  abandon (owner: Owner): void {
    const reservation = this.#byOwner.get(owner)
    if (reservation === undefined) return
    const { device } = reservation
    if (device === undefined) {
      this.cancel(reservation)
      return
    }
    this.cancel(this.#waiting.get(device))
    this.#byOwner.delete(owner)
    reservation.owner = undefined
    this.#waiting.set(device, reservation)
  }

  /** Drops the oldest reservation without a device, in favour of a client with one. False when there is none. */
  dropAnonymous (): boolean {
    const [oldest] = this.#anonymous
    this.cancel(oldest)
    return oldest !== undefined
  }

  /** Drops expired reservations, and those made before the clock was set back. */
  expire (now: number): void {
    for (const reservation of this.#all) {
      if (reservation.expires > now && reservation.expires <= now + this.#time) return
      this.cancel(reservation)
    }
  }
}

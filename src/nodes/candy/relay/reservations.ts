/**
 * Addresses that were offered and that nobody else may have for a while: until the AUTH of their connection, or until the time
 * has run out.
 */

/** A connection, by identity. */
export type Owner = object

export interface Reservation {
  readonly address: number
  /** The vmac of whoever it is for; undefined for a connection that has sent none. */
  readonly device: string | undefined
  /** The connection that it was made for; undefined once that has ended, and then it waits for its device. */
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

/** At most one for a connection, one that waits for a device, and one for an address. */
export class Reservations {
  readonly #time: number
  readonly #max: number
  readonly #onFree: (address: number) => void
  /** All of them, in the order in which they run out. */
  readonly #all = new Set<Reservation>()
  readonly #byAddress = new Map<number, Reservation>()
  readonly #byOwner = new Map<Owner, Reservation>()
  /** Those whose connection has ended. */
  readonly #waiting = new Map<string, Reservation>()
  /** Those of connections without a vmac, oldest first. */
  readonly #anonymous = new Set<Reservation>()

  /**
   * @param time milliseconds that each lasts
   * @param onFree is told of each address that is reserved no more
   */
  constructor (time: number, max: number, onFree: (address: number) => void) {
    this.#time = time
    this.#max = max
    this.#onFree = onFree
  }

  /** Who has this address reserved. */
  at (address: number): Reservation | undefined { return this.#byAddress.get(address) }

  /** What is reserved for this connection, or was for an earlier one of its device. */
  of (owner: Owner, device: string | undefined): Reservation | undefined {
    return this.#byOwner.get(owner) ?? (device === undefined ? undefined : this.#waiting.get(device))
  }

  /** Reserves in place of what the connection had before. False when there are too many, and none of them makes room. */
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

  /** The connection has ended: its device may come back for the address, and who has none never will. */
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

  /** Frees the oldest address that is reserved for nobody in particular, for one who says who it is. False when there is none. */
  dropAnonymous (): boolean {
    const [oldest] = this.#anonymous
    this.cancel(oldest)
    return oldest !== undefined
  }

  /** One that would last longer than any is from before the clock was set back. */
  expire (now: number): void {
    for (const reservation of this.#all) {
      if (reservation.expires > now && reservation.expires <= now + this.#time) return
      this.cancel(reservation)
    }
  }
}

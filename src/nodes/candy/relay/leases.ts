/**
 * Which device had which address last. A device gets it again, also after a restart of the relay, unless somebody else needs
 * it more: when there is no other address, the lease that has been idle for longest is given away.
 */

/** Leases of one network. A device has at most one, and an address has at most one device. */
export class LeaseTable {
  readonly #maxLeases: number
  /** Device to address, of devices that are connected. */
  readonly #active = new Map<string, number>()
  /** Device to address, of those that are not; the one that left longest ago first. */
  readonly #idle = new Map<string, number>()
  readonly #devices = new Map<number, string>()
  /** Called when there is something new to be saved. */
  onChange: () => void = () => {}
  /** Called with each address that nobody has a lease for any more. */
  onFree: (address: number) => void = () => {}

  /** @param maxLeases beyond it the one that has been idle for longest is forgotten. Default: 65536 */
  constructor (maxLeases = 65_536) { this.#maxLeases = maxLeases }

  get size (): number { return this.#devices.size }

  addressOf (device: string): number | undefined { return this.#active.get(device) ?? this.#idle.get(device) }

  deviceOf (address: number): string | undefined { return this.#devices.get(address) }

  /** The device is connected and has this address. Whoever had it before has no lease any more. */
  grant (device: string, address: number): void {
    if (this.#active.get(device) === address) return
    if (this.#idle.get(device) === address) { // it is back
      this.#idle.delete(device)
      this.#active.set(device, address)
      return
    }
    this.revoke(this.#devices.get(address))
    this.revoke(device)
    if (this.size >= this.#maxLeases) this.revoke(this.#idle.keys().next().value)
    if (this.size >= this.#maxLeases) return // all of them are connected
    this.#active.set(device, address)
    this.#devices.set(address, device)
    this.onChange()
  }

  /** The device has gone, and will want its address again. */
  deactivate (address: number): void {
    const device = this.#devices.get(address)
    if (device !== undefined && this.#active.delete(device)) this.#idle.set(device, address)
  }

  /** Harmless for a device that has none. */
  revoke (device: string | undefined): void {
    const address = device === undefined ? undefined : this.addressOf(device)
    if (device === undefined || address === undefined) return
    this.#active.delete(device)
    this.#idle.delete(device)
    this.#devices.delete(address)
    this.onFree(address)
    this.onChange()
  }

  /**
   * The address of the lease that has been idle for longest and that may be given away. It counts as used now, so that the
   * next call finds another one.
   */
  takeOldest (isFree: (address: number) => boolean): number | undefined {
    for (let left = this.#idle.size; left > 0; left--) {
      const [[device, address]] = this.#idle
      this.#idle.delete(device)
      this.#idle.set(device, address)
      if (isFree(address)) return address
    }
    return undefined
  }

  /** All of them, in an order from which a new table knows which are the oldest: idle ones first. */
  * entries (): Generator<[device: string, address: number]> {
    yield * this.#idle
    yield * this.#active
  }

  /** Takes leases of an earlier run, the oldest first. All of them are idle. */
  load (entries: Iterable<[device: string, address: number]>): void {
    for (const [device, address] of entries) {
      this.revoke(device)
      this.revoke(this.#devices.get(address))
      if (this.size >= this.#maxLeases) return
      this.#idle.set(device, address)
      this.#devices.set(address, device)
    }
  }
}

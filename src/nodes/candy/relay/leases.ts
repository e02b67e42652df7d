/**
 * The last address of each device. A device gets it again, also after a restart of the relay, unless it is needed for another: when no
 * other address is free, the lease that has been idle for longest is revoked.
 */

/** Leases of one network. A device has at most one address, and an address at most one device. */
export class LeaseTable {
  readonly #maxLeases: number
  /** Device to address, of connected devices. */
  readonly #active = new Map<string, number>()
  /** Device to address, of the others, longest idle first. */
  readonly #idle = new Map<string, number>()
  readonly #devices = new Map<number, string>()
  /** Called after a change that has to be saved. */
  onChange: () => void = () => {}
  /** Called with each address that no longer has a lease. */
  onFree: (address: number) => void = () => {}

  /** @param maxLeases beyond it the lease that has been idle for longest is removed. Default: 65536 */
  constructor (maxLeases = 65_536) { this.#maxLeases = maxLeases }

  get size (): number { return this.#devices.size }

  addressOf (device: string): number | undefined { return this.#active.get(device) ?? this.#idle.get(device) }

  deviceOf (address: number): string | undefined { return this.#devices.get(address) }

  /** The device is connected and has this address. The lease of another device for it ends. */
  grant (device: string, address: number): void {
    if (this.#active.get(device) === address) return
    if (this.#idle.get(device) === address) { // the device has come back
      this.#idle.delete(device)
      this.#active.set(device, address)
      return
    }
    this.revoke(this.#devices.get(address))
    this.revoke(device)
    if (this.size >= this.#maxLeases) this.revoke(this.#idle.keys().next().value)
    if (this.size >= this.#maxLeases) return // all of them are active
    this.#active.set(device, address)
    this.#devices.set(address, device)
    this.onChange()
  }

  /** The device with this address has disconnected; the lease becomes idle. */
  deactivate (address: number): void {
    const device = this.#devices.get(address)
    if (device !== undefined && this.#active.delete(device)) this.#idle.set(device, address)
  }

  /** Removes the lease of a device, if there is one. */
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
   * The address of the lease that has been idle for longest and may be revoked. It counts as used now, so that the
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

  /** All leases in an order that `load` restores: idle ones first, longest idle first. */
  * entries (): Generator<[device: string, address: number]> {
    yield * this.#idle
    yield * this.#active
  }

  /** Loads saved leases, oldest first. All of them are idle. */
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

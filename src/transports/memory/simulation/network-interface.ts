/** The connection of a device to a subnet: its addresses there, and the conditions of both directions. */
import type { AllConditions, Conditions } from './conditions.ts'
import type { Device, Packet } from './packet.ts'
import { LEAST_DELAY, Pipe } from './pipe.ts'
import type { Simulation } from './simulation.ts'
import { OptionError } from '../../../errors.ts'

/** Conditions of the two directions, seen from the device. */
export interface Directions<C = Conditions> {
  /** From the device into the subnet. Default: the conditions of the subnet. */
  up?: C
  /** From the subnet to the device. Default: nothing is changed there. */
  down?: C
}

/** Throws `OptionError` when there is something else than the two directions, such as a condition outside of them. */
export function verifyDirections (directions: Directions): void {
  for (const name of Object.keys(directions)) if (name !== 'up' && name !== 'down') throw new OptionError(`conditions are in up or down, not in ${name}`)
}

export interface NetworkInterfaceInit {
  device: Device
  addresses: readonly string[]
  conditions: Required<Directions<AllConditions>>
  /** Packets of the device, behind the conditions. */
  onSent: (packet: Packet, from: NetworkInterface) => void
  /** Packets for the device, behind the conditions. */
  onArrived: (packet: Packet) => void
}

/** What joins a device and a subnet, with the conditions of both directions. */
export class NetworkInterface {
  readonly device: Device
  readonly addresses: readonly string[]
  readonly #up: Pipe
  readonly #down: Pipe
  #isThere = true

  /** @internal */
  constructor (simulation: Simulation, { device, addresses, conditions, onSent, onArrived }: NetworkInterfaceInit) {
    this.device = device
    this.addresses = addresses
    const where = device.name
    this.#up = new Pipe(simulation, { where, conditions: conditions.up, leastDelay: LEAST_DELAY, out: (packet) => { onSent(packet, this) } })
    this.#down = new Pipe(simulation, {
      where,
      conditions: conditions.down,
      out: (packet, from) => {
        if (!this.#isThere) simulation.record('noHost', where, packet)
        else if (simulation.isSeparated(from, device) || simulation.isSeparated(packet.origin, device)) simulation.record('partitioned', where, packet)
        else onArrived(packet)
      }
    })
  }

  /** The conditions as they are now. */
  get conditions (): Required<Directions<AllConditions>> { return { up: this.#up.conditions, down: this.#down.conditions } }

  /**
   * Changes some conditions, for packets from now on; the rate also for those that wait for it.
   *
   * @throws {OptionError} when one is out of range, or unknown
   */
  setConditions (directions: Directions): void {
    verifyDirections(directions)
    const { up, down } = directions
    if (up !== undefined) this.#up.change(up)
    if (down !== undefined) this.#down.change(down)
  }

  /** Bytes of the largest packet that it can send. */
  get mtu (): number { return this.#up.mtu }

  /**
   * Bytes of the largest packet that gets to it.
   *
   * @internal
   */
  get mtuDown (): number { return this.#down.mtu }

  /**
   * Sends a packet, which is not larger than the MTU. Returns when it has left, by the clock.
   *
   * @internal
   */
  send (packet: Packet): number { return this.#up.push(packet) }

  /**
   * A packet for the device has come to its end of the subnet.
   *
   * @param from - who has put it into the subnet; undefined for the subnet itself
   * @internal
   */
  arrive (packet: Packet, from?: Device): void { this.#down.push(packet, from) }

  /**
   * Nothing arrives any more, also not what is on its way.
   *
   * @internal
   */
  leave (): void { this.#isThere = false }
}

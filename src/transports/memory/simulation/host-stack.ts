/** What the protocols of a host need of it. */
import type { PacketInit } from './packet.ts'
import type { Simulation } from './simulation.ts'

export interface HostStack {
  readonly simulation: Simulation
  /** Of the host, for the trace. */
  readonly name: string
  /** Of all interfaces. */
  addresses (): string[]
  /** Whether an address is one of the host, or of its loopback. */
  isOwn (address: string): boolean
  /** The address that packets to another one come from; undefined when there is no way. */
  sourceFor (destination: string): string | undefined
  /** Bytes of the largest packet, with all headers, that the host itself can send from one address to another; undefined when there is no way. */
  mtuTo (destination: string, source: string): number | undefined
  /**
   * Sends a packet.
   *
   * @returns when it has left the host, by the clock; or the code of the error that a system would raise: `ENETUNREACH`, `EMSGSIZE`
   */
  send (packet: PacketInit): number | string
}

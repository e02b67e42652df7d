/** What a `PortMapping` and its thread say to each other. */
import type { Endpoint } from '../../types.ts'

/** Which port of which address is to be mapped. */
export interface MappingTask {
  /** Of the machine, in the network of the gateway. */
  address: string
  port: number
  /** The address that NAT-PMP asks; undefined: only UPnP is tried. */
  gateway: string | undefined
  protocols: readonly MappingProtocol[]
  /** Seconds for which a mapping is asked. */
  lease: number
}

export type MappingRequest = 'map' | 'unmap'

/** How a gateway is asked. */
export type MappingProtocol = 'upnp' | 'nat-pmp'

export type MappingResult =
  | { kind: 'mapped', external: Endpoint, by: MappingProtocol }
  | { kind: 'none' | 'failed', reason: string }
  | { kind: 'unmapped' }

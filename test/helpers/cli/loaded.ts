/** What the programs make of flags, with the settings of candy beside it. */
import { load, type LoadedProgram } from '../../../src/cli/config/load.ts'
import type { CandyPeerSettings, CandyRelaySettings } from '../../../src/cli/candy/options.ts'
import type { Flags } from '../../../src/cli/config/settings.ts'
import { PEER_PROTOCOLS, RELAY_PROTOCOLS } from '../../../src/cli/protocols.ts'

export interface LoadedRelay extends LoadedProgram {
  candy: CandyRelaySettings
  networks: ReadonlyArray<Pick<CandyRelaySettings, 'path' | 'password' | 'dhcp' | 'sdwan'>>
}

export function relayOf (flags: Flags): LoadedRelay {
  const program = load({ program: 'relay', protocols: RELAY_PROTOCOLS, flags })
  const candy = program.services[0].settings as CandyRelaySettings
  return { candy, networks: candy.networks ?? [candy], ...program }
}

export function peerOf (flags: Flags): LoadedProgram & { candy: CandyPeerSettings } {
  const program = load({ program: 'peer', protocols: PEER_PROTOCOLS, flags })
  return { candy: program.services[0].settings as CandyPeerSettings, ...program }
}

/** What the programs make of flags, with what candy makes of its section beside it. */
import { load, type LoadedProgram } from '../../../src/cli/config/load.ts'
import type { LoadedPeer, LoadedRelay } from '../../../src/cli/candy/load.ts'
import type { Flags } from '../../../src/cli/command.ts'
import { PEER_PROTOCOLS, RELAY_PROTOCOLS } from '../../../src/cli/protocols.ts'

export function relayOf (flags: Flags): LoadedProgram & LoadedRelay {
  const program = load({ program: 'relay', protocols: RELAY_PROTOCOLS, flags })
  return { ...program.services[0].loaded as LoadedRelay, ...program }
}

export function peerOf (flags: Flags): LoadedProgram & LoadedPeer {
  const program = load({ program: 'peer', protocols: PEER_PROTOCOLS, flags })
  return { ...program.services[0].loaded as LoadedPeer, ...program }
}

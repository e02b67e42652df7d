/** The settings of a candy relay or peer, with the passwords at hand. */
import type { CandyNetworkInit } from '../../nodes/candy/index.ts'
import type { Flags } from '../command.ts'
import { load, type Loaded } from '../config/load.ts'
import { peerSchema, relaySchema, type PeerSettings, type RelaySettings } from '../config/schema.ts'
import { readPassword } from '../config/secret.ts'
import type { CandyNetworkSettings } from './schema.ts'
import { tunAsAddress } from './tun-as-address.ts'

export interface LoadedPeer extends Loaded<PeerSettings> {
  password: string
  secrets: string[]
}

export interface LoadedRelay extends Loaded<RelaySettings> {
  networks: CandyNetworkInit[]
  secrets: string[]
}

/** Throws `UsageError`. */
export function loadPeer (flags: Flags): LoadedPeer {
  const loaded = load({ program: 'peer', schema: peerSchema, flags, prepare: tunAsAddress })
  const { candy, nameOf, warnings } = loaded
  const password = readPassword(candy, nameOf, (message) => { warnings.push(message) })
  return { ...loaded, password, secrets: [password] }
}

/** Throws `UsageError`. */
export function loadRelay (flags: Flags): LoadedRelay {
  const loaded = load({ program: 'relay', schema: relaySchema, flags })
  const { candy, nameOf, warnings } = loaded
  const read = (network: CandyNetworkSettings, name: (key: string) => string): CandyNetworkInit => ({
    path: network.path,
    password: readPassword(network, name, (message) => { warnings.push(message) }, candy.networks === undefined ? undefined : ''),
    dhcp: network.dhcp,
    sdwan: network.sdwan,
    sourceCheck: network['source-check'],
    takeover: network.takeover,
    broadcast: network.broadcast === undefined ? undefined : network.broadcast === 'on',
    isolate: network.isolate,
    maxPeers: network['max-peers'],
    packetRate: network['packet-rate'],
    byteRate: network['byte-rate']
  })
  const networks = candy.networks?.map((network, i) => read(network, (key) => nameOf('networks', String(i), key))) ?? [read(candy, nameOf)]
  return { ...loaded, networks, secrets: networks.map(({ password }) => password) }
}

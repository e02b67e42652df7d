/** Loads the settings of a candy relay or peer, with passwords and certificates. */
import type { CandyNetworkInit } from '../../nodes/candy/index.ts'
import { readPassword } from '../config/secret.ts'
import { readTlsPair } from '../config/tls-files.ts'
import type { LoadContext, Loaded } from '../protocol.ts'
import type { CandyNetworkSettings, CandyPeerSettings, CandyRelaySettings } from './schema.ts'

export interface LoadedPeer extends Loaded {
  candy: CandyPeerSettings
  password: string
  nameOf (...path: string[]): string
  isOriginal: boolean
}

export interface LoadedRelay extends Loaded {
  candy: CandyRelaySettings
  networks: CandyNetworkInit[]
  tls: { cert: string, key: string } | undefined
}

/** @throws {UsageError} for the first error in the settings */
export function loadPeer ({ settings: candy, nameOf, warn, isOriginal }: LoadContext<CandyPeerSettings>): LoadedPeer {
  const password = readPassword(candy, nameOf, warn)
  return { candy, password, nameOf, isOriginal, secrets: [password] }
}

/** @throws {UsageError} for the first error in the settings */
export function loadRelay ({ settings: candy, nameOf, warn }: LoadContext<CandyRelaySettings>): LoadedRelay {
  const read = (network: CandyNetworkSettings, name: (key: string) => string): CandyNetworkInit => ({
    path: network.path,
    password: readPassword(network, name, warn, candy.networks === undefined ? undefined : ''),
    dhcp: network.dhcp,
    sdwan: network.sdwan,
    sourceCheck: network['source-check'],
    takeover: network.takeover,
    broadcast: network.broadcast === undefined ? undefined : network.broadcast === 'on',
    isolate: network.isolate,
    maxPeers: network['max-peers'],
    packetRate: network['packet-rate'],
    frameRate: network['frame-rate'],
    byteRate: network['byte-rate'],
    broadcastRate: network['broadcast-rate']
  })
  const networks = candy.networks?.map((network, i) => read(network, (key) => nameOf('networks', String(i), key))) ?? [read(candy, nameOf)]
  const { 'tls-cert': cert, 'tls-key': key } = candy
  const tls = cert === undefined || key === undefined ? undefined : readTlsPair(cert, key, nameOf, warn)
  return { candy, networks, tls, secrets: networks.map(({ password }) => password) }
}

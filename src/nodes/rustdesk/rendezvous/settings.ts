/** The options of a rendezvous server for callers, and the settings that it reads from them. */
import { networkInterfaces } from 'node:os'
import { AllowedPeers } from './allowed-peers.ts'
import { lanMask, type LanMask } from './lan-mask.ts'
import { rendezvousOptions, type lastingOptions } from './options.ts'
import type { PeerLimits, PeerStore } from './peer-registry.ts'
import type { Probe } from './relay-servers.ts'
import type { LicenceKey, PeerSigner } from '../keys/index.ts'
import type { EncryptionKeys } from '../protocol/encryption.ts'
import { readOptions, type InitOf, type SettingsOf } from '../../common/options/option.ts'
import type { ConnectionLimiterInit } from '../../../limits/connection-limiter.ts'
import type { Logger } from '../../../log.ts'
import type { Clock } from '../../../types.ts'

/** What a server has by its key. */
export interface RendezvousKeys {
  /** What clients have to send. Default: nothing. */
  licence?: Pick<LicenceKey, 'matches'> | undefined
  /** Signs the keys of peers. Default: clients get none, and their sessions are not encrypted. */
  signer?: Pick<PeerSigner, 'sign'> | undefined
  /** Clients may encrypt their connections. Default: they are not offered to. */
  encryption?: EncryptionKeys | undefined
}

/** Options of a server that can change at run time. */
export type RendezvousOptions = Omit<InitOf<typeof rendezvousOptions>, keyof InitOf<typeof lastingOptions>>

/** Options of a {@link Rendezvous}. */
export type RendezvousServerInit = InitOf<typeof rendezvousOptions> & RendezvousKeys & {
  store: PeerStore
  /** Whether a relay accepts connections. Default: by TCP. */
  probe?: Probe
  /** Default: the system clock. */
  clock?: Clock
  log?: Logger
}

type Own = SettingsOf<typeof rendezvousOptions>

export interface RendezvousSettings extends Pick<Own, 'serial' | 'strictOss' | 'idleTimeout'> {
  alwaysUseRelay: boolean
  readonly licence: RendezvousKeys['licence']
  readonly signer: RendezvousKeys['signer']
  readonly encryption: RendezvousKeys['encryption']
  readonly mask: LanMask
  readonly localIp: string
  readonly relayServers: readonly string[]
  readonly rendezvousServers: readonly string[]
  readonly softwareUrl: string
  /** Empty: there is no other version. */
  readonly softwareVersion: string
  readonly peerLimits: PeerLimits
  readonly limiter: Required<ConnectionLimiterInit>
}

/**
 * Checks the options and fills in defaults.
 *
 * @throws {OptionError} when an option is invalid
 */
export function readRendezvous (init: InitOf<typeof rendezvousOptions>, { licence, signer, encryption }: RendezvousKeys): RendezvousSettings {
  const settings = readOptions(rendezvousOptions, init)
  const { mask: maskText = '', localIp, softwareUrl = '', allow, relayServers = [], rendezvousServers = [] } = settings
  const { alwaysUseRelay, serial, strictOss, idleTimeout, maxPeers, maxPeersPerAddress, maxPerSource, maxHalfOpen, maxConnections } = settings
  const mask = lanMask(maskText)
  return {
    alwaysUseRelay,
    serial,
    strictOss,
    idleTimeout,
    licence,
    signer,
    encryption,
    mask,
    localIp: localIp ?? (maskText === '' ? '' : ownAddress(mask)),
    relayServers,
    rendezvousServers,
    softwareUrl,
    softwareVersion: versionIn(softwareUrl),
    peerLimits: { maxPeers, maxPeersPerAddress, allowed: allow === undefined ? undefined : new AllowedPeers(allow) },
    limiter: { maxPerSource, maxHalfOpen, maxConnections }
  }
}

/** An address of this machine in a network, or any other one. */
function ownAddress (mask: LanMask): string {
  const own = Object.values(networkInterfaces()).flatMap((all = []) => all.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address))
  return own.find((address) => mask.includes(address)) ?? own[0] ?? ''
}

/** What is behind the last "-" of a URL, without the ending of a file. */
function versionIn (url: string): string {
  const dash = url.lastIndexOf('-')
  if (dash < 0) return ''
  const rest = url.slice(dash + 1)
  const dot = rest.lastIndexOf('.')
  return dot < 0 || /^[+-]?\d+$/.test(rest.slice(dot + 1)) ? rest : rest.slice(0, dot)
}

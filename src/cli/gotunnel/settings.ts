/** The settings of gotunnel with a token in any case: without one it is the default of the original programs, where only this machine can connect. */
import { isLoopback } from '../../net/client-address.ts'
import type { SettingsOf } from '../../nodes/common/options/option.ts'
import { ownName, type peerOptions } from '../../nodes/gotunnel/peer/options.ts'
import { DEFAULT_TOKEN } from '../../nodes/gotunnel/protocol/options.ts'
import type { relayOptions } from '../../nodes/gotunnel/relay/options.ts'
import { readIdentities, type GotunnelIdentitiesInit } from '../../nodes/gotunnel/relay/settings.ts'
import type { FinishContext } from '../protocol.ts'

const KNOWN_TO_ALL = `the token "${DEFAULT_TOKEN}" is the default of the original programs, which everybody knows`
const SOURCES = 'expected a token (or a token-file, or TUNPIPE_TOKEN)'

/** Whether a host is the loopback. */
const isLocalHost = (host: string): boolean => host.toLowerCase() === 'localhost' || isLoopback(host)

export type GotunnelRelaySettings = SettingsOf<typeof relayOptions> & GotunnelIdentitiesInit

export type GotunnelPeerSettings = SettingsOf<typeof peerOptions> & { token: string, name: string }

export function finishRelay ({ token: given, ...settings }: SettingsOf<typeof relayOptions>, { reject, warn }: FinishContext): GotunnelRelaySettings {
  const isLocal = isLocalHost(settings.listen.host) && (settings.trustedProxies ?? []).length === 0 // clients of a proxy may be on other machines
  const token = given ?? (isLocal || settings.identities !== undefined ? DEFAULT_TOKEN : reject(['token'], `missing, ${SOURCES}`))
  const all = settings.identities?.map(({ token }) => token) ?? [token]
  const known = all.indexOf(DEFAULT_TOKEN)
  if (known >= 0 && !isLocal) reject(settings.identities === undefined ? ['token'] : ['identities', known, 'token'], `${KNOWN_TO_ALL}, expected another one, or to listen on 127.0.0.1 and without a proxy`)
  if (known >= 0) warn(`${KNOWN_TO_ALL}: only programs of this machine may connect`)
  const complete: GotunnelRelaySettings = { ...settings, token }
  readIdentities(complete)
  return complete
}

export function finishPeer (settings: SettingsOf<typeof peerOptions>, { reject, warn }: FinishContext): GotunnelPeerSettings {
  const { server: { host }, name = ownName() } = settings
  const token = settings.token ?? (isLocalHost(host) ? DEFAULT_TOKEN : reject(['token'], `missing, ${SOURCES}`))
  if (token === DEFAULT_TOKEN) warn(KNOWN_TO_ALL)
  return { ...settings, token, name }
}

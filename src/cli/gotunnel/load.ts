/** Loads the settings of a gotunnel relay or peer, with tokens and certificates. */
import { hostname } from 'node:os'
import type { IdentityInit } from '../../nodes/gotunnel/index.ts'
import { readCa, readTlsPair } from '../config/tls-files.ts'
import type { LoadContext, Loaded } from '../protocol.ts'
import { UsageError } from '../usage-error.ts'
import type { GotunnelPeerSettings, GotunnelRelaySettings } from './schema.ts'
import { DEFAULT_TOKEN, isLocalHost, keyOf, readToken, secretsOf, VARIABLE } from './token.ts'

/** The name of the identity of a relay with a single token. */
const ONLY_IDENTITY = 'default'

const SOURCES = `expected a token (or a token-file, or ${VARIABLE})`
const KNOWN_TO_ALL = `the token "${DEFAULT_TOKEN}" is the default of the original programs, which everybody knows`

export interface LoadedRelay extends Loaded {
  gotunnel: GotunnelRelaySettings
  identities: IdentityInit[]
  tls: { cert: string, key: string } | undefined
}

export interface LoadedPeer extends Loaded {
  gotunnel: GotunnelPeerSettings
  token: string
  name: string
  tls: { ca?: string, insecure?: boolean } | undefined
}

/** @throws {UsageError} for the first error in the settings */
export function loadRelay ({ settings: gotunnel, nameOf, warn }: LoadContext<GotunnelRelaySettings>): LoadedRelay {
  const { identities: given, listen, 'trusted-proxy': proxies, 'tls-cert': cert, 'tls-key': key } = gotunnel
  const isLocal = isLocalHost(listen.host) && proxies === undefined // clients of a proxy may be on other machines
  const identities: IdentityInit[] = []
  for (const [i, settings] of (given ?? [{ name: ONLY_IDENTITY, ...gotunnel }]).entries()) {
    const name = (key: string): string => given === undefined ? nameOf(key) : nameOf('identities', String(i), key)
    const found = readToken({ settings, nameOf: name, warn })
    if (found === undefined && given !== undefined) throw new UsageError(`${name('token')}: missing, expected a token (or a token-file)`)
    if (found === undefined && !isLocal) throw new UsageError(`${name('token')}: missing, ${SOURCES}`)
    const token = found ?? DEFAULT_TOKEN
    if (token === DEFAULT_TOKEN && !isLocal) throw new UsageError(`${name(keyOf(settings))}: ${KNOWN_TO_ALL}, expected another one, or to listen on 127.0.0.1 and without a proxy`)
    if (token === DEFAULT_TOKEN) warn(`${KNOWN_TO_ALL}: only programs of this machine may connect`)
    if (identities.some((other) => other.token === token)) throw new UsageError(`${name(keyOf(settings))}: the token is that of another identity as well, expected one of its own`)
    identities.push({ name: settings.name, token, ports: settings.ports, maxPorts: settings['max-ports'], maxUsers: settings['max-users'], reserveUsers: 'reserve-users' in settings ? settings['reserve-users'] : undefined, byteRate: settings['byte-rate'] })
  }
  const tls = cert === undefined || key === undefined ? undefined : readTlsPair(cert, key, nameOf, warn)
  return { gotunnel, identities, tls, secrets: secretsOf(identities.map(({ token }) => token)) }
}

/** @throws {UsageError} for the first error in the settings */
export function loadPeer ({ settings: gotunnel, nameOf, warn }: LoadContext<GotunnelPeerSettings>): LoadedPeer {
  const { server, name = ownName(), ca, insecure } = gotunnel
  const found = readToken({ settings: gotunnel, nameOf, warn })
  if (found === undefined && !isLocalHost(server.host)) throw new UsageError(`${nameOf('token')}: missing, ${SOURCES}`)
  const token = found ?? DEFAULT_TOKEN
  if (token === DEFAULT_TOKEN) warn(KNOWN_TO_ALL)
  const isSecure = gotunnel.tls || server.scheme === 'tls'
  const tls = isSecure ? { ca: ca === undefined ? undefined : readCa(ca, nameOf), insecure } : undefined
  return { gotunnel, token, name, tls, secrets: secretsOf([token]) }
}

/** The name of this machine, in the characters of a name. */
export function ownName (host = hostname()): string {
  const name = host.replaceAll(/[^\w.@-]/g, '-').replace(/^[^A-Za-z0-9]+/, '').slice(0, 64)
  return name === '' ? 'peer' : name
}

/** Schemas of the section `gotunnel` for relay and peer; flags have the same names. */
import { z } from 'zod'
import { choice, path, secret, section, sections, toggle, wholeNumber } from '../config/fields.ts'
import { proxies } from '../config/network-fields.ts'
import { identityName, listenEndpoint, localAddress, peerName, portMaps, portRanges, serverEndpoint } from './fields.ts'

/** The largest number of nine digits. */
const MAX_COUNT = 999_999_999

const MODES = ['auto', 'strict', 'compatible'] as const

/** Seconds. A server that drops clients after 30 s of silence has to get a ping before, even if it is late. */
const MAX_PING_INTERVAL = 25

const token = {
  token: secret().optional(),
  'token-file': path().optional()
}

/** Keys of one identity, except its name. Without defaults, so that absent keys are known. */
const identityKeys = {
  ...token,
  ports: portRanges().optional(),
  'max-ports': wholeNumber(1, 65_535).optional(),
  'max-users': wholeNumber(1, 1_000_000).optional(),
  'byte-rate': wholeNumber(1500, MAX_COUNT).optional()
}

export const gotunnelIdentitySection = section({ name: identityName(), ...identityKeys, 'reserve-users': wholeNumber(0, 1_000_000).optional() })

const count = () => wholeNumber(1, 1_000_000).optional()

/** Bytes buffered for all users: at least a few of the smallest reads. */
const bufferTotal = () => wholeNumber(1024 * 1024, MAX_COUNT).optional()

export const gotunnelRelaySection = section({
  listen: listenEndpoint(),
  ...identityKeys,
  identities: sections(gotunnelIdentitySection).optional(),
  mode: choice(MODES).default('auto'),
  bind: localAddress().optional(),
  'max-users-total': count(),
  'users-per-source': count(),
  'max-per-source': count(),
  'max-half-open': count(),
  'max-connections': count(),
  'max-waiting': count(),
  'buffer-total': bufferTotal(),
  'auth-failures': count(),
  'trusted-proxy': proxies().optional(),
  'tls-cert': path().optional(),
  'tls-key': path().optional()
}, {
  networks: 'a key of candy, expected identities',
  password: 'a key of candy, expected token'
}).superRefine((gotunnel, context) => {
  const complain = (key: string | Array<string | number>, message: string): void => { context.addIssue({ code: 'custom', path: [key].flat(), message }) }
  const { listen: { scheme }, identities = [] } = gotunnel
  const isGiven = gotunnel['tls-cert'] !== undefined || gotunnel['tls-key'] !== undefined
  for (const key of ['tls-cert', 'tls-key'] as const) {
    if (scheme === 'tcp' && gotunnel[key] !== undefined) complain(key, 'of no use with listen tcp://, expected tls:// there')
    else if ((scheme === 'tls' || isGiven) && gotunnel[key] === undefined) complain(key, `missing, expected a PEM file, since ${scheme === 'tls' ? 'listen is tls://' : `there is a ${key === 'tls-key' ? 'tls-cert' : 'tls-key'}`}`)
  }
  if (identities.length === 0) return
  const reserved = identities.reduce((sum, { 'reserve-users': users = 0 }) => sum + users, 0)
  const total = gotunnel['max-users-total']
  if (total !== undefined && reserved > total) complain('max-users-total', `${total}, expected at least what identities reserve (reserve-users), ${reserved}`)
  for (const key of Object.keys(identityKeys) as Array<keyof typeof identityKeys>) {
    if (gotunnel[key] !== undefined) complain(key, 'of no use beside identities, expected below one of them')
  }
  for (const [i, { name }] of identities.entries()) {
    if (identities.findIndex((other) => other.name === name) < i) complain(['identities', i, 'name'], `the name ${name} is that of another identity as well, expected one of its own`)
  }
})

const seconds = (from: number, to: number) => wholeNumber(from, to)

export const gotunnelPeerSection = section({
  server: serverEndpoint(),
  ...token,
  name: peerName().optional(),
  map: portMaps(),
  mode: choice(MODES).default('auto'),
  tls: toggle(),
  ca: path().optional(),
  insecure: toggle(),
  'proxy-protocol': toggle(),
  'ping-interval': seconds(1, MAX_PING_INTERVAL).default(10),
  'probe-interval': seconds(0, 86_400).default(30),
  'max-connections': count(),
  'buffer-total': bufferTotal()
}).superRefine((gotunnel, context) => {
  const complain = (key: string, message: string): void => { context.addIssue({ code: 'custom', path: [key], message }) }
  const { server: { scheme }, tls, ca, insecure } = gotunnel
  const isSecure = tls || scheme === 'tls'
  if (tls && scheme === 'tcp') complain('tls', 'contradicts server tcp://, expected one of them')
  if (!isSecure && ca !== undefined) complain('ca', 'of no use without tls, expected tls as well')
  if (!isSecure && insecure) complain('insecure', 'of no use without tls, expected tls as well')
  if (ca !== undefined && insecure) complain('insecure', 'contradicts ca, expected one of them')
})

export type GotunnelRelaySettings = z.output<typeof gotunnelRelaySection>
export type GotunnelPeerSettings = z.output<typeof gotunnelPeerSection>

/** Reasons for which a server rejects or ends a connection: texts on the wire (gotunnel protocol, sections 3 and 12.2), codes everywhere else. */

/** Rejection reasons that are sent to the client, which decides by them whether to retry. */
export const REASONS = {
  token: 'authentication failed',
  rate: 'too many attempts from your address',
  mode: 'strict mode required',
  port: 'port not allowed',
  busy: 'port in use',
  name: 'name taken',
  ports: 'too many ports',
  not_owner: 'not your port'
} as const

export type RejectReason = keyof typeof REASONS

/** Sent to a client whose port another one of its identity has taken over. */
const REPLACED = 'replaced by another client with this token'

/** Reasons for the end of registered connections. */
export const ENDINGS = {
  token: REASONS.token,
  mode: REASONS.mode,
  port: REASONS.port,
  replaced: REPLACED,
  changed: 'the settings have changed',
  stopping: 'the relay is stopping',
  timeout: 'no ping',
  unresponsive: 'no data connections come from you',
  write_timeout: 'you do not read'
} as const

export type Ending = keyof typeof ENDINGS

/**
 * Why a peer has no port, as a code: one of the reasons above; `no_strict`, the server does not offer the strict mode that the peer
 * requires; `none`, the server gives no reason; `other`, a text that this table does not have.
 */
export type GotunnelRefusal =
  'token' | 'rate' | 'mode' | 'port' | 'busy' | 'name' | 'ports' | 'not_owner' | 'replaced' | 'changed' | 'stopping' | 'timeout' | 'unresponsive' |
  'write_timeout' | 'no_strict' | 'none' | 'other'

const CODES: ReadonlyMap<string, GotunnelRefusal> = new Map([...Object.entries(ENDINGS), ...Object.entries(REASONS)].map(([code, text]) => [text, code as RejectReason | Ending]))

/** The code of a reason on the wire. */
export const refusalOf = (text: string | undefined): GotunnelRefusal => text === undefined || text === '' ? 'none' : CODES.get(text) ?? 'other'

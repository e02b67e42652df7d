/** Reasons for which a server rejects or ends a connection, as texts on the wire (gotunnel protocol, sections 3 and 12.2). */

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
export const REPLACED = 'replaced by another client with this token'

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

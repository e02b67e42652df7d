/** Why a server refuses or ends a connection, in its words (gotunnel protocol, section 3). */

/** The reasons that a client is told, and by which it decides whether to try again. */
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

/** What a client is told whose port another one of its identity has taken over. */
export const REPLACED = 'replaced by another client with this token'

/** The same for connections that were registered. */
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

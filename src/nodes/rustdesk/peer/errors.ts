/** Why there is no session with another peer. */

/**
 * `unknown-id`: no peer has registered it. `offline`: it has, and is not there. `wrong-key`: the server, or its relay, wants another key.
 * `overuse`: the licence of the server allows no more. `untrusted`: the key of the other peer is not signed by this server. `not-tunpipe`: the
 * other peer is a client that shows its screen. `refused`: the other peer, or the server, does not let this one in. `unreachable`: no path came
 * about.
 */
export type ConnectFailure = 'unknown-id' | 'offline' | 'wrong-key' | 'overuse' | 'untrusted' | 'not-tunpipe' | 'refused' | 'unreachable'

/** There is no session with another peer. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError'
  readonly code = 'ERR_RUSTDESK_CONNECT'
  readonly reason: ConnectFailure

  constructor (reason: ConnectFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/** Why a peer cannot register. */
export type RegisterFailure = 'id-taken' | 'id-form' | 'not-served'

/** The server does not give this peer its id. */
export class RegisterError extends Error {
  override readonly name = 'RegisterError'
  readonly code = 'ERR_RUSTDESK_REGISTER'
  readonly reason: RegisterFailure

  constructor (reason: RegisterFailure, message: string) {
    super(message)
    this.reason = reason
  }
}

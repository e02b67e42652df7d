/** The token of an identity or of a peer, with a check for the default token of the original programs. */
import { readSecret, type SecretSettings } from '../config/secret.ts'
import { isLoopback } from '../../net/client-address.ts'
import { UsageError } from '../usage-error.ts'

export const VARIABLE = 'TUNPIPE_TOKEN'

/** The default of the original programs (gotunnel protocol, section 7). */
export const DEFAULT_TOKEN = 'changeme'

/** Characters. A first frame holds 4096 bytes, and JSON may need six of them for a character. */
const MAX_TOKEN = 600

/** Whether a host is the loopback. */
export const isLocalHost = (host: string): boolean => host.toLowerCase() === 'localhost' || isLoopback(host)

/** Tokens to redact. The default one is public, and redacting it would only make messages hard to read. */
export const secretsOf = (tokens: readonly string[]): string[] => tokens.filter((token) => token !== DEFAULT_TOKEN)

export interface TokenInit {
  settings: SecretSettings<'token'>
  /** The name of a key in an error. */
  nameOf (key: string): string
  /** Called when other users of this machine can read the file. */
  warn (message: string): void
}

/** Undefined when there is none. @throws {UsageError} when the token is invalid; the error does not contain it */
export function readToken ({ settings, nameOf, warn }: TokenInit): string | undefined {
  const token = readSecret(settings, 'token', nameOf, warn)
  if (token === undefined) return undefined
  const key = keyOf(settings)
  if (token === '') throw new UsageError(`${nameOf(key)}: empty, expected a token`)
  if (token.length > MAX_TOKEN) throw new UsageError(`${nameOf(key)}: too long, expected at most ${MAX_TOKEN} characters`)
  return token
}

/** The key that a token came from. */
export const keyOf = (settings: SecretSettings<'token'>): 'token' | 'token-file' => settings['token-file'] === undefined ? 'token' : 'token-file'

/** The token of an identity or of a peer, with a check for the default token of the original programs. */
import { readSecret, type SecretSettings } from '../config/secret.ts'
import { isLoopback } from '../../net/client-address.ts'
import { UsageError } from '../usage-error.ts'

export const VARIABLE = 'TUNPIPE_TOKEN'

/** The default of the original programs (gotunnel protocol, section 7). */
export const DEFAULT_TOKEN = 'changeme'

/** A first frame holds 4096 bytes, and a character of a token may become six of them. */
const MAX_TOKEN = 600

/** Whether a host is the loopback. */
export const isLocalHost = (host: string): boolean => host.toLowerCase() === 'localhost' || isLoopback(host)

/** The default is public: hiding it would only make messages about it hard to read. */
export const secretsOf = (tokens: readonly string[]): string[] => tokens.filter((token) => token !== DEFAULT_TOKEN)

export interface TokenInit {
  settings: SecretSettings<'token'>
  /** Names a key in a complaint. */
  nameOf (key: string): string
  /** Is told when others on this machine can read the file. */
  warn (message: string): void
}

/** Undefined when there is none. Throws `UsageError` for one that cannot be; no message has it in it. */
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

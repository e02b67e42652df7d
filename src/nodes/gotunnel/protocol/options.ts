/** Options of both sides of gotunnel. */
import { choice, milliseconds, text, wholeNumber } from '../../common/options/checks.ts'
import { secretOption } from '../../common/options/groups.ts'
import type { Options } from '../../common/options/option.ts'

/**
 * `auto`: strict mode with peers that offer it, compatible with others. `strict`: others are rejected. `compatible`: as the
 * original programs, also with peers that offer strict mode.
 */
export type Mode = 'auto' | 'strict' | 'compatible'

export const mode = (texts: { help: string, docs?: string }) => ({ check: choice(['auto', 'strict', 'compatible'] satisfies Mode[]), default: 'auto', value: 'mode', ...texts }) as const

/** The default of the original programs (gotunnel protocol, section 7). */
export const DEFAULT_TOKEN = 'changeme'

/** Characters of a token. A first frame holds at most 4096 bytes, and JSON may need six of them for a character. */
const MAX_TOKEN = 600

export const token = (docs?: string) => secretOption({ noun: 'token', variable: 'TUNPIPE_TOKEN', knownToAll: DEFAULT_TOKEN, maxLength: MAX_TOKEN, help: 'who knows it may map ports', docs })

/** The name of an identity or of a peer, for logs, status and metrics. */
export function name () {
  return text('a name', 'at most 64 letters, digits, ".", "_", "@" or "-", a letter or digit first', (name) => /^[A-Za-z0-9][\w.@-]{0,63}$/.test(name) ? name : undefined)
}

/** Bytes buffered for all users of one side; in programs at least a few of the smallest reads. */
export const bufferTotal = (texts: { docs?: string }) => ({
  check: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  input: wholeNumber(1024 * 1024),
  default: 256 * 1024 * 1024,
  value: 'bytes',
  help: 'kept for all users while others do not read; beyond it users that stand still are ended',
  ...texts
}) as const

/** Of the library alone. */
export const userTimeouts = {
  /** Milliseconds without a TCP acknowledgement after which a user, or its other connection, is ended. */
  unansweredTimeout: { check: milliseconds(), default: 45_000 },
  /** Milliseconds without progress after which a user may be ended while the buffers of all exceed `bufferTotal`. */
  stallTimeout: { check: milliseconds(), default: 10_000 }
} as const satisfies Options

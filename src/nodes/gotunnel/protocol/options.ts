/** What can be said about either side of gotunnel. */

export const MODES = ['auto', 'strict', 'compatible'] as const

/**
 * `auto`: strict with those that offer it, compatible with the others. `strict`: others are refused. `compatible`: as the
 * original programs do, also with those that offer more.
 */
export type Mode = typeof MODES[number]

/** Bytes that either side keeps for all its users together. */
export const DEFAULT_BUFFER_TOTAL = 256 * 1024 * 1024

/** Milliseconds without an acknowledgement after which a connection is given up: `unansweredTimeout`. */
export const DEFAULT_UNANSWERED_TIMEOUT = 45_000

/** Milliseconds of standing still after which a user may be ended: `stallTimeout`. */
export const DEFAULT_STALL_TIMEOUT = 10_000

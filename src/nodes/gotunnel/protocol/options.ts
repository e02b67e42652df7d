/** Options of both sides of gotunnel. */

export const MODES = ['auto', 'strict', 'compatible'] as const

/**
 * `auto`: strict mode with peers that offer it, compatible with others. `strict`: others are rejected. `compatible`: as the
 * original programs, also with peers that offer strict mode.
 */
export type Mode = typeof MODES[number]

/** Bytes buffered for all users of one side. */
export const DEFAULT_BUFFER_TOTAL = 256 * 1024 * 1024

/** Milliseconds without an acknowledgement after which a connection is ended: `unansweredTimeout`. */
export const DEFAULT_UNANSWERED_TIMEOUT = 45_000

/** Milliseconds without progress after which a user may be ended: `stallTimeout`. */
export const DEFAULT_STALL_TIMEOUT = 10_000

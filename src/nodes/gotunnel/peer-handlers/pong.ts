import type { PeerSession } from '../peer-session.ts'

/** The server is there. Its clock is of no interest (gotunnel protocol, section 2). */
export function pong (_message: unknown, session: PeerSession): void { session.answered() }

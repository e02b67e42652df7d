import type { Unregistered } from '../messages.ts'
import { RefusedError } from '../peer-errors.ts'
import type { PeerSession } from '../peer-session.ts'

/** Strict mode: the server says why it ends the connection. */
export function unregistered ({ reason }: Unregistered, session: PeerSession): void { session.end(new RefusedError(reason)) }

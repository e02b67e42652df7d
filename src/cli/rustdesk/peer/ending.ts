/** What ends `peer rustdesk`, and with which exit code. */
import { ConnectError, RegisterError, type ConnectFailure, type RegisterFailure } from '../../../nodes/rustdesk/peer/errors.ts'
import { reasonOf } from '../../../text/printable.ts'
import { EXIT } from '../../process/lifecycle.ts'

const NO_PATH = 7

const CONNECT_CODES: Readonly<Record<ConnectFailure, number>> = {
  'unknown-id': 3,
  offline: 4,
  'wrong-key': 5,
  untrusted: 5,
  refused: 6,
  overuse: 6,
  'not-tunpipe': 6,
  unreachable: NO_PATH
}

const REGISTER_CODES: Readonly<Record<RegisterFailure, number>> = { 'id-taken': 8, 'id-form': EXIT.usage, 'not-served': EXIT.failure }

/** For `--help`. */
export const CONNECT_ENDINGS = '3 unknown id, 4 offline, 5 wrong key or untrusted, 6 refused, 7 no path'
export const REGISTER_ENDING = '8 the id belongs to another machine'

/** What a peer waits for when it is told to. */
const MAY_CHANGE: readonly ConnectFailure[] = ['unknown-id', 'offline', 'unreachable']

/** Whether another attempt may find what this one has not. */
export const mayChange = (err: Error): boolean => !(err instanceof ConnectError) || MAY_CHANGE.includes(err.reason)

/** The same error with the exit code of it. An error that is neither of the server nor of the other peer means that there is no path. */
export function ending (err: Error): Error {
  if (err instanceof ConnectError) return Object.assign(err, { exitCode: CONNECT_CODES[err.reason] })
  if (err instanceof RegisterError) return Object.assign(err, { exitCode: REGISTER_CODES[err.reason] })
  return Object.assign(new ConnectError('unreachable', `no path: ${reasonOf(err)}`, { cause: err }), { exitCode: NO_PATH })
}

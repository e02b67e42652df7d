/** Why a desktop is not served, or not any more. */
import { CodedError } from '../../../../errors.ts'

export type DesktopErrorCode =
  | 'ERR_DESKTOP_LIMIT' // too many are open
  | 'ERR_DESKTOP_PORT' // no port is free where the process that captures the screen could connect to
  | 'ERR_DESKTOP_START' // that process cannot be started
  | 'ERR_DESKTOP_TIMEOUT' // it does not connect, or does not answer
  | 'ERR_DESKTOP_WORKER' // it has ended, or says what makes no sense
  | 'ERR_DESKTOP_VIEWER' // its viewer takes no pictures
  | 'ERR_DESKTOP_SCREEN' // it has no picture: there is no display, for one

/** The text is shown at the other end of the link. */
export class DesktopError extends CodedError<DesktopErrorCode> {
  override readonly name = 'DesktopError'
}

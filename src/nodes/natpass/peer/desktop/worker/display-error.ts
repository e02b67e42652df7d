/** Why a desktop cannot be shown. */
import { CodedError } from '../../../../../errors.ts'

export type DisplayErrorCode =
  | 'ERR_DISPLAY_X11' // the optional package `x11` is not installed
  | 'ERR_DISPLAY_NONE' // there is no X server to connect to
  | 'ERR_DISPLAY_PERMISSION' // the X server, or a file of its own, refuses this user
  | 'ERR_DISPLAY_UNSUPPORTED' // the X server has no way to do this, or another kind of picture
  | 'ERR_DISPLAY_LOST' // the connection to the X server has ended
  | 'ERR_DISPLAY_REQUEST' // the X server has refused a request

/** The text is shown at the other end of the link: it names the reason and what to do. */
export class DisplayError extends CodedError<DisplayErrorCode> {
  override readonly name = 'DisplayError'
}

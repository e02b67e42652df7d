/** Errors of a natpass peer. */
import { CodedError } from '../../../errors.ts'
import { printable } from '../../../text/printable.ts'

/** The other client, or the relay, has refused a link; the text is its own, made safe to show. */
export class NatpassRefusedError extends CodedError<'ERR_NATPASS_REFUSED'> {
  override readonly name = 'NatpassRefusedError'

  constructor (text: string | undefined, options?: ErrorOptions) {
    super('ERR_NATPASS_REFUSED', text === undefined || text === '' ? 'refused without a reason' : printable(text), options)
  }
}

/** How a lost connection is told from the end of a link (natpass protocol, section 6.4). */
import { NatpassReset } from '../../protocol/link-codec.ts'
import { LinkResetError } from '../../../../errors.ts'
import { LinkMuxError } from '../../../../transforms/link-mux/index.ts'

/** Whether a link has ended with the connection of either end to the server, and not by one of the ends, or a fault of the link. */
export function isLoss (err: Error): boolean {
  return err instanceof LinkResetError ? err.reason === NatpassReset.LOST : !(err instanceof LinkMuxError)
}

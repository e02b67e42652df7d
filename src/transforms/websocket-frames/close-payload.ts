/** The payload of a close frame (RFC 6455, section 5.5.1): empty, or two bytes of code and a reason in UTF-8. */
import { isUtf8 } from 'node:buffer'
import { CloseCode, isValidCloseCode, WebSocketProtocolError } from './protocol.ts'

/**
 * @param isRaw accept any payload: all of it is the reason then, with code 1005
 * @throws {WebSocketProtocolError} when the payload is malformed
 */
export function closeOf (payload: Uint8Array, isRaw: boolean): { code: number, reason: string } {
  let code: number = CloseCode.NO_STATUS
  let reason = payload.subarray(2)
  if (payload.length > 0) {
    const named = payload.length > 1 ? payload[0] << 8 | payload[1] : 0
    if (isValidCloseCode(named) && isUtf8(reason)) {
      code = named
    } else {
      if (!isRaw) {
        if (isValidCloseCode(named)) throw new WebSocketProtocolError('the reason of a close frame is not UTF-8', CloseCode.INVALID_DATA)
        throw new WebSocketProtocolError(payload.length > 1 ? `close code ${named} must not be used` : 'a close frame of one byte')
      }
      reason = payload
    }
  }
  return { code, reason: Buffer.from(reason.buffer, reason.byteOffset, reason.length).toString() }
}

/** Names and numbers of RFC 6455 that decoder, encoder and layer share. */
import { printable } from '../../text/printable.ts'

/** Opcodes (section 5.2). */
export const Opcode = { CONTINUATION: 0x0, TEXT: 0x1, BINARY: 0x2, CLOSE: 0x8, PING: 0x9, PONG: 0xa } as const

/** Status codes of a close frame (section 7.4.1). `NO_STATUS` and `ABNORMAL` are never sent. */
export const CloseCode = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  PROTOCOL_ERROR: 1002,
  UNSUPPORTED_DATA: 1003,
  NO_STATUS: 1005,
  ABNORMAL: 1006,
  INVALID_DATA: 1007,
  POLICY_VIOLATION: 1008,
  TOO_BIG: 1009,
  INTERNAL_ERROR: 1011,
  SERVICE_RESTART: 1012,
  TRY_AGAIN_LATER: 1013
} as const

/** Maximum payload of a control frame (section 5.5). */
export const MAX_CONTROL_PAYLOAD = 125

/** Whether a close frame may have this code (sections 7.4.1 and 7.4.2, and the IANA registry). */
export const isValidCloseCode = (code: number): boolean =>
  Number.isInteger(code) && ((code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) || (code >= 3000 && code <= 4999))

/** The other side has broken the protocol or exceeded a limit; `closeCode` is sent to it. */
export class WebSocketProtocolError extends Error {
  override readonly name = 'WebSocketProtocolError'
  readonly code = 'ERR_WEBSOCKET_PROTOCOL'
  readonly closeCode: number

  constructor (message: string, closeCode: number = CloseCode.PROTOCOL_ERROR) {
    super(message)
    this.closeCode = closeCode
  }
}

/** The connection was closed, and not orderly; 1006 means without a close frame. */
export class WebSocketClosedError extends Error {
  override readonly name = 'WebSocketClosedError'
  readonly code = 'ERR_WEBSOCKET_CLOSED'
  readonly closeCode: number
  /** The reason of the other side, safe to show: see {@link printable}. */
  readonly reason: string

  constructor (closeCode: number, text: string) {
    const reason = printable(text)
    super(closeCode === CloseCode.ABNORMAL ? 'the connection ended without a close frame' : `closed by the other side: ${closeCode}${reason === '' ? '' : ` ${reason}`}`)
    this.closeCode = closeCode
    this.reason = reason
  }
}

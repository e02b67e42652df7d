export { FrameDecoder, DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_PAYLOAD, type FrameDecoderInit, type FrameHandlers, type Role, type Tolerance } from './decoder.ts'
export { FrameEncoder } from './encoder.ts'
export { websocketFrames, DEFAULT_CLOSE_TIMEOUT, type WebSocketFramesInit, type WebSocketLink } from './layer.ts'
export { CloseCode, Opcode, WebSocketClosedError, WebSocketProtocolError } from './protocol.ts'

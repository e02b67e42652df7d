
export {
  CloseCode, FrameDecoder, FrameEncoder, Opcode, WebSocketClosedError, WebSocketProtocolError, websocketFrames,
  type FrameDecoderInit, type FrameHandlers, type Role, type Tolerance, type WebSocketFramesInit, type WebSocketLink
} from './websocket-frames/index.ts'

/** The layers, one file each. */
export * from './capture/index.ts'
export * from './checksum.ts'
export * from './confusion-padding.ts'
export { controlFrames } from './control-frames.ts'
export {
  DEFAULT_MAX_LENGTH, FrameSizeError, rustdeskLength, u16be, u32be,
  type Bytes, type LengthCodec, type LengthDecoder, type LengthEncoder, type LengthPrefixInit
} from './length-codecs.ts'
export { firstFrame, FirstFrameDecoder } from './first-frame.ts'
export { encodeJson, json, JsonDecoder, parseJson, type JsonInit } from './json.ts'
export * from './length-prefix.ts'
export { meter, type Meter } from '../streams/meter.ts'
export { LinkResetError, MAX_STREAM_HEADER, SequentialStreams } from './sequential-streams/index.ts'
export * from './type-demux.ts'
export {
  CloseCode, DEFAULT_CLOSE_TIMEOUT, DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_PAYLOAD, FrameDecoder, FrameEncoder, Opcode,
  WebSocketClosedError, WebSocketProtocolError, websocketFrames,
  type FrameDecoderInit, type FrameHandlers, type Role, type Tolerance, type WebSocketFramesInit, type WebSocketLink
} from './websocket-frames/index.ts'

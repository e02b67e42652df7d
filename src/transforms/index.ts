/** The layers, one file each. */
export {
  capture, captureFile, captureLinkTypes, CaptureRecorder, captureStream, openCaptureFile, verifyCapture,
  type Capture, type CaptureDirection, type CaptureEnd, type CaptureFileInit, type CaptureInit, type CaptureInterface, type CaptureLayer, type CaptureLayerInit,
  type CaptureLinkType, type CaptureRecorderInit, type CaptureStats
} from './capture/index.ts'
export { checksum, ChecksumDecoder, ChecksumEncoder, ChecksumError, crc32, type ChecksumFunction, type ChecksumInit } from './checksum.ts'
export { confusionPadding, ConfusionPaddingDecoder, ConfusionPaddingEncoder, PaddingError, type ConfusionPaddingInit } from './confusion-padding.ts'
export { controlFrames } from './control-frames.ts'
export type { FailFastDecoder } from './fail-fast-decoder.ts'
export { firstFrame } from './first-frame.ts'
export { json, JsonDecoder, parseJson, type JsonInit } from './json.ts'
export { FrameSizeError, rustdeskLength, u16be, u32be, type LengthCodec, type LengthDecoder, type LengthEncoder, type LengthPrefixInit } from './length-codecs.ts'
export { lengthPrefix, LengthPrefixDecoder, LengthPrefixEncoder } from './length-prefix.ts'
export {
  compactMux, linkMux, LinkMuxError, LinkRefusedError, ResetCode,
  type CompactMux, type CompactMuxInit, type LinkMux, type LinkMuxErrorCode, type LinkMuxInit, type LinkMuxLimits, type MuxCodec, type MuxDecoder, type MuxEncoder,
  type MuxFrames, type MuxLink, type MuxLinkInit, type OpenInit, type Opening
} from './link-mux/index.ts'
export { meter, type InFlight, type Meter } from '../streams/meter.ts'
export { protobuf, ProtobufDecoder, ProtobufEncoder, ProtobufError, type ProtobufInit, type ProtobufType, type WireField, type WireSchema } from './protobuf/index.ts'
export {
  BottleneckModel, NoCongestionControl, Pacer, reliable, ReliableConnection, ReliableError, RttEstimator, SentPackets,
  type BottleneckModelInit, type CongestionControl, type DeliverySample, type ReliableErrorCode, type ReliableInit, type ReliableLink, type ReliablePath, type SentPacketsInit
} from './reliable/index.ts'
export { LinkResetError } from '../errors.ts'
export {
  answerOffer, exchangeKeys, KeyExchangeError, KeyExchangeServer, KeyOffer, secretbox, SecretboxDecoder, SecretboxEncoder, SecretboxError,
  type ExchangeKeysInit, type KeyAnswer, type KeyExchangeErrorCode, type KeyExchangeFrames, type KeyExchangeServerInit, type SecretboxErrorCode, type SecretboxInit
} from './secretbox/index.ts'
export { SequentialStreams, type SequentialStreamsInit } from './sequential-streams/index.ts'
export {
  bytesOf, CoveredValues, PssKey, PssSigner, signed, SigningError, uintOf,
  type CoveredTable, type CoveredValue, type SignedDrop, type SignedInit, type SignedLink, type VerificationLimits
} from './signed/index.ts'
export { dispatch, typeDemux, UnknownTypeError, type Handler, type Handlers, type MessageOf, type TypeDemuxInit, type TypedHandlers } from './type-demux.ts'
export {
  CloseCode, FrameDecoder, FrameEncoder, Opcode, WebSocketClosedError, WebSocketProtocolError, websocketFrames,
  type FrameDecoderInit, type FrameHandlers, type Role, type Tolerance, type WebSocketFramesInit, type WebSocketLink
} from './websocket-frames/index.ts'

export { protobuf, ProtobufDecoder, ProtobufEncoder, type ProtobufInit, type ProtobufType } from './layer.ts'
export { ProtobufError, type WireField, type WireSchema } from './wire.ts'

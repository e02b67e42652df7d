export { MAX_STREAM_HEADER } from './chunks.ts'
export { SequentialStreams, type SequentialStreamsInit } from './streams.ts'

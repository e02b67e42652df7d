export { LinkResetError, MAX_STREAM_HEADER } from './chunks.ts'
export { SequentialStreams } from './streams.ts'

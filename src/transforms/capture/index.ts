export { captureLinkTypes, type CaptureDirection, type CaptureInterface, type CaptureLinkType } from './blocks.ts'
export { captureFile, captureStream, openCaptureFile, type Capture, type CaptureFileInit } from './file.ts'
export { capture, type CaptureLayer, type CaptureLayerInit } from './layer.ts'
export {
  CaptureRecorder, DEFAULT_CAPTURE_QUEUE, DEFAULT_MAX_CAPTURE, MAX_SNAP_LENGTH, verifyCapture,
  type CaptureEnd, type CaptureInit, type CaptureRecorderInit, type CaptureStats
} from './recorder.ts'

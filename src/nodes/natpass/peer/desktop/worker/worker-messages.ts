/** Messages between a client and its process that captures the screen (natpass protocol, sections 1.5 and 4.3). */
import { natpass } from '../../../protocol/generated/natpass.js'

export type WorkerMessage = natpass.vnc_msg
export type WorkerMessageInit = natpass.vnc_msg.$Properties

/** The numbers of `vnc_msg.type`. */
export const WorkerMessageType = { captureReq: 0, captureData: 1, mouse: 2, keyboard: 3, setCursor: 4, scroll: 5, clipboard: 6 } as const

const BITS = 32

export const encodeWorkerMessage = (message: WorkerMessageInit): Uint8Array => natpass.vnc_msg.encode(message).finish()

/** A request for a picture is a message without bytes. @throws an error of `protobufjs` for what is no message */
export const decodeWorkerMessage = (bytes: Uint8Array): WorkerMessage => natpass.vnc_msg.decode(bytes)

/** Nothing has changed since the last picture: one without pixels. */
export const unchanged = (width: number, height: number): Uint8Array =>
  encodeWorkerMessage({ _type: WorkerMessageType.captureData, data: { ok: true, bits: BITS, width, height } })

/** There is no picture. @param msg - for people */
export const failure = (msg: string): Uint8Array => encodeWorkerMessage({ _type: WorkerMessageType.captureData, data: { ok: false, msg } })

/**
 * What stands in front of the pixels of a picture in its message, so that they are not copied: 64 bytes at most.
 *
 * @param size - bytes of the pixels
 */
export function imageHeader (width: number, height: number, size: number): Uint8Array {
  const image = [...field(1, 1), ...field(3, BITS), ...field(4, width), ...field(5, height), 6 << 3 | 2, ...varint(size)]
  return Uint8Array.from([...field(1, WorkerMessageType.captureData), 2 << 3 | 2, ...varint(image.length + size), ...image])
}

const field = (number: number, value: number): number[] => [number << 3, ...varint(value)]

function varint (value: number): number[] {
  const bytes = []
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push(value % 128 | 0x80)
  return [...bytes, value]
}

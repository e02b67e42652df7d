/** What the process that captures the screen answers, checked: a picture, or that nothing has changed. */
import type { Picture } from './blocks.ts'
import { DesktopError } from './desktop-error.ts'
import type { WorkerMessage } from './worker/worker-messages.ts'
import { isScreen } from '../../protocol/desktop.ts'
import { printable } from '../../../../text/printable.ts'

const BITS = 32
const PIXEL_BYTES = BITS / 8

/** Bytes of a text of the process. */
const MAX_TEXT = 300

export type Captured = NonNullable<WorkerMessage['data']>

/**
 * Reads the answer to a request for a picture.
 *
 * @param last the picture before
 * @returns undefined when nothing has changed since then: an answer without pixels
 * @throws {DesktopError} `ERR_DESKTOP_SCREEN` when there is no picture, `ERR_DESKTOP_WORKER` when the answer makes no sense
 */
export function readCaptured ({ ok, msg, bits, width, height, data }: Captured, last: Pick<Picture, 'width' | 'height'> | undefined): Picture | undefined {
  if (ok !== true) throw new DesktopError('ERR_DESKTOP_SCREEN', printable(msg || 'the screen cannot be captured', MAX_TEXT))
  const [columns, rows, size] = [width ?? 0, height ?? 0, data?.length ?? 0]
  if (!isScreen(columns, rows)) throw nonsense(`a picture of ${columns} x ${rows} pixels`)
  if (bits !== BITS) throw nonsense(`pixels of ${bits ?? 0} bits`)
  if (size === 0 && columns === last?.width && rows === last?.height) return undefined
  if (size !== columns * rows * PIXEL_BYTES) throw nonsense(`a picture of ${columns} x ${rows} pixels with ${size} bytes`)
  const { buffer, byteOffset, byteLength } = data as Uint8Array
  return { width: columns, height: rows, pixels: Buffer.from(buffer, byteOffset, byteLength) }
}

const nonsense = (what: string): DesktopError => new DesktopError('ERR_DESKTOP_WORKER', `the process that captures the screen has sent ${what}`)

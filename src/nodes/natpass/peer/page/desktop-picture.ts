/** Pictures of a desktop as browsers get them (natpass protocol, sections 4.2 and 8, case 30). */
import { jpegSize } from './jpeg-size.ts'
import { Encoding, isScreen } from '../../protocol/desktop.ts'
import type { MessageInit } from '../../protocol/messages.ts'
import { CodedError } from '../../../../errors.ts'

/** The other end has sent a picture that cannot be. */
export class PictureError extends CodedError<'ERR_DESKTOP_PICTURE'> {
  override readonly name = 'PictureError'
}

/** Bytes of seven numbers before the data. */
const HEAD = 28

/**
 * The message for a browser: width and height of the screen; x, y, width and height of the rectangle; the encoding; each 4 bytes, big-endian.
 * Then the data, in memory of its own. All numbers are checked before any is used.
 *
 * @returns undefined for a JPEG that is damaged: none, or of another size than the rectangle
 * @throws {PictureError} `ERR_DESKTOP_PICTURE`
 */
export function pictureFrame (image: MessageInit['vimg']): Buffer | undefined {
  if (image?._info == null) throw bad('without information')
  const { screen_width: screenWidth = 0, screen_height: screenHeight = 0, rect_x: x = 0, rect_y: y = 0, rect_width: width = 0, rect_height: height = 0 } = image._info as Record<string, number>
  const encoding = image.encode ?? Encoding.raw
  const data = image.data ?? new Uint8Array(0)
  if (!isScreen(screenWidth, screenHeight)) throw bad(`of a screen of ${screenWidth} × ${screenHeight} pixels`)
  if (width < 1 || height < 1 || x + width > screenWidth || y + height > screenHeight) throw bad(`with a rectangle of ${width} × ${height} pixels at ${x}, ${y} of a screen of ${screenWidth} × ${screenHeight}`)
  if (!isWhole(encoding, data, width, height)) return undefined
  const frame = Buffer.allocUnsafe(HEAD + data.length)
  let at = 0
  for (const number of [screenWidth, screenHeight, x, y, width, height, encoding]) at = frame.writeUInt32BE(number, at)
  frame.set(data, HEAD)
  return frame
}

/** @throws {PictureError} when that cannot be the data of any encoding */
function isWhole (encoding: number, data: Uint8Array, width: number, height: number): boolean {
  if (encoding === Encoding.jpeg) {
    const size = jpegSize(data)
    return size?.width === width && size.height === height
  }
  if (encoding !== Encoding.raw) throw bad(`in encoding ${encoding}, which is unknown`)
  if (data.length !== width * height * 4) throw bad(`of ${data.length} bytes for ${width} × ${height} pixels`)
  return true
}

const bad = (what: string): PictureError => new PictureError('ERR_DESKTOP_PICTURE', `the other end has sent a picture ${what}`)

/** Pixels of 32 bits, as X servers have them and as they are sent. Processors with the least significant byte first. */

/** A part of a screen, in pixels. */
export interface Rectangle {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

const OPAQUE = 0xff000000 | 0

/**
 * Copies a rectangle into a picture, from blue, green, red and nothing to red, green, blue and 255.
 *
 * @param from - its pixels, row by row
 * @param into - the pixels of the picture, `stride` in each row
 */
export function copyAsRgba (from: Int32Array, into: Int32Array, stride: number, { x, y, width, height }: Rectangle): void {
  let at = 0
  for (let row = y; row < y + height; row++) {
    const end = row * stride + x + width
    for (let to = end - width; to < end; to++, at++) {
      const pixel = from[at]
      into[to] = OPAQUE | (pixel & 0xff) << 16 | (pixel & 0xff00) | (pixel >>> 16 & 0xff)
    }
  }
}

/**
 * A pixel of a cursor over one of a picture.
 *
 * @param over - alpha, red, green and blue from the most significant byte, multiplied by alpha
 * @param under - red, green, blue and 255 from the least significant one
 */
export function blend (over: number, under: number): number {
  const rest = 255 - (over >>> 24)
  const channel = (over: number, under: number): number => Math.min(255, (over & 0xff) + Math.round((under & 0xff) * rest / 255))
  return OPAQUE | channel(over, under >>> 16) << 16 | channel(over >>> 8, under >>> 8) << 8 | channel(over >>> 16, under)
}

/** The part of a rectangle that is inside another one at 0, 0; undefined when that is nothing. */
export function clip ({ x, y, width, height }: Rectangle, to: { readonly width: number, readonly height: number }): Rectangle | undefined {
  const left = Math.max(0, x)
  const top = Math.max(0, y)
  const right = Math.min(to.width, x + width)
  const bottom = Math.min(to.height, y + height)
  return right > left && bottom > top ? { x: left, y: top, width: right - left, height: bottom - top } : undefined
}

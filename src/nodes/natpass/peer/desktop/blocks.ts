/** Which blocks of a picture have changed (natpass protocol, section 4.3). */

/** Pixels of a side of a block; those at the right and at the bottom are smaller. */
export const BLOCK_SIZE = 64

const PIXEL = 4

/** A whole screen. */
export interface Picture {
  readonly width: number
  readonly height: number
  /** RGBA, row by row, without gaps. */
  readonly pixels: Buffer
}

/** In pixels. */
export interface Block {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** The picture that the other end has. */
export class Blocks {
  #picture: Picture
  /** A flag for each block of a row, kept between the rows of blocks. */
  #changed: boolean[] = []

  constructor (picture: Picture) { this.#picture = picture }

  get width (): number { return this.#picture.width }

  get height (): number { return this.#picture.height }

  /** All blocks of the picture, row by row. */
  all (): Block[] {
    const blocks: Block[] = []
    for (let y = 0; y < this.height; y += BLOCK_SIZE) for (let x = 0; x < this.width; x += BLOCK_SIZE) blocks.push(this.#blockAt(x, y))
    return blocks
  }

  /** Takes the next picture, and keeps its memory. Returns the blocks that differ, all of them where the size does. */
  update (picture: Picture): Block[] {
    const last = this.#picture
    this.#picture = picture
    if (picture.width !== last.width || picture.height !== last.height) return this.all()
    const changed: Block[] = []
    for (let y = 0; y < this.height; y += BLOCK_SIZE) this.#compare(last.pixels, y, changed)
    return changed
  }

  /** A copy of the pixels of a block, all of them opaque. */
  pixelsOf ({ x, y, width, height }: Block): Buffer {
    const copy = Buffer.allocUnsafe(width * height * PIXEL)
    const { pixels } = this.#picture
    for (let row = 0; row < height; row++) {
      const from = ((y + row) * this.width + x) * PIXEL
      pixels.copy(copy, row * width * PIXEL, from, from + width * PIXEL)
    }
    for (let alpha = PIXEL - 1; alpha < copy.length; alpha += PIXEL) copy[alpha] = 255
    return copy
  }

  /** The same without alpha. */
  rgbOf (block: Block): Buffer {
    const pixels = this.pixelsOf(block)
    let to = 0
    for (let from = 0; from < pixels.length; from += PIXEL) { // in place: it is never ahead of what is read
      pixels[to++] = pixels[from]
      pixels[to++] = pixels[from + 1]
      pixels[to++] = pixels[from + 2]
    }
    return pixels.subarray(0, to)
  }

  #blockAt (x: number, y: number): Block {
    return { x, y, width: Math.min(BLOCK_SIZE, this.width - x), height: Math.min(BLOCK_SIZE, this.height - y) }
  }

  /** Adds the blocks of the row of blocks at `y` that differ. Most rows of pixels are equal, so they are compared as a whole first. */
  #compare (last: Buffer, y: number, into: Block[]): void {
    const { width, pixels } = this.#picture
    const stride = width * PIXEL
    const flags = this.#changed
    let found = 0
    flags.length = Math.ceil(width / BLOCK_SIZE)
    flags.fill(false)
    const end = Math.min(y + BLOCK_SIZE, this.height) * stride
    for (let row = y * stride; row < end && found < flags.length; row += stride) {
      if (pixels.compare(last, row, row + stride, row, row + stride) === 0) continue
      for (let i = 0; i < flags.length; i++) {
        if (flags[i]) continue
        const from = row + i * BLOCK_SIZE * PIXEL
        const to = Math.min(from + BLOCK_SIZE * PIXEL, row + stride)
        if (pixels.compare(last, from, to, from, to) === 0) continue
        flags[i] = true
        found++
      }
    }
    for (const [i, isChanged] of flags.entries()) if (isChanged) into.push(this.#blockAt(i * BLOCK_SIZE, y))
  }
}

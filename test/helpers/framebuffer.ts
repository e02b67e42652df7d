/** The screen of an Xvfb as that keeps it in a file (`-fbdir`), which nobody asks the server for. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Numbers of a dump of the X window system, big-endian (X11/XWDFile.h). */
const HEADER_SIZE = 0
const WIDTH = 16
const HEIGHT = 20
const BITS_PER_PIXEL = 44
const BYTES_PER_LINE = 48
const COLOURS = 76

/** Bytes of one colour of the table behind the header. */
const COLOUR = 12

/** @param folder - of `-fbdir`; @returns red, green and blue of each pixel, rows first */
export function readFramebuffer (folder: string): Buffer {
  const file = readFileSync(join(folder, 'Xvfb_screen0'))
  const [start, width, height, bits, line, colours] = [HEADER_SIZE, WIDTH, HEIGHT, BITS_PER_PIXEL, BYTES_PER_LINE, COLOURS].map((at) => file.readUInt32BE(at))
  if (bits !== 32) throw new Error(`${bits} bits of a pixel`)
  const pixels = Buffer.alloc(width * height * 3)
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, at = start + colours * COLOUR + y * line; x < width; x++, at += 4) { // blue, green, red, nothing
      pixels[to++] = file[at + 2]
      pixels[to++] = file[at + 1]
      pixels[to++] = file[at]
    }
  }
  return pixels
}

/** The picture of a screen, kept as the message that is sent. */
import { imageHeader } from './worker-messages.ts'

/** Bytes in front of the pixels, for what the message begins with; pixels have to be aligned. */
const HEADROOM = 64

/** Memory of one size of a screen. */
export class Picture {
  readonly width: number
  readonly height: number
  /** A pixel each: red, green, blue and alpha from the least significant byte. */
  readonly pixels: Int32Array
  readonly #bytes: Buffer
  readonly #begin: number

  constructor (width: number, height: number) {
    this.width = width
    this.height = height
    const size = width * height * 4
    const memory = new ArrayBuffer(HEADROOM + size)
    this.pixels = new Int32Array(memory, HEADROOM)
    this.#bytes = Buffer.from(memory)
    const header = imageHeader(width, height, size)
    this.#begin = HEADROOM - header.length
    this.#bytes.set(header, this.#begin)
  }

  /** `capture_data` with all pixels, as a view: it is valid until they change. */
  message (): Buffer { return this.#bytes.subarray(this.#begin) }
}

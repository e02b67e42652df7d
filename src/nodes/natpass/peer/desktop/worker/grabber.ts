/** Reads pixels of the root window: by memory that is shared with the X server, or by the connection to it. */
import { loadSharedSegments, type SharedSegment } from '../../../../../net/native/shared-segment.ts'
import type { Display } from './display.ts'
import type { Rectangle } from './pixels.ts'
import type { Shm } from './x11-package.ts'

const Z_PIXMAP = 2
const ALL_PLANES = 0xffffffff

const areaOf = (rectangles: readonly Rectangle[]): number => rectangles.reduce((sum, { width, height }) => sum + width * height, 0)

export interface Grabber {
  /**
   * Pixels of each rectangle, row by row. They are valid until the next call.
   *
   * @throws {DisplayError} `ERR_DISPLAY_REQUEST` when one is not inside the screen any more
   */
  grab (rectangles: readonly Rectangle[]): Promise<readonly Int32Array[]>
}

/** @returns by shared memory where that works */
export async function openGrabber (display: Display): Promise<Grabber> {
  return (display.isLocal ? await SharedGrabber.open(display).catch(() => undefined) : undefined) ?? new RequestGrabber(display)
}

class RequestGrabber implements Grabber {
  readonly #display: Display

  constructor (display: Display) { this.#display = display }

  async grab (rectangles: readonly Rectangle[]): Promise<readonly Int32Array[]> {
    const { client, root } = this.#display
    const images = await Promise.all(rectangles.map(({ x, y, width, height }) =>
      this.#display.ask<{ readonly data: Buffer }>((done) => { client.GetImage(Z_PIXMAP, root, x, y, width, height, ALL_PLANES, done) })))
    return images.map(({ data }, index) => {
      const aligned = data.byteOffset % 4 === 0 ? data : new Uint8Array(data) // a copy begins at 0
      return new Int32Array(aligned.buffer, aligned.byteOffset, areaOf(rectangles.slice(index, index + 1)))
    })
  }
}

class SharedGrabber implements Grabber {
  readonly #display: Display
  readonly #shm: Shm
  readonly #allocate: (size: number) => SharedSegment
  #memory = new ArrayBuffer(0)
  #attached: number | undefined

  constructor (display: Display, shm: Shm, allocate: (size: number) => SharedSegment) {
    this.#display = display
    this.#shm = shm
    this.#allocate = allocate
  }

  /**
   * Undefined where the X server cannot share memory.
   *
   * @throws {NativeError}
   * @throws {DisplayError} when the X server may not read memory of this process
   */
  static async open (display: Display): Promise<SharedGrabber | undefined> {
    const shm = await display.extension<Shm>('shm')
    if (shm === undefined) return undefined
    const grabber = new SharedGrabber(display, shm, await loadSharedSegments())
    await grabber.#reserve(areaOf([{ x: 0, y: 0, width: display.screen.pixel_width, height: display.screen.pixel_height }]))
    return grabber
  }

  async grab (rectangles: readonly Rectangle[]): Promise<readonly Int32Array[]> {
    const id = await this.#reserve(areaOf(rectangles))
    const { root } = this.#display
    let offset = 0
    const answers = []
    const views: Int32Array[] = []
    for (const { x, y, width, height } of rectangles) {
      const at = offset
      answers.push(this.#display.ask((done) => { this.#shm.GetImage(root, x, y, width, height, ALL_PLANES, Z_PIXMAP, id, at, done) }))
      views.push(new Int32Array(this.#memory, at, width * height))
      offset += width * height * 4
    }
    await Promise.all(answers)
    return views
  }

  /** The number of a segment with room for so many pixels. */
  async #reserve (pixels: number): Promise<number> {
    if (this.#attached !== undefined && this.#memory.byteLength >= pixels * 4) return this.#attached
    const { client } = this.#display
    const segment = this.#allocate(pixels * 4)
    const id = client.AllocID()
    try {
      await this.#display.ask<void>((done) => { this.#shm.Attach(id, segment.id, false, done) })
    } finally {
      segment.forget() // now that the server has it, or never will
    }
    if (this.#attached !== undefined) this.#shm.Detach(this.#attached)
    this.#memory = segment.memory
    this.#attached = id
    return id
  }
}

/** The pointer of the screen, drawn into a picture: it is no part of the root window. */
import type { Display } from './display.ts'
import { blend, clip, type Rectangle } from './pixels.ts'
import type { Picture } from './picture.ts'
import type { CursorImage, Fixes } from './x11-package.ts'

/** Pixels of a side. */
const MAX_SIDE = 512

export class Cursor {
  readonly #display: Display
  readonly #fixes: Fixes
  #image: CursorImage | undefined
  #isStale = true
  #position = { rootX: 0, rootY: 0 }
  #drawn: { readonly at: Rectangle, readonly under: Int32Array } | undefined

  constructor (display: Display, fixes: Fixes) {
    this.#display = display
    this.#fixes = fixes
    display.on(({ name }) => { if (name === 'CursorNotify') this.#isStale = true })
    fixes.SelectCursorInput(display.root, fixes.CursorNotifyMask.DisplayCursor)
  }

  /** Undefined where the X server does not tell what its pointer looks like. */
  static async open (display: Display): Promise<Cursor | undefined> {
    const fixes = await display.extension<Fixes>('fixes')
    return fixes === undefined ? undefined : new Cursor(display, fixes)
  }

  /**
   * Asks for place and look.
   *
   * @returns whether one of them is another one than before
   * @throws {DisplayError}
   */
  async update (): Promise<boolean> {
    const { client, root } = this.#display
    const isStale = this.#isStale
    this.#isStale = false
    const [{ rootX, rootY }, image] = await Promise.all([
      this.#display.ask<{ readonly rootX: number, readonly rootY: number }>((done) => { client.QueryPointer(root, done) }),
      isStale ? this.#display.ask<CursorImage>((done) => { this.#fixes.GetCursorImage(done) }) : this.#image
    ])
    const isMoved = rootX !== this.#position.rootX || rootY !== this.#position.rootY
    this.#position = { rootX, rootY }
    this.#image = image
    return isStale || isMoved
  }

  draw (picture: Picture): void {
    const image = this.#image
    if (image === undefined || image.width > MAX_SIDE || image.height > MAX_SIDE) return
    const left = this.#position.rootX - image.xhot
    const top = this.#position.rootY - image.yhot
    const at = clip({ x: left, y: top, width: image.width, height: image.height }, picture)
    if (at === undefined) return
    const under = new Int32Array(at.width * at.height)
    for (let row = 0, index = 0; row < at.height; row++) {
      for (let column = 0; column < at.width; column++, index++) {
        const to = (at.y + row) * picture.width + at.x + column
        under[index] = picture.pixels[to]
        picture.pixels[to] = blend(image.cursorImage.readInt32LE(((at.y - top + row) * image.width + at.x - left + column) * 4), under[index])
      }
    }
    this.#drawn = { at, under }
  }

  /** Takes it out of the picture that it was drawn into. */
  erase ({ pixels, width: stride }: Picture): void {
    if (this.#drawn === undefined) return
    const { at: { x, y, width, height }, under } = this.#drawn
    for (let row = 0; row < height; row++) pixels.set(under.subarray(row * width, (row + 1) * width), (y + row) * stride + x)
    this.#drawn = undefined
  }

  /** From here on it is another picture. */
  forget (): void { this.#drawn = undefined }
}

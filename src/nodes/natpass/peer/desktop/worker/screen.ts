/** Pictures of a screen, of which only what has changed is read. */
import { Changes } from './changes.ts'
import { Cursor } from './cursor.ts'
import { DisplayError } from './display-error.ts'
import type { Display } from './display.ts'
import { openGrabber, type Grabber } from './grabber.ts'
import { Picture } from './picture.ts'
import { clip, copyAsRgba, type Rectangle } from './pixels.ts'
import { isScreen } from '../../../protocol/desktop.ts'

const STRUCTURE_NOTIFY = 0x20000

/** How often a picture is begun anew when the size of the screen changes meanwhile. */
const ATTEMPTS = 3

export class Screen {
  readonly #display: Display
  readonly #grabber: Grabber
  readonly #changes: Changes | undefined
  readonly #cursor: Cursor | undefined
  #width: number
  #height: number
  #picture: Picture | undefined
  #isDrawn = false

  constructor (display: Display, { grabber, changes, cursor }: { grabber: Grabber, changes: Changes | undefined, cursor: Cursor | undefined }) {
    this.#display = display
    this.#grabber = grabber
    this.#changes = changes
    this.#cursor = cursor
    this.#width = display.screen.pixel_width
    this.#height = display.screen.pixel_height
    display.on(({ name, wid1, width, height }) => {
      if (name === 'ConfigureNotify' && wid1 === display.root) this.#resize(width, height)
    })
    display.client.ChangeWindowAttributes(display.root, { eventMask: STRUCTURE_NOTIFY })
  }

  /** @throws {DisplayError} */
  static async open (display: Display): Promise<Screen> {
    checkFormat(display)
    const grabber = await openGrabber(display)
    return new Screen(display, { grabber, changes: await Changes.open(display), cursor: await Cursor.open(display) })
  }

  get width (): number { return this.#width }
  get height (): number { return this.#height }

  /**
   * The picture of now: pixels that were not read anew are those of the call before. Not to be called before that is done.
   *
   * @param showsCursor - the pointer is part of it
   * @returns undefined when nothing has changed since the last one
   * @throws {DisplayError}
   */
  async capture (showsCursor: boolean): Promise<Picture | undefined> {
    for (let attempt = 1; ; attempt++) {
      const { width, height } = this
      try {
        return await this.#capture(showsCursor)
      } catch (err) {
        this.#picture = undefined // what it lacks would not be told again
        // A rectangle of the former size has met a smaller screen; the notice of that comes before the refusal.
        if (attempt === ATTEMPTS || (width === this.width && height === this.height)) throw err
      }
    }
  }

  async #capture (showsCursor: boolean): Promise<Picture | undefined> {
    if (this.#display.error !== undefined) throw this.#display.error // else nothing would ever change again
    const isNew = this.#picture === undefined
    const picture = this.#picture ?? this.#newPicture()
    const [parts, isMoved] = await Promise.all([this.#changes?.take(), showsCursor ? this.#cursor?.update() : false])
    const whole = { x: 0, y: 0, width: picture.width, height: picture.height }
    const changed = isNew || parts === undefined ? [whole] : parts.flatMap((part) => clip(part, whole) ?? [])
    if (changed.length === 0 && isMoved !== true && this.#isDrawn === showsCursor) return undefined
    const pixels = changed.length === 0 ? [] : await this.#grabber.grab(changed)
    this.#cursor?.erase(picture)
    changed.forEach((part: Rectangle, index) => { copyAsRgba(pixels[index], picture.pixels, picture.width, part) })
    if (showsCursor) this.#cursor?.draw(picture)
    this.#isDrawn = showsCursor
    // One that is half read would be kept as the last one, so it counts from here on alone.
    if (picture.width === this.#width && picture.height === this.#height) this.#picture = picture
    return picture
  }

  #newPicture (): Picture {
    const [width, height] = [this.#width, this.#height]
    if (!isScreen(width, height)) throw new DisplayError('ERR_DISPLAY_UNSUPPORTED', `the screen has ${width} x ${height} pixels, too many to be shown`)
    this.#cursor?.forget()
    return new Picture(width, height)
  }

  #resize (width: number, height: number): void {
    if (width === this.#width && height === this.#height) return
    this.#width = width
    this.#height = height
    this.#picture = undefined
  }
}

/** @throws {DisplayError} when pixels are not blue, green, red and nothing, of 8 bits each */
function checkFormat ({ setup, screen: { root_depth: depth, root_visual: visual, depths } }: Display): void {
  const masks = depths[depth]?.[visual]
  const isKnown = setup.image_byte_order === 0 && setup.format[depth]?.bits_per_pixel === 32 &&
    masks?.red_mask === 0xff0000 && masks.green_mask === 0xff00 && masks.blue_mask === 0xff
  if (!isKnown) throw new DisplayError('ERR_DISPLAY_UNSUPPORTED', `a screen with ${depth} bits of colour in this order cannot be shown, only one with 24`)
}

/** What a client may do at a screen besides looking: pointer, keys and clipboard. */
import { Clipboard } from './clipboard.ts'
import { DisplayError } from './display-error.ts'
import type { Display } from './display.ts'
import { Keyboard } from './keyboard.ts'
import { Pointer } from './pointer.ts'
import { WorkerMessageType, type WorkerMessage } from './worker-messages.ts'
import type { Xtest } from './x11-package.ts'
import { Status } from '../../../protocol/desktop.ts'
import type { Clock } from '../../../../../types.ts'

const LEFT = 1
const RIGHT = 3

export class Inputs {
  readonly clipboard: Clipboard
  readonly #pointer: Pointer
  readonly #keyboard: Keyboard

  constructor (pointer: Pointer, keyboard: Keyboard, clipboard: Clipboard) {
    this.#pointer = pointer
    this.#keyboard = keyboard
    this.clipboard = clipboard
  }

  /** @throws {DisplayError} `ERR_DISPLAY_UNSUPPORTED` where the X server takes no input of programs */
  static async open (display: Display, clock: Clock): Promise<Inputs> {
    const xtest = await display.extension<Xtest>('xtest')
    if (xtest === undefined) throw new DisplayError('ERR_DISPLAY_UNSUPPORTED', 'the X server has no extension XTEST, by which keys and pointer are moved')
    return new Inputs(new Pointer(display, xtest), await Keyboard.open(display, xtest), await Clipboard.open(display, clock))
  }

  /** Events out of their range are dropped: the screen may just have become smaller. */
  take ({ _type: type, mouse, keyboard, scroll }: WorkerMessage, { width, height }: { readonly width: number, readonly height: number }): void {
    if (type === WorkerMessageType.mouse && mouse != null) {
      const [x, y] = [mouse.x ?? 0, mouse.y ?? 0]
      if (x < width && y < height) this.#mouse(mouse.type ?? 0, mouse.btn ?? 0, x, y)
    } else if (type === WorkerMessageType.keyboard && keyboard != null) {
      if (keyboard.type === Status.down) this.#keyboard.press(keyboard.key ?? '')
      else if (keyboard.type === Status.up) this.#keyboard.release(keyboard.key ?? '')
    } else if (type === WorkerMessageType.scroll && scroll != null) this.#pointer.scroll(scroll.x ?? 0, scroll.y ?? 0)
  }

  releaseAll (): void {
    this.#keyboard.close()
    this.#pointer.releaseAll()
  }

  #mouse (status: number, button: number, x: number, y: number): void {
    this.#pointer.move(x, y)
    const pressed = Math.min(button === 0 ? LEFT : button, RIGHT)
    if (status === Status.down) this.#pointer.press(pressed)
    else if (status === Status.up) this.#pointer.release(pressed)
  }
}

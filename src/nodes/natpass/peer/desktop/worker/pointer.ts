/** The pointer and the buttons of the mouse, by the extension XTEST. */
import type { Display } from './display.ts'
import type { Xtest } from './x11-package.ts'

const BUTTON_PRESS = 4
const BUTTON_RELEASE = 5
const MOTION = 6

/** A wheel is four buttons, which are pressed once for each step. */
const Wheel = { up: 4, down: 5, left: 6, right: 7 } as const

/** Steps of one event. */
const MAX_STEPS = 32

export class Pointer {
  readonly #display: Display
  readonly #xtest: Xtest
  readonly #held = new Set<number>()

  constructor (display: Display, xtest: Xtest) {
    this.#display = display
    this.#xtest = xtest
  }

  /** @param button - 1 left, 2 middle, 3 right */
  press (button: number): void {
    this.#held.add(button)
    this.#fake(BUTTON_PRESS, button)
  }

  release (button: number): void {
    if (this.#held.delete(button)) this.#fake(BUTTON_RELEASE, button)
  }

  releaseAll (): void {
    for (const button of this.#held) this.release(button)
  }

  /** In pixels of the screen. */
  move (x: number, y: number): void { this.#fake(MOTION, 0, x, y) }

  /** Steps: up and to the left where they are positive. */
  scroll (x: number, y: number): void {
    this.#turn(y > 0 ? Wheel.up : Wheel.down, Math.abs(y))
    this.#turn(x > 0 ? Wheel.left : Wheel.right, Math.abs(x))
  }

  #turn (button: number, steps: number): void {
    for (let step = 0; step < Math.min(steps, MAX_STEPS); step++) {
      this.#fake(BUTTON_PRESS, button)
      this.#fake(BUTTON_RELEASE, button)
    }
  }

  #fake (type: number, detail: number, x = 0, y = 0): void { this.#xtest.FakeInput(type, detail, 0, this.#display.root, x, y) }
}

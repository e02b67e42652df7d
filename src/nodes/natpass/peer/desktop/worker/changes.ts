/** What has changed of the screen: told by the extension DAMAGE, so that nothing is read while nothing changes. */
import type { Display } from './display.ts'
import type { Rectangle } from './pixels.ts'
import type { Damage, Fixes, Region } from './x11-package.ts'

/** With more parts than this, or parts that are not much less than all, one rectangle around them is read. */
const MAX_PARTS = 16
const MOST = 0.7

export class Changes {
  readonly #display: Display
  readonly #damage: Damage
  readonly #fixes: Fixes
  readonly #id: number
  readonly #region: number
  #isChanged = true

  constructor (display: Display, damage: Damage, fixes: Fixes) {
    this.#display = display
    this.#damage = damage
    this.#fixes = fixes
    this.#id = display.client.AllocID()
    this.#region = display.client.AllocID()
    display.on(({ name, damage }) => { if (name === 'DamageNotify' && damage === this.#id) this.#isChanged = true })
    fixes.CreateRegion(this.#region, [])
    damage.Create(this.#id, display.root, damage.ReportLevel.NonEmpty) // its windows are part of it
  }

  /** Undefined where the X server does not tell changes. */
  static async open (display: Display): Promise<Changes | undefined> {
    const fixes = await display.extension<Fixes>('fixes') // which regions belong to
    const damage = await display.extension<Damage>('damage')
    return damage === undefined || fixes === undefined ? undefined : new Changes(display, damage, fixes)
  }

  /**
   * The parts that have changed since the last call, none of them twice; some may be outside the screen.
   *
   * @throws {DisplayError}
   */
  async take (): Promise<readonly Rectangle[]> {
    if (!this.#isChanged) return []
    this.#isChanged = false // what changes after the next request is told anew
    this.#damage.Subtract(this.#id, 0, this.#region)
    const { extents, rectangles: parts } = await this.#display.ask<Region>((done) => { this.#fixes.FetchRegion(this.#region, done) })
    const area = parts.reduce((sum, { width, height }) => sum + width * height, 0)
    return parts.length > MAX_PARTS || area > MOST * extents.width * extents.height ? [extents] : parts
  }
}

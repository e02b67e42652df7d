/** The user of a page of a desktop, without a browser: what comes is a picture, which can be compared (natpass protocol, section 4.2). */
import { once } from 'node:events'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { ask } from './shell-user.ts'

/** Seven numbers of 32 bits in front of each rectangle. */
const HEAD = 28

/** How long the target may need to come, and its first picture. */
const PATIENCE = 20_000

export interface Rectangle { readonly x: number, readonly y: number, readonly width: number, readonly height: number }

export interface DesktopUserInit {
  /** Percent; 100 is raw. */
  readonly quality?: number
  /** What a rectangle is: `pixels` as the original sends them, behind the size of what has come; `encoded` as ours, behind the number of the encoding. */
  readonly form: 'pixels' | 'encoded'
}

type Colour = readonly [red: number, green: number, blue: number]

export class DesktopUser {
  width = 0
  height = 0
  /** That have come. */
  rectangles = 0
  bytes = 0
  isClosed = false
  readonly #socket: WebSocket
  readonly #form: DesktopUserInit['form']
  #pixels = new Uint8Array(0)
  #wake = (): void => {}

  private constructor (socket: WebSocket, form: DesktopUserInit['form']) {
    this.#socket = socket
    this.#form = form
    socket.on('message', (data: Buffer, isBinary: boolean) => { if (isBinary) this.#draw(data) })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
      this.#wake()
    })
  }

  /** Opens the desktop of a page, as soon as its target is there. */
  static async open (t: Test, port: number, { quality = 50, form }: DesktopUserInit): Promise<DesktopUser> {
    const since = Date.now()
    for (;;) {
      const { status, text } = await ask(port, '/new', { form: { quality: String(quality), show_cursor: 'false' } }).catch((err: Error) => ({ status: 0, text: err.message }))
      if (status === 200) {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/${text}`)
        const user = new DesktopUser(socket, form)
        t.teardown(() => { user.close() })
        await once(socket, 'open')
        return user
      }
      if (Date.now() - since > PATIENCE) throw new Error(`no desktop: ${status} ${text}`)
      await new Promise((resolve) => { setTimeout(resolve, 200) })
    }
  }

  /** Waits until a rectangle of the picture has one colour. */
  async shows ({ x, y, width, height }: Rectangle, [red, green, blue]: Colour): Promise<void> {
    const isShown = (): boolean => {
      if (this.width < x + width || this.height < y + height) return false
      for (let row = y; row < y + height; row++) {
        for (let column = x; column < x + width; column++) {
          const at = (row * this.width + column) * 4
          if (this.#pixels[at] !== red || this.#pixels[at + 1] !== green || this.#pixels[at + 2] !== blue) return false
        }
      }
      return true
    }
    while (!isShown()) {
      if (this.isClosed) throw new Error('the page has closed its connection')
      await new Promise<void>((resolve) => { this.#wake = resolve })
    }
  }

  move (x: number, y: number): void { this.#send('mouse', { x, y }) }
  button (button: 'left' | 'middle' | 'right', status: 'down' | 'up', at = { x: 100, y: 90 }): void { this.#send('mouse', { button, status, ...at }) }
  key (key: string, status: 'down' | 'up'): void { this.#send('keyboard', { key, status }) }
  scroll (x: number, y: number): void { this.#send('scroll', { x, y }) }

  close (): void { this.#socket.close() }

  #send (action: string, payload: object): void { this.#socket.send(JSON.stringify({ action, payload })) }

  #draw (message: Buffer): void {
    const [width, height, x, y, columns, rows, last] = Array.from({ length: 7 }, (_, i) => message.readUInt32BE(i * 4))
    const data = message.subarray(HEAD)
    this.rectangles++
    this.bytes += message.length
    if (width !== this.width || height !== this.height) {
      this.width = width
      this.height = height
      this.#pixels = new Uint8Array(width * height * 4)
    }
    if (this.#form === 'encoded' && last !== 0) return // not raw: its pixels are not compared
    if (data.length !== columns * rows * 4) throw new Error(`${data.length} bytes of a rectangle of ${columns} x ${rows}`)
    for (let row = 0; row < rows; row++) this.#pixels.set(data.subarray(row * columns * 4, (row + 1) * columns * 4), ((y + row) * width + x) * 4)
    this.#wake()
  }
}

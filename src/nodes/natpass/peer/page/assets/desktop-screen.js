/* global createImageBitmap, Blob, ImageData, requestAnimationFrame, setInterval */
// The screen of the desktop: blocks are decoded when they arrive, and all is drawn in the order that it came in.

/** Bytes of the numbers before the data of a picture. */
const HEAD = 28
const RAW = 0

/** Pixels of what is decoded at once. Anything larger takes its turn, as its bytes do not tell how much memory it takes. */
const BLOCK = 64 * 64

/** Milliseconds between two rates. */
const RATE = 2000

globalThis.DesktopScreen = class {
  #canvas
  #context
  #drawn = Promise.resolve()
  #frames = 0
  #bytes = 0
  #isFrame = false

  /** @param onRate - called with what it is every two seconds */
  constructor (canvas, onRate) {
    this.#canvas = canvas
    this.#context = canvas.getContext('2d', { alpha: false })
    setInterval(() => {
      onRate(`${Math.round(this.#frames * 1000 / RATE)} fps, ${rateOf(this.#bytes * 1000 / RATE)}`)
      this.#frames = this.#bytes = 0
    }, RATE)
  }

  /** Settles when it is drawn: with false when the browser cannot decode it. */
  show (message) {
    this.#bytes += message.byteLength
    const view = new DataView(message)
    const [screenWidth, screenHeight, x, y, width, height, encoding] = [0, 4, 8, 12, 16, 20, 24].map((at) => view.getUint32(at))
    const decode = async () => encoding === RAW ? rawOf(message, width, height) : await createImageBitmap(new Blob([new Uint8Array(message, HEAD)], { type: 'image/jpeg' }))
    const decoded = (width * height > BLOCK ? this.#drawn.then(decode) : decode()).catch(() => undefined)
    const drawing = this.#drawn.then(async () => {
      const picture = await decoded
      if (this.#canvas.width !== screenWidth) this.#canvas.width = screenWidth
      if (this.#canvas.height !== screenHeight) this.#canvas.height = screenHeight
      if (picture instanceof ImageData) this.#context.putImageData(picture, x, y)
      else if (picture !== undefined) this.#context.drawImage(picture, x, y, width, height)
      picture?.close?.()
      this.#count()
      return picture !== undefined
    })
    this.#drawn = drawing.catch(() => {})
    return drawing
  }

  /** What is drawn before the browser shows it is one frame. */
  #count () {
    if (this.#isFrame) return
    this.#isFrame = true
    requestAnimationFrame(() => {
      this.#isFrame = false
      this.#frames++
    })
  }
}

/** The last pixel of each row of an original has no alpha. */
function rawOf (message, width, height) {
  const pixels = new Uint8ClampedArray(message, HEAD)
  for (let at = 3; at < pixels.length; at += 4) pixels[at] = 255
  return new ImageData(pixels, width, height)
}

function rateOf (bytes) {
  if (bytes < 1000) return `${Math.round(bytes)} B/s`
  return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB/s` : `${(bytes / 1e6).toFixed(1)} MB/s`
}
